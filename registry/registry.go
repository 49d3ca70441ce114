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
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/mailbox"
)

var (
	// ErrTaken is returned when a name belongs to somebody else; the error is a *TakenError.
	ErrTaken = errors.New("registry: name is taken")
	// ErrName is returned for a string that can't be a name: an empty one, or one with control
	// characters; the error is a *NameError.
	ErrName = errors.New("registry: not a name")
	// ErrNotFound is returned when nobody has the name.
	ErrNotFound = errors.New("registry: no such name")
	// ErrNoMembers is returned when a group has none to choose from.
	ErrNoMembers = errors.New("registry: group has no members")
)

// Its methods look at nothing but the error itself.
func init() { guard.Trust[*TakenError]() }

// TakenError says who has a name. It is ErrTaken to errors.Is.
type TakenError struct {
	Name  string
	Owner string // the path of the owner's tasklet, or its ref's name if it was never started
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("registry: name %q is taken by %s", e.Name, e.Owner)
}

// Is makes errors.Is(e, ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

// NameError says that a string can't be the name of a ref or of a group. It is ErrName to
// errors.Is.
type NameError struct {
	Name string
	Rule string // that it breaks, as "is empty"
}

func (e *NameError) Error() string { return fmt.Sprintf("registry: the name %q %s", e.Name, e.Rule) }

// Is makes errors.Is(e, ErrName) true.
func (e *NameError) Is(target error) bool { return target == ErrName }

// TypeError says that a name or a group is there, but for messages of another type.
type TypeError struct {
	Name string
	Have reflect.Type // of its messages
	Want reflect.Type // that were asked for
}

func (e *TypeError) Error() string {
	return fmt.Sprintf("registry: %q takes messages of type %v, not %v", e.Name, e.Have, e.Want)
}

// Kinds of events. The strings are the values of the key "event" in log entries.
var (
	EventNameRegistered = actor.RegisterEvent(actor.EventUser+16, "name_registered", zap.DebugLevel)
	EventNameLost       = actor.RegisterEvent(actor.EventUser+17, "name_lost", zap.DebugLevel)
	EventGroupJoined    = actor.RegisterEvent(actor.EventUser+18, "group_joined", zap.DebugLevel)
	EventGroupLeft      = actor.RegisterEvent(actor.EventUser+19, "group_left", zap.DebugLevel)
)

// Registry holds the names and groups of one system.
type Registry struct {
	sys *actor.System // set in Of, then read-only

	// names maps a name to its owner, an *entry[M]. It is written under mu, and read without a
	// lock.
	names sync.Map

	clerk clerk

	// mu protects the following, and the membership of all groups. A change, the labels that show
	// it, and the place of its event in their order are one step, so that they agree.
	mu     sync.Mutex
	groups map[string]anyGroup
	held   map[any]*holder     // by ref
	wanted map[string]*waiters // by name
}

// entry is who has a name.
type entry[M any] struct{ ref actor.Ref[M] }

// owner is an entry without its type.
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

// who gives the tasklet and the path for events and errors.
func who[M any](ref actor.Ref[M]) (*actor.Tasklet, string) {
	path := ref.String()
	if path == "" {
		path = "(ref without a name)"
	}
	return ref.Tasklet(), path
}

type registryKey struct{}

// Of gives the registry of s.
func Of(s *actor.System) *Registry {
	if s == nil {
		misuse("Of a nil *actor.System")
	}
	return s.Attach(registryKey{}, func() any {
		return &Registry{
			sys: s, groups: make(map[string]anyGroup), held: make(map[any]*holder), wanted: make(map[string]*waiters),
		}
	}).(*Registry)
}

func misuse(format string, args ...any) {
	panic("registry: " + fmt.Sprintf(format, args...))
}

// check returns a *NameError if name can't be one: it may come from a program's input.
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

// Register gives name to ref, until its tasklet ends for good. ErrTaken, as a *TakenError that
// names the owner, if another ref has it; mailbox.ErrClosed if ref's tasklet has ended for good.
// Registering the same ref again does nothing; a ref may have any number of names. A *NameError for
// a name that can't be one: an empty one, one that is not UTF-8 or has control characters. It
// panics on a nil registry and a zero ref.
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

// As is an option for the start of a tasklet: it registers ref under name when the tasklet starts,
// before its init, so that a child specification can carry the name. A taken name is a failed start
// whose error names the owner, and so is one that can't be a name. A restart keeps the name.
func As[M any](r *Registry, name string, ref actor.Ref[M]) actor.Option {
	_ = check(r, "As", name) // the start returns it
	checkRef("As", name, ref)
	return actor.OnStart(func(*actor.Tasklet) error { return Register(r, name, ref) })
}

// Lookup gives the ref that has name. ErrNotFound if nobody has it; a *TypeError that names both
// types if it takes other messages than M; a *NameError if nobody can have it. It takes no lock,
// and allocates nothing if it finds.
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

// Unregister takes name away from whoever has it, and reports whether somebody had; nobody has what
// can't be a name.
func (r *Registry) Unregister(name string) bool {
	if check(r, "Unregister", name) != nil {
		return false
	}
	has, ok := r.names.Load(name)
	return ok && r.remove(name, has.(owner))
}

// remove takes name away from e, and reports whether e had it.
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

// Names gives all names, sorted. It takes no lock: a name that comes or goes meanwhile may be there
// or not.
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

// unlock unlocks mu and tells what has changed. The event has its place in their order before; it
// is told after, because OnEvent may use the registry.
func (r *Registry) unlock(kind actor.EventKind, who func() (*actor.Tasklet, string), key, value string) {
	wanted := r.sys.Wants(kind)
	if wanted {
		t, path := who()
		r.sys.EmitLater(actor.Event{Kind: kind, Tasklet: t, Path: path, Fields: []zap.Field{zap.String(key, value)}})
	}
	r.mu.Unlock()
	if wanted {
		r.sys.EmitNow()
	}
}
