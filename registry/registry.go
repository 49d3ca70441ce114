package registry

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/mailbox"
)

var (
	// ErrTaken is returned when a name belongs to another ref. The error is a *TakenError.
	ErrTaken = errors.New("registry: name is taken")
	// ErrName is returned for a string that cannot be a name: an empty one, one that is not UTF-8,
	// or one with control characters. The error is a *NameError.
	ErrName = errors.New("registry: not a name")
	// ErrNotFound is returned when the name is not registered.
	ErrNotFound = errors.New("registry: no such name")
	// ErrNoMembers is returned when a group has no open member to choose.
	ErrNoMembers = errors.New("registry: group has no members")
)

// Package errors may call the methods of *TakenError unguarded: they look only at the error itself.
func init() { guard.Trust[*TakenError]() }

// TakenError reports that a name belongs to another ref. errors.Is(err, ErrTaken) is true for it.
type TakenError struct {
	Name  string
	Owner string // the path of the owner's tasklet, or its ref's name if it was never started
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("registry: name %q is taken by %s", e.Name, e.Owner)
}

// Is makes errors.Is(e, ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// NameError reports that a string cannot be the name of a ref or of a group. errors.Is(err,
// ErrName) is true for it.
type NameError struct {
	Name string
	Rule string // the rule that Name breaks, such as "is empty"
}

func (e *NameError) Error() string { return fmt.Sprintf("registry: the name %q %s", e.Name, e.Rule) }

// Is makes errors.Is(e, ErrName) true.
func (e *NameError) Is(target error) bool { return target == ErrName }

// TypeError reports that a name or a group exists for messages of another type.
type TypeError struct {
	Name string
	Have reflect.Type // the type of its messages
	Want reflect.Type // the type that was asked for
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("registry: %q takes messages of type %v, not %v", e.Name, e.Have, e.Want)
}

// Kinds of events. The strings are the values of the key "event" in log entries.
var (
	EventNameRegistered = event.New("name_registered", zap.DebugLevel)
	EventNameLost       = event.New("name_lost", zap.DebugLevel)
	EventGroupJoined    = event.New("group_joined", zap.DebugLevel)
	EventGroupLeft      = event.New("group_left", zap.DebugLevel)
)

// Registry holds the names and groups of one system. Use [Of] to get it.
type Registry struct {
	sys *actor.System // set in Of, then read-only

	// names maps a name to its owner, an *entry[M]. It is written under mu, and read without a
	// lock.
	names sync.Map

	clerk clerk

	// mu protects the following, and the members of all groups. A change, the labels that show it,
	// and the place of its event in the order of events are one step, so that they agree.
	mu     sync.Mutex
	groups map[string]anyGroup
	held   map[any]*holder     // by ref
	wanted map[string]*waiters // by name
}

// entry is the owner of a name.
type entry[M any] struct{ ref actor.Ref[M] }

// owner is an entry without its message type.
type owner interface {
	message() reflect.Type
	who() (*actor.Tasklet, string)
	key() any // the ref, as Registry.held has it
	release(r *Registry, name string)
}

func (e *entry[M]) message() reflect.Type         { return reflect.TypeFor[M]() }
func (e *entry[M]) who() (*actor.Tasklet, string) { return who(e.ref) }

// release is called under mu when e has lost name.
func (e *entry[M]) release(r *Registry, name string) { note(r, e.ref, "name", name, false) }

// who returns the tasklet and the path of ref, for events and errors.
func who[M any](ref actor.Ref[M]) (*actor.Tasklet, string) {
	path := ref.String()
	if path == "" {
		path = "(ref without a name)"
	}
	return ref.Tasklet(), path
}

// extension keeps the registry of each system.
var extension = actor.NewExtension(func(s *actor.System) *Registry {
	return &Registry{
		sys: s, groups: make(map[string]anyGroup), held: make(map[any]*holder), wanted: make(map[string]*waiters),
	}
})

// Of returns the registry of s. It panics if s is nil. It may be called from any goroutine.
func Of(s *actor.System) *Registry {
	if s == nil {
		misuse("Of a nil *actor.System")
	}
	return extension.Of(s)
}

func misuse(format string, args ...any) {
	panic("registry: " + fmt.Sprintf(format, args...))
}

// check returns a *NameError if name cannot be a name. That is no misuse, because a name may come
// from a program's input.
func check(r *Registry, op, name string) error {
	if r == nil {
		misuse("%s(%q) with a nil *Registry", op, name)
	}
	switch {
	case name == "":
		return &NameError{name, "is empty"}
	case !utf8.ValidString(name):
		return &NameError{name, "is not valid UTF-8"}
	case strings.ContainsFunc(name, breaksLines):
		return &NameError{name, "has control characters"}
	}
	return nil
}

// breaksLines reports whether c could forge a line or a column where a name is shown.
func breaksLines(c rune) bool { return unicode.IsControl(c) || c == '\u2028' || c == '\u2029' }

func checkRef[M any](op, name string, ref actor.Ref[M]) {
	if ref.IsZero() {
		misuse("%s(%q) of a zero Ref", op, name)
	}
}

// Register registers ref under name, until the tasklet of ref has ended permanently. A ref may have
// any number of names. Registering the same ref again has no effect.
//
// Register returns a *TakenError, which is ErrTaken, if another ref has the name; mailbox.ErrClosed
// if the tasklet of ref has ended permanently; and a *NameError if name is empty, is not UTF-8 or
// has control characters. It panics if r is nil or ref is zero. It never parks, and may be called
// from any goroutine.
func Register[M any](r *Registry, name string, ref actor.Ref[M]) error {
	bad := check(r, "Register", name)
	checkRef("Register", name, ref)
	if bad != nil {
		return bad
	}
	if !lockFor(r, ref) {
		return fmt.Errorf("registry: register %q: %w", name, mailbox.ErrClosed)
	}
	e := &entry[M]{ref}
	if has, taken := r.names.LoadOrStore(name, e); taken {
		r.dropEmpty(ref)
		r.mu.Unlock()
		if has, ok := has.(*entry[M]); ok && has.ref == ref {
			return nil
		}
		_, path := has.(owner).who()
		return &TakenError{name, path}
	}
	note(r, ref, "name", name, true)
	w := r.wanted[name]
	delete(r.wanted, name)
	r.unlock(EventNameRegistered, e.who, "name", name)
	w.answer()
	return nil
}

// As returns an option for the start of a tasklet that registers ref under name before the init of
// the tasklet, so that a child specification can carry the name. A restart keeps the name. If
// Register returns an error, the start fails with it. As panics if r is nil or ref is zero.
func As[M any](r *Registry, name string, ref actor.Ref[M]) actor.Option {
	_ = check(r, "As", name) // for its panic; the start returns the error
	checkRef("As", name, ref)
	return actor.OnStart(func(*actor.Tasklet) error { return Register(r, name, ref) })
}

// Lookup returns the ref that is registered under name. It returns ErrNotFound if there is none, a
// *TypeError if the ref takes messages of another type than M, and a *NameError if name cannot be a
// name. Lookup takes no lock, never parks, and allocates nothing if it finds the name.
func Lookup[M any](r *Registry, name string) (actor.Ref[M], error) {
	if err := check(r, "Lookup", name); err != nil {
		return actor.Ref[M]{}, err
	}
	has, ok := r.names.Load(name)
	if !ok {
		return actor.Ref[M]{}, fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	if e, ok := has.(*entry[M]); ok {
		return e.ref, nil
	}
	return actor.Ref[M]{}, &TypeError{name, has.(owner).message(), reflect.TypeFor[M]()}
}

// Unregister removes name, whichever ref has it, and reports whether it was registered. It never
// parks.
func (r *Registry) Unregister(name string) bool {
	if check(r, "Unregister", name) != nil {
		return false
	}
	has, ok := r.names.Load(name)
	return ok && r.remove(name, has.(owner))
}

// remove removes name from e, and reports whether e had it.
func (r *Registry) remove(name string, e owner) bool {
	r.mu.Lock()
	if !r.names.CompareAndDelete(name, e) {
		r.mu.Unlock()
		return false
	}
	e.release(r, name)
	r.unlock(EventNameLost, e.who, "name", name)
	return true
}

// Names returns all names, sorted. It takes no lock, so it may or may not include a name that is
// registered or removed during the call.
func (r *Registry) Names() []string {
	if r == nil {
		misuse("Names of a nil *Registry")
	}
	var names []string
	r.names.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.Sort(names)
	return names
}

// unlock unlocks mu and emits the event for a change. The event gets its place in the order of
// events under mu, and is delivered afterwards, because OnEvent may use the registry.
func (r *Registry) unlock(kind event.Kind, who func() (*actor.Tasklet, string), key, value string) {
	tell := func() {}
	if extension.Wants(r.sys, kind) {
		t, path := who()
		tell = extension.Emit(r.sys, actor.EventRecord{Kind: kind, Tasklet: t, Path: path, Fields: []zap.Field{zap.String(key, value)}})
	} else {
		extension.Skip(r.sys, kind)
	}
	r.mu.Unlock()
	tell()
}
