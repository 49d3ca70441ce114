package registry

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

var (
	// ErrTaken is returned when a name belongs to somebody else; the error is a *TakenError.
	ErrTaken = errors.New("registry: name is taken")
	// ErrNotFound is returned when nobody has the name.
	ErrNotFound = errors.New("registry: no such name")
	// ErrNoMembers is returned when a group has none to choose from.
	ErrNoMembers = errors.New("registry: group has no members")
)

// TakenError says who has a name. It is ErrTaken to errors.Is.
type TakenError struct {
	Name  string
	Owner string // the path of the owner's tasklet, or its ref's name
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("registry: name %q is taken by %s", e.Name, e.Owner)
}

// Is makes errors.Is(e, ErrTaken) true.
func (e *TakenError) Is(target error) bool { return target == ErrTaken }

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

	// names maps a name to its *entry. Readers take no lock; a change is one compare and swap.
	names sync.Map

	// waiting is counted up by WaitFor before it asks the clerk, and read by Register after it has put a name there: one of the
	// two sees the other.
	waiting atomic.Int64

	// mu protects the following.
	mu     sync.Mutex
	groups map[string]any      // *Group[M] for different M
	clerk  actor.Ref[waitNote] // started when somebody waits for the first time
}

// entry is who has a name.
type entry struct {
	ref     any // actor.Ref[M]
	message reflect.Type
	owner   func() string
	unlabel func()
	cancel  func() // of the watch on the ref's end; set before anybody can remove the entry
}

type registryKey struct{}

// Of gives the registry of s.
func Of(s *actor.System) *Registry {
	if s == nil {
		misuse("Of a nil *actor.System")
	}
	return s.Attach(registryKey{}, func() any {
		return &Registry{sys: s, groups: make(map[string]any)}
	}).(*Registry)
}

func misuse(format string, args ...any) {
	panic("registry: " + fmt.Sprintf(format, args...))
}

// Register gives name to ref, until its tasklet ends for good. ErrTaken, as a *TakenError that names the owner, if another ref has
// it; mailbox.ErrClosed if ref's tasklet has ended for good. Registering the same ref again does nothing. It panics on an empty
// name, a nil registry and a zero ref.
func Register[M any](r *Registry, name string, ref actor.Ref[M]) error {
	check(r, "Register", name)
	if ref.IsZero() {
		misuse("Register(%q) of a zero Ref", name)
	}
	if ref.IsDead() {
		return fmt.Errorf("registry: register %q: %w", name, mailbox.ErrClosed)
	}
	e := &entry{
		ref: ref, message: reflect.TypeFor[M](), owner: ref.String,
		unlabel: func() { ref.SetLabel("name", "") },
	}
	// The entry is complete before it can be found: what removes it may run at once.
	e.cancel = ref.OnEnd(func() { r.remove(name, e) })
	if was, taken := r.names.LoadOrStore(name, e); taken {
		e.cancel()
		if w := was.(*entry); w.ref != any(ref) {
			return &TakenError{name, w.owner()}
		}
		return nil
	}
	if ref.IsDead() { // it ended before the name was there, and OnEnd has found nothing to remove
		r.remove(name, e)
		return fmt.Errorf("registry: register %q: %w", name, mailbox.ErrClosed)
	}
	ref.SetLabel("name", name)
	r.emit(EventNameRegistered, ref.Tasklet(), "name", name)
	if r.waiting.Load() > 0 {
		r.tellClerk(waitNote{name: name})
	}
	return nil
}

// As is an option for the start of a tasklet: it registers ref under name when the tasklet starts, so that a child specification
// can carry the name. A taken name is a failed start whose error names the owner. A restart keeps the name.
func As[M any](r *Registry, name string, ref actor.Ref[M]) actor.Option {
	check(r, "As", name)
	return actor.OnStart(func(*actor.Tasklet) error { return Register(r, name, ref) })
}

func check(r *Registry, op, name string) {
	if r == nil {
		misuse("%s(%q) with a nil *Registry", op, name)
	}
	if name == "" {
		misuse("%s with an empty name", op)
	}
}

// Lookup gives the ref that has name. ErrNotFound if nobody has it; a *TypeError that names both types if it takes other messages
// than M. It takes no lock.
func Lookup[M any](r *Registry, name string) (actor.Ref[M], error) {
	check(r, "Lookup", name)
	v, ok := r.names.Load(name)
	if !ok {
		return actor.Ref[M]{}, fmt.Errorf("%w: %q", ErrNotFound, name)
	}
	ref, ok := v.(*entry).ref.(actor.Ref[M])
	if !ok {
		return actor.Ref[M]{}, &TypeError{name, v.(*entry).message, reflect.TypeFor[M]()}
	}
	return ref, nil
}

// Unregister takes name away from whoever has it, and reports whether somebody had.
func (r *Registry) Unregister(name string) bool {
	check(r, "Unregister", name)
	v, ok := r.names.Load(name)
	return ok && r.remove(name, v.(*entry))
}

// remove takes name away from e, and reports whether e had it.
func (r *Registry) remove(name string, e *entry) bool {
	if !r.names.CompareAndDelete(name, e) {
		return false
	}
	if e.cancel != nil {
		e.cancel()
	}
	e.unlabel()
	r.emit(EventNameLost, nil, "name", name)
	return true
}

// Names gives all names, sorted. It takes no lock: a name that comes or goes meanwhile may be there or not.
func (r *Registry) Names() []string {
	var names []string
	r.names.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	slices.Sort(names)
	return names
}

func (r *Registry) emit(kind actor.EventKind, t *actor.Tasklet, key, value string) {
	r.sys.Emit(actor.Event{Kind: kind, Tasklet: t, Fields: []zap.Field{zap.String(key, value)}})
}

// WaitFor is Lookup that waits until name is registered: it parks the calling tasklet or blocks the calling goroutine, as long as
// ctx allows. A *TypeError comes when the name is there with another type.
func WaitFor[M any](ctx context.Context, r *Registry, name string) (actor.Ref[M], error) {
	check(r, "WaitFor", name)
	for {
		ref, err := Lookup[M](r, name)
		if !errors.Is(err, ErrNotFound) {
			return ref, err
		}
		if err := r.wait(ctx, name); err != nil {
			return actor.Ref[M]{}, err
		}
	}
}

// wait returns when name was registered. Those who wait are kept by a tasklet, the clerk, so that a wait is a call like any other:
// with the caller's context, on its clock, and seen by the search for deadlocks.
func (r *Registry) wait(ctx context.Context, name string) error {
	r.waiting.Add(1)
	defer r.waiting.Add(-1)
	r.mu.Lock()
	if r.clerk.IsZero() || r.clerk.IsDead() {
		c := &clerk{r: r, waiting: make(map[string][]actor.Reply[struct{}])}
		r.clerk = actor.Receiver(r.sys, c.note, actor.Name("registry"), actor.Daemon(), actor.Overflow(mailbox.Unbounded))
	}
	to := r.clerk
	r.mu.Unlock()
	_, err := actor.Call(ctx, to, func(reply actor.Reply[struct{}]) waitNote { return waitNote{name, reply, true} })
	if err != nil {
		r.tellClerk(waitNote{name: name}) // it forgets those who have gone
	}
	return err
}

func (r *Registry) tellClerk(n waitNote) {
	r.mu.Lock()
	to := r.clerk
	r.mu.Unlock()
	if !to.IsZero() {
		_ = to.TrySend(context.Background(), n) // a clerk that has ended has nobody who waits
	}
}

// waitNote tells the clerk that somebody waits for a name, or that there may be news of it.
type waitNote struct {
	name  string
	reply actor.Reply[struct{}]
	waits bool
}

// clerk keeps those who wait for a name.
type clerk struct {
	r       *Registry
	waiting map[string][]actor.Reply[struct{}]
}

func (c *clerk) note(t *actor.Tasklet, n waitNote) error {
	if n.waits {
		n.reply.Delegate(t)
		c.waiting[n.name] = append(c.waiting[n.name], n.reply)
	}
	replies := c.waiting[n.name]
	if _, there := c.r.names.Load(n.name); there {
		delete(c.waiting, n.name)
		for _, reply := range replies {
			_ = reply.Send(t, struct{}{})
		}
		return nil
	}
	replies = slices.DeleteFunc(replies, func(reply actor.Reply[struct{}]) bool { return !reply.Awaited() })
	if len(replies) == 0 {
		delete(c.waiting, n.name)
	} else {
		c.waiting[n.name] = replies
	}
	return nil
}
