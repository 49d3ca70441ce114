package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const (
	textMax  = 4 << 10 // bytes of the text of an error
	namesMax = 16      // names of an error
)

// failures are the errors that are registered.
type failures struct {
	names  []string // in the order of their registration
	byName map[string]error
}

// RemoteError is an error that came from another node. errors.Is and errors.As see the registered
// errors that the original was.
type RemoteError struct {
	Text  string   // of the original, cut after 4 KiB
	Names []string // of the registered errors that the original was, known here or not

	is []error
}

func (e *RemoteError) Error() string { return e.Text }

// Unwrap returns the errors that are registered here under the names.
func (e *RemoteError) Unwrap() []error { return e.is }

// Error registers an error under a name: if errors.Is(x, err) holds for an x at one node, it holds
// for what comes out at the other, if it is registered there too. Error panics if err is nil or
// can't be compared, or the name is taken.
func (t *Types) Error(name string, err error) {
	if err := t.addError(name, err); err != nil {
		panic("cluster: " + err.Error())
	}
}

func (t *Types) addError(name string, err error) error {
	if why := checkName(name); why != nil {
		return why
	}
	if err == nil {
		return fmt.Errorf("error %q is nil", name)
	}
	if !reflect.ValueOf(err).Comparable() {
		return fmt.Errorf("error %q can't be compared: %T", name, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.errs.Load()
	if _, taken := old.byName[name]; taken {
		return fmt.Errorf("error %q is registered twice", name)
	}
	now := &failures{names: append(slices.Clip(old.names), name), byName: maps.Clone(old.byName)}
	now.byName[name] = err
	t.errs.Store(now)
	return nil
}

// AppendError appends the encoding of an error: the names of the registered errors that it is, and
// its text. It never fails: a method of the error that panics is as if it said no.
func (t *Types) AppendError(dst []byte, err error) []byte {
	var names []string
	if remote, ok := err.(*RemoteError); ok {
		names = append(names, remote.Names...) // also those that are unknown here
	}
	known := t.errs.Load()
	for _, name := range known.names {
		is := false
		_ = guarded(func() error { is = errors.Is(err, known.byName[name]); return nil })
		if is && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	names = names[:min(len(names), namesMax)]
	text := "nil"
	if err != nil {
		if bad := guarded(func() error { text = err.Error(); return nil }); bad != nil {
			text = fmt.Sprintf("%T: its text is not to be had: %.200s", err, bad.Error())
		}
	}
	if len(text) > textMax {
		text = text[:textMax-3] + "..."
	}
	text = strings.ToValidUTF8(text, "\uFFFD")

	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = binary.AppendUvarint(dst, uint64(len(name)))
		dst = append(dst, name...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// DecodeError returns the error that src is the encoding of. The second result is a
// *MalformedError if it is none.
func (t *Types) DecodeError(src []byte) (*RemoteError, error) {
	fail := func(what string) (*RemoteError, error) {
		return nil, &MalformedError{Name: "error", Err: errors.New(what)}
	}
	text := func(max uint64) (string, bool) {
		size, n := binary.Uvarint(src)
		if n <= 0 || size > max || size > uint64(len(src)-n) {
			return "", false
		}
		s := string(src[n : n+int(size)])
		src = src[n+int(size):]
		return s, true
	}
	names, n := binary.Uvarint(src)
	if n <= 0 || names > namesMax {
		return fail("too many names")
	}
	src = src[n:]
	e := &RemoteError{}
	known := t.errs.Load()
	for range names {
		name, ok := text(nameMax)
		if !ok || checkName(name) != nil {
			return fail("a name")
		}
		e.Names = append(e.Names, name)
		if err := known.byName[name]; err != nil {
			e.is = append(e.is, err)
		}
	}
	var ok bool
	if e.Text, ok = text(3 * textMax); !ok || len(src) > 0 {
		return fail("the text")
	}
	e.Text = strings.ToValidUTF8(e.Text, "\uFFFD")
	return e, nil
}
