package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
)

// bad is an error with methods that all fail, in the way that it says.
type bad struct{ how func() }

func (b *bad) Error() string  { b.how(); return "bad" }
func (b *bad) Unwrap() error  { b.how(); return nil }
func (b *bad) Is(error) bool  { b.how(); return false }
func (b *bad) As(any) bool    { b.how(); return false }
func (b *bad) String() string { b.how(); return "bad" }
func panics()                 { panic("boom") }
func panicsBadly()            { panic(&bad{panics}) }
func panicsUnprintable()      { panic(&bad{runtime.Goexit}) }
func ways() map[string]func() {
	return map[string]func(){"panic": panics, "bad panic": panicsBadly, "unprintable": panicsUnprintable, "Goexit": runtime.Goexit}
}
func wrapped(err error) []error {
	return []error{
		err, fmt.Errorf("a: %w", err), fmt.Errorf("a: %w, %w", errSample, err), errors.Join(errSample, err),
		&fs.PathError{Op: "open", Path: "x", Err: err}, fmt.Errorf("b: %w", errors.Join(err)),
	}
}

func TestCall(t *testing.T) {
	if f := Call(func() {}); f != nil {
		t.Error(f)
	}
	for name, how := range ways() {
		f := Call(how)
		switch {
		case f == nil:
			t.Errorf("%s: no fault", name)
		case f.Goexit != (name == "Goexit"):
			t.Errorf("%s: Goexit %v", name, f.Goexit)
		case !f.Goexit && !strings.Contains(f.Stack.String(), "guard.panics"):
			t.Errorf("%s: the stack does not show who panicked:\n%s", name, f.Stack)
		case f.String() == "":
			t.Errorf("%s: no text", name)
		}
	}
	//nolint:govet // what a careless user may do
	if f := Call(func() { panic(nil) }); f == nil || f.Goexit {
		t.Error("panic(nil) is a panic:", f)
	}
}

func TestErrorsWithBadMethods(t *testing.T) {
	target := errors.New("target")
	for name, how := range ways() {
		b := &bad{func() {}}
		all := wrapped(b)
		b.how = how // not while fmt.Errorf wraps it
		for _, err := range all {
			if Is(err, target) {
				t.Errorf("%s: %T is the target", name, err)
			}
			if _, ok := As[*fs.PathError](err); ok != (strings.HasPrefix(fmt.Sprintf("%T", err), "*fs")) {
				t.Errorf("%s: %T: As %v", name, err, ok)
			}
			if Plain(err) {
				t.Errorf("%s: %T is plain", name, err)
			}
			if c := Complaint(err); !strings.Contains(c, "*guard.bad") {
				t.Errorf("%s: complaint %q", name, c)
			}
		}
		if text := Text(&bad{how}); !strings.HasPrefix(text, "Error of *guard.bad ") {
			t.Errorf("%s: %q", name, text)
		}
	}
	var none *bad // the usual slip
	for _, err := range wrapped(none) {
		if Is(err, target) || Complaint(err) == "" {
			t.Errorf("%T with a nil pointer", err)
		}
		_ = Text(err)
	}
	if text := Text(none); !strings.Contains(text, "*guard.bad") || !strings.Contains(text, "nil pointer") {
		t.Error(text)
	}
}

func TestPlainErrors(t *testing.T) {
	target := errors.New("target")
	for _, err := range wrapped(target) {
		if !Plain(err) {
			t.Errorf("%T is not plain", err)
		}
		if !Is(err, target) || Is(err, errSample) && !strings.Contains(fmt.Sprintf("%T", err), "oin") && !strings.Contains(fmt.Sprintf("%T", err), "Errors") {
			t.Errorf("%T: Is", err)
		}
		if Complaint(err) != "" || Text(err) != err.Error() {
			t.Errorf("%T: %q, %q", err, Complaint(err), Text(err))
		}
	}
	var path *fs.PathError
	if Plain(path) || Is(path, target) {
		t.Error("a nil pointer to a type of the standard library is plain")
	}
	if Is(nil, target) || !Is(nil, nil) || Is(target, nil) {
		t.Error("nil")
	}
	if e, ok := As[*fs.PathError](fmt.Errorf("x: %w", &fs.PathError{Op: "open"})); !ok || e.Op != "open" {
		t.Error("As:", e, ok)
	}
	if n := testing.AllocsPerRun(100, func() { Plain(errWrapped) }); n != 0 {
		t.Errorf("Plain allocates %v", n)
	}
}

var errWrapped = fmt.Errorf("a: %w", errSample)

func TestSprint(t *testing.T) {
	for _, c := range []struct {
		v    any
		want string
	}{{"x", "x"}, {3, "3"}, {nil, "<nil>"}, {errSample, ""}, {stringer(func() string { return "s" }), "s"}} {
		if got := Sprint(c.v); got != c.want {
			t.Errorf("%T: %q, want %q", c.v, got, c.want)
		}
	}
	if got := Sprint(stringer(func() string { runtime.Goexit(); return "" })); got != "a guard.stringer" {
		t.Error(got)
	}
	if got := Sprint(stringer(func() string { panic("x") })); !strings.Contains(got, "PANIC") {
		t.Error(got)
	}
}

type stringer func() string

func (s stringer) String() string { return s() }

func BenchmarkCall(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Call(func() {})
	}
}

func BenchmarkPlain(b *testing.B) {
	for b.Loop() {
		Plain(errWrapped)
	}
}
