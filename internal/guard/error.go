package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"syscall"
)

// The methods of an error are user code: a nil pointer in an error value, the usual mistake, panics
// in each of them. So only this file calls them, unless the error is of a type whose methods are
// known to be harmless.

// trusted holds types with a method Unwrap, Is or As that neither panics nor calls methods of the
// wrapped error. Written by Trust during initialization, then read-only.
var trusted = map[reflect.Type]bool{
	reflect.TypeOf(fmt.Errorf("%w", errSample)):                true,
	reflect.TypeOf(fmt.Errorf("%w, %w", errSample, errSample)): true,
	reflect.TypeOf(errors.Join(errSample)):                     true,
	reflect.TypeFor[*fs.PathError]():                           true,
	reflect.TypeFor[*os.LinkError]():                           true,
	reflect.TypeFor[*os.SyscallError]():                        true,
	reflect.TypeFor[*strconv.NumError]():                       true,
	reflect.TypeFor[syscall.Errno]():                           true,
}

// written holds types whose Error only returns a stored text.
var written = map[reflect.Type]bool{
	reflect.TypeOf(errSample):                                  true,
	reflect.TypeOf(fmt.Errorf("%w", errSample)):                true,
	reflect.TypeOf(fmt.Errorf("%w, %w", errSample, errSample)): true,
	reflect.TypeFor[syscall.Errno]():                           true,
}

var errSample = errors.New("")

// Trust declares that Unwrap, Is and As of T neither panic nor call methods of the wrapped error.
// It must be called from init.
func Trust[T error]() { trusted[reflect.TypeFor[T]()] = true }

// Plain reports whether package errors may examine err unguarded, because neither err nor an error
// that it wraps has methods of user code.
func Plain(err error) bool { return suspect(err) == nil }

// suspect returns the first error in the tree of err that has methods of user code, or nil.
func suspect(err error) error {
	for err != nil {
		_, one := err.(interface{ Unwrap() error })
		_, many := err.(interface{ Unwrap() []error })
		if !one && !many {
			_, is := err.(interface{ Is(error) bool })
			_, as := err.(interface{ As(any) bool })
			if !is && !as || trusts(err) {
				return nil
			}
			return err
		}
		if !trusts(err) {
			return err
		}
		if many {
			for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
				if s := suspect(e); s != nil {
					return s
				}
			}
			return nil
		}
		err = err.(interface{ Unwrap() error }).Unwrap()
	}
	return nil
}

// culprit returns the type to name when a method of err, or of an error that it wraps, has failed.
func culprit(err error) string {
	if s := suspect(err); s != nil {
		err = s
	}
	return fmt.Sprintf("%T", err)
}

func trusts(err error) bool {
	t := reflect.TypeOf(err)
	return trusted[t] && (t.Kind() != reflect.Pointer || !reflect.ValueOf(err).IsNil())
}

// Look calls f, which examines err with package errors, and returns the fault if a method of err
// failed. If err is plain f runs on the caller's goroutine; otherwise it runs on another goroutine,
// and the caller waits.
func Look(err error, f func()) *Fault {
	if Plain(err) {
		f()
		return nil
	}
	return Call(f)
}

// Is is errors.Is. It returns false if a method of err fails.
func Is(err, target error) (is bool) {
	if err == nil || target == nil {
		return err == target
	}
	if Look(err, func() { is = errors.Is(err, target) }) != nil {
		return false
	}
	return is
}

// As is errors.As with the value as a result. It returns false if a method of err fails.
func As[T error](err error) (e T, ok bool) {
	if err == nil {
		return e, false
	}
	if e, ok = err.(T); ok {
		return e, true
	}
	if Look(err, func() { ok = errors.As(err, &e) }) != nil {
		var none T
		return none, false
	}
	return e, ok
}

// Text returns err.Error(). If that fails, it returns a text with the type of err: "Error of
// *db.Failure panicked: runtime error: ...".
func Text(err error) string {
	if err == nil {
		return "<nil>"
	}
	if written[reflect.TypeOf(err)] {
		return err.Error()
	}
	if e, ok := err.(runtime.Error); ok && fromRuntime(e) {
		return e.Error()
	}
	var text string
	if fault := Call(func() { text = err.Error() }); fault != nil {
		return fmt.Sprintf("Error of %s %s", culprit(err), fault)
	}
	return text
}

// fromRuntime reports whether package runtime made e, as for a nil pointer.
func fromRuntime(e runtime.Error) bool {
	t := reflect.TypeOf(e)
	return t.PkgPath() == "runtime" || t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "runtime"
}

// Complaint describes which of the methods Unwrap, Is and As of err fails, or returns "" if none
// does. It does not examine Error; see Text.
func Complaint(err error) string {
	fault := Look(err, func() {
		var e *never
		errors.Is(err, e)
		errors.As(err, &e)
	})
	if fault == nil {
		return ""
	}
	return fmt.Sprintf("Unwrap, Is or As of %s %s", culprit(err), fault)
}

// never is an error type without values.
type never struct{}

func (*never) Error() string { return "" }

// Loggable returns an error for a logger, which calls Error, and Format and Errors if err has them.
// It returns err itself if these methods work, and otherwise an error whose text names the type and
// the fault.
func Loggable(err error) error {
	if err == nil || written[reflect.TypeOf(err)] && Plain(err) {
		return err
	}
	text := ""
	fault := Call(func() {
		_ = err.Error()
		if _, ok := err.(fmt.Formatter); ok {
			_ = fmt.Sprintf("%+v", err)
		}
		if g, ok := err.(interface{ Errors() []error }); ok {
			for _, e := range g.Errors() {
				_ = e.Error()
			}
		}
	})
	if fault != nil {
		text = fmt.Sprintf("Error of %s %s", culprit(err), fault)
	}
	switch c := Complaint(err); {
	case c == "":
	case text == "":
		text = Text(err) + " (" + c + ")"
	default:
		text += ", " + c
	}
	if text == "" {
		return err
	}
	return errors.New(text)
}
