// Package own marks messages that the library sends to itself, such as a supervisor's requests to
// its own tasklet. Users do not know their types, and lose nothing when one is not read, because a
// caller that waits for an answer is notified in another way. So these messages are never reported
// as dead letters.
package own

import "reflect"

// Message is embedded in the message type of a ref that only the library sends to.
type Message interface{ libraryMessage() }

// Mark makes a struct type a Message.
type Mark struct{}

func (Mark) libraryMessage() {}

var message = reflect.TypeFor[Message]()

// Is reports whether all messages of type t belong to the library.
func Is(t reflect.Type) bool { return t.Implements(message) }
