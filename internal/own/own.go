// Package own marks messages that the library sends to itself: a supervisor's requests to its own
// tasklet, for one. Users don't know their types, and nobody has lost anything when one is not
// read: whoever waits for an answer is told by other means. So they are never reported as dead
// letters.
package own

import "reflect"

// Message is embedded in the message type of a ref that only the library sends to.
type Message interface{ libraryMessage() }

// Mark makes a struct type a Message.
type Mark struct{}

func (Mark) libraryMessage() {}

var message = reflect.TypeFor[Message]()

// Is reports whether all messages of type t are the library's own.
func Is(t reflect.Type) bool { return t.Implements(message) }
