package actor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/internal/far"
	"github.com/gotasklet/tasklet/internal/gauge"
	"github.com/gotasklet/tasklet/internal/list"
)

// extra is the part of a tasklet that most tasklets never need.
type extra struct {
	// Set at the start, then read-only.
	name     string
	shutdown time.Duration // 0 means the default
	slot     *Slot         // the slot that it is in, or nil
	rare     *rareOptions  // nil if there are none

	// emptied is a list of its slots that are no longer among its children; see lastChild.
	// System.mu protects it.
	emptied *Slot

	// killedAt is the time of the last kill in ns on the clock, or 0. Atomic: written by the
	// goroutine that kills, and read by those that show it.
	killedAt atomic.Int64
	// joining is the number of goroutines in Join. Atomic: written by these.
	joining atomic.Int32

	// Atomic: written by the scheduler, and read by the parent, which may be on another one, while
	// it stops t.
	waitFrom atomic.Int64 // ns on the clock: when t began to wait for its children; 0 if it did not
	waitTill atomic.Int64 // the end of that wait; written before markChildless

	// mu protects the following.
	mu        sync.Mutex
	done      chan struct{} // closed with markOver
	over      map[*func()]struct{}
	fin       chan struct{} // closed with markFinished, for joiners on other goroutines
	followers *followers    // nil until there is one, and kept then
	locals    map[any]any
	labels    []label
	// cause is the cause of its kill, or nil. It is a pointer of this package: a *Killed for
	// KillCause, a *ChildError, a *LinkError or a *DeadlockError.
	cause  error
	raised error // the cause of the kill that was raised last
	logger *zap.Logger

	// Owned by the scheduler.
	result   error
	startErr error // the error of a failed init, even if it is no failure as a result, as ErrStop
	deferred []func()
	onDrain  []func()        // not yet called
	owned    ownedList       // timers, watches, pipes
	cell     any             // a free *cell[R]
	ctx      context.Context // of the message in hand; nil if it is the tasklet
	start    *startWait
	// hand has the message in hand while somebody wants dead letters, or is nil; see keeping.
	hand interface {
		take() (m any, ok bool)
		drop()
	}
	// stopping is the stop of its children, one after the other, or nil until the stop has to wait
	// for one.
	stopping *stopState
}

func (t *Tasklet) extra() *extra {
	if x := t.ex.Load(); x != nil {
		return x
	}
	t.ex.CompareAndSwap(nil, new(extra))
	return t.ex.Load()
}

// killed returns the kill of t, with its cause if it has one.
func (t *Tasklet) killed() *Killed {
	x := t.ex.Load()
	if x == nil {
		return &Killed{Tasklet: t}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.killed(t)
}

// killed is like [Tasklet.killed], but mu must be held.
func (x *extra) killed(t *Tasklet) *Killed {
	if k, ok := x.cause.(*Killed); ok {
		return k
	}
	return &Killed{Tasklet: t, Cause: x.cause}
}

// rareOptions are the options that few starts use.
type rareOptions struct {
	onStart  []func(*Tasklet) error
	around   []Hook        // the first is the outermost
	together time.Duration // see Family.StopTogether; 0 means one after the other
	// source is the function that the name is derived from, if that of the instance is wrapped; see
	// keepSource.
	source any
	meter  *meter // nil if the handler is not measured
	// waited has the times that messages were in the mailbox; nil until one was measured. Atomic:
	// made by the scheduler, which owns the histogram, and read by any goroutine.
	waited atomic.Pointer[gauge.Histogram]
}

// set returns the rare options, to be changed. It must be called only at the start.
func (x *extra) set() *rareOptions {
	if x.rare == nil {
		x.rare = new(rareOptions)
	}
	return x.rare
}

// followers are the waits that the end of a tasklet must end. extra.mu protects them.
type followers struct {
	bells    bells                             // of joiners on other schedulers
	starters bells                             // of callers of Started
	began    chan struct{}                     // closed when goroutines in Started must check again
	watchers list.List[*watch]                 // the watches that get a notice
	delegate []delegation                      // the calls that the tasklet must answer
	left     func(far.Call)                    // see far.OnLeft
	labels   func(add func(key, value string)) // see far.ShowLabels
}

// follow returns the followers, to add one.
func (x *extra) follow() *followers {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.followed()
}

// followed is like follow, but mu must be held.
func (x *extra) followed() *followers {
	if x.followers == nil {
		x.followers = new(followers)
	}
	return x.followers
}

// inner returns i without the wrapper that limits its waits. The caller converts what it returns to
// the interface that it asks for: in generic code such a conversion searches the runtime's table
// each time, which was 4 % of the start of a child.
func inner(i instance) instance {
	if w, limited := i.(*idling); limited {
		return w.instance
	}
	return i
}

// dropHand forgets the message in hand of a tasklet that continues after it failed.
func (t *Tasklet) dropHand() {
	if x := t.ex.Load(); x != nil && x.hand != nil {
		x.hand.drop()
	}
}
