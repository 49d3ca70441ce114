package codec

import (
	"errors"
	"fmt"
)

// ErrTooLarge says that a message is longer than Config.MessageBytes, has an array or a map of more
// than 65,536 elements, or would take too much memory when it is decoded.
var ErrTooLarge = errors.New("message is too large")

// ErrTooDeep says that a message has more than 16 levels; a value that holds itself has no end of
// them.
var ErrTooDeep = errors.New("message has too many levels")

// NotEncodableError says why a type can't be registered.
type NotEncodableError struct {
	Type   string // the type that was to be registered, as Go writes it
	Path   string // where in it the reason is: ".Items[].Price"; empty for the type itself
	Reason string
}

func (e *NotEncodableError) Error() string {
	return fmt.Sprintf("%s%s can't be sent to another node: %s", e.Type, e.Path, e.Reason)
}

// NotRegisteredError says that a type was not given a name.
type NotRegisteredError struct {
	Type string // as Go writes it
}

func (e *NotRegisteredError) Error() string {
	return fmt.Sprintf("type %s has no name for other nodes: give it one with cluster.Type", e.Type)
}

// UnknownTypeError says that a message has a type that this node, or the peer, does not know.
type UnknownTypeError struct {
	Name   string // empty if the peer has not told
	Number uint64 // in the peer's table; 0 if it is not in it
}

func (e *UnknownTypeError) Error() string {
	if e.Name == "" {
		return fmt.Sprintf("message of type number %d, which its sender has not named", e.Number)
	}
	return fmt.Sprintf("type %q is unknown", e.Name)
}

// NewerVersionError says that a message is written in a version that this node, or the peer, can't
// read yet.
type NewerVersionError struct {
	Name  string
	Got   int // version of the message
	Known int // newest version that the reader knows
}

func (e *NewerVersionError) Error() string {
	return fmt.Sprintf("type %q has version %d, the reader knows %d", e.Name, e.Got, e.Known)
}

// MalformedError says that the bytes of a message or a table are not what they have to be.
type MalformedError struct {
	Name string // of the type, if it is known
	Err  error
}

func (e *MalformedError) Error() string {
	if e.Name == "" {
		return "malformed: " + e.Err.Error()
	}
	return fmt.Sprintf("malformed %q: %v", e.Name, e.Err)
}

// Unwrap returns what was wrong.
func (e *MalformedError) Unwrap() error { return e.Err }

// EncodeError says that a value could not be encoded: a method of its type failed.
type EncodeError struct {
	Name string // of the type
	Err  error
}

func (e *EncodeError) Error() string { return fmt.Sprintf("encoding %q: %v", e.Name, e.Err) }

// Unwrap returns what the method returned, or a *PanicError.
func (e *EncodeError) Unwrap() error { return e.Err }

// PanicError is a panic of a method of the user's, such as MarshalBinary.
type PanicError struct {
	Value any
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// guarded calls f and turns a panic into a *PanicError.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{v}
		}
	}()
	return f()
}
