// Package own marks messages and functions of the library that are treated in another way than a
// user's.
//
// Messages that the library sends to itself, such as a supervisor's requests to its own tasklet,
// are never reported as dead letters. Users do not know their types, and lose nothing when one is
// not read, because a caller that waits for an answer is notified in another way.
//
// A function of the library is called directly where a function of a user needs a guard.
//
// A failure of a child of package supervisor is one entry in the log, that of the supervisor's
// decision. Package actor and package supervisor agree on that here, see [Ends].
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

// harmless has the code of the functions given to Trust. Written during initialization, then
// read-only.
var harmless = map[uintptr]bool{}

// Trust declares that no function with the code of f fails or blocks. f is a method value, and
// stands for that method of all values. Trust must be called from init.
func Trust(f any) { harmless[reflect.ValueOf(f).Pointer()] = true }

// Harmless reports whether the function f has the code of one that was given to Trust.
func Harmless(f any) bool { return harmless[reflect.ValueOf(f).Pointer()] }
