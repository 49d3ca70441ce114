// Package own marks what one part of the library gives to another, where the same thing from a user
// would be treated in another way.
//
// Messages that the library sends to itself, such as a supervisor's requests to its own tasklet,
// are never reported as dead letters. Users do not know their types, and lose nothing when one is
// not read, because a caller that waits for an answer is notified in another way.
//
// Functions of the library are called directly where those of a user need a guard.
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

// harmless holds the code of the functions given to Trust. Written during initialization, then
// read-only.
var harmless = map[uintptr]bool{}

// Trust declares that all functions with the code of f neither fail nor block: f is a method value,
// and stands for that method of any receiver. It must be called from init.
func Trust(f any) { harmless[reflect.ValueOf(f).Pointer()] = true }

// Harmless reports whether f, a function, has the code of one that was given to Trust.
func Harmless(f any) bool { return harmless[reflect.ValueOf(f).Pointer()] }
