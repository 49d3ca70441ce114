package tree

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/internal/text"
)

// A Supervisor describes a tasklet that keeps others running, so that its children are shown like
// those of package supervisor. [Register] registers it.
type Supervisor interface {
	// Describe calls add for each child that is in no actor.Slot, in order of start, and returns
	// the description of the supervisor itself. The tree finds slots by itself. Describe may be
	// called on any goroutine, while a tasklet holds the scheduler, and by several goroutines at
	// the same time, so a mutex must protect what it reads. It must neither park nor wait for a
	// tasklet. It must not keep add.
	//
	// Describe runs on a goroutine of its own. If it panics, calls runtime.Goexit or does not
	// return within a tenth of a second, the tree shows the running children without the facts that
	// only the supervisor knows, and Row.Fault describes the failure.
	Describe(add func(Child)) Supervision
}

// Supervision is the description of a supervisor itself.
type Supervision struct {
	// Strategy is a word such as one_for_one. It is "" for a pool, whose children have no order and
	// do not depend on each other; their number is shown instead.
	Strategy string
	// Note is a short text about what the supervisor itself does, such as "queued 3/64". It may be
	// "".
	Note     string
	Restarts int           // within the last Period
	Max      int           // the number allowed within Period; math.MaxInt means any number
	Period   time.Duration // of the window; 0 means that all restarts since the start count
	Total    int           // restarts since the start

	// Set by the tree: Describe need not.
	Up       time.Duration // since Register
	Children int           // with those that are stopped
}

// A Child is the description of a child that is in no slot.
type Child struct {
	// ID is the name of the child's tasklet, and of its row if there is none. It is "" if the name
	// is derived; it is then taken from Last.
	ID string
	// Tasklet is the child's present tasklet. It is nil if there is none, or if it has not started
	// yet; the tree finds a tasklet of that name that is starting.
	Tasklet *actor.Tasklet
	// Restarting means that a child without a tasklet will be started again, at Until if that is
	// not zero. Otherwise a child without a tasklet is stopped.
	Restarting bool
	Until      time.Time
	Restarts   int        // since the supervisor's start
	Last       actor.Exit // the last end that the supervisor did not cause
	LastAt     time.Time  // the time of that end; zero if there was none
}

// Register makes s describe the children of t in trees, until t's body and children have ended. A
// second call replaces the first. A supervisor calls it when it begins. Register must be called
// inside t, and not in a deferred call. It panics if s is nil.
func Register(t *actor.Tasklet, s Supervisor) {
	if s == nil {
		panic("tree: Register of a nil Supervisor")
	}
	r := &registered{s: s, since: t.System().Now()}
	_, r.ours = s.(own.Message)
	all := registryOf(t.System())
	all.gone.again(t)
	t.Defer(func() { all.CompareAndDelete(t, r) })
	all.Store(t, r)
}

// registry maps the tasklets of a system's supervisors to *registered. It is attached to the
// system, so that it goes with it, whatever happens to the tasklets.
type registry struct {
	sync.Map
	gone gone
}

var extension = actor.NewExtension(func(*actor.System) *registry { return new(registry) })

func registryOf(s *actor.System) *registry { return extension.Of(s) }

// registered is a registered supervisor.
type registered struct {
	s     Supervisor
	since time.Time
	// ours says that the methods of s are the library's own, which neither fail nor block. They are
	// called without a goroutine and without a limit, so that no real time decides what a tree on a
	// virtual clock shows.
	ours bool
	// stuck is the number of calls that were given up and have not returned. Atomic: written by the
	// goroutines of the calls, and read before each call, because goroutines would pile up at a
	// supervisor that blocks.
	stuck atomic.Int32
}

// Limits for calls of Describe, in real time.
const (
	lookLimit = time.Second      // for all calls of one look that do not return in time, together
	lastLimit = time.Millisecond // for a call after that
)

// callLimit is the limit of one call. Tests on a busy machine change it.
var callLimit = 100 * time.Millisecond

// spareChildren is the number of children without a tasklet that a supervisor may have. Without a
// limit, a Describe that never returns could fill the memory.
const spareChildren = 1 << 18

// answer is the result of a Describe so far.
type answer struct {
	t     *actor.Tasklet
	limit int

	// mu protects the following, because Describe may keep add and call it from any goroutine.
	mu       sync.Mutex
	over     bool
	children []kid
	fault    string
}

// add is the function that Describe calls for each child.
func (a *answer) add(c Child) {
	fault := ""
	if c.Tasklet != nil && c.Tasklet.Parent() != a.t {
		c.Tasklet, fault = nil, "gave a tasklet that is not its child"
	}
	if c.Last.Tasklet != nil && c.Last.Tasklet.Parent() != a.t {
		c.Last.Tasklet = nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.children) >= a.limit {
		fault = fmt.Sprintf("gave more than %d children", a.limit)
	}
	switch {
	case a.over:
	case fault != "":
		a.fault = fault
		if len(a.children) < a.limit {
			a.children = append(a.children, kid{Child: c})
		}
	default:
		a.children = append(a.children, kid{Child: c})
	}
}

// finish ends the answer, and returns the children and the fault. Later calls of add have no
// effect.
func (a *answer) finish() (children []kid, fault string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	return a.children, a.fault
}

// overview is what the tree knows of a supervisor.
type overview struct {
	Supervision
	children []kid
	fault    string
}

// ask returns the overview of the supervisor t, which has n children in the tree. It returns nil if
// t is not a registered supervisor. If t has failed to describe its children, it returns nil and
// the fault.
func (w *survey) ask(t *actor.Tasklet, n int) (o *overview, fault string) {
	v, _ := registryOf(t.System()).Load(t)
	if v == nil {
		return nil, ""
	}
	r := v.(*registered)
	a := &answer{t: t, limit: n + spareChildren}
	var s Supervision
	if r.ours {
		s = r.s.Describe(func(c Child) { a.children = append(a.children, kid{Child: c}) })
	} else if fault = w.call(r, a, &s); fault != "" {
		return nil, fault
	}
	o = &overview{Supervision: s}
	o.children, o.fault = a.finish()
	o.correct(w.now, r.since)
	return o, ""
}

// call calls Describe of r on a goroutine of its own.
func (w *survey) call(r *registered, a *answer, s *Supervision) (fault string) {
	if r.stuck.Load() > 0 {
		return "has not returned from an earlier call"
	}
	var described Supervision
	over := guard.Go(func() { described = r.s.Describe(a.add) })
	limit := max(lastLimit, min(callLimit, lookLimit-w.waited))
	begin := time.Now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case f := <-over:
		if f != nil {
			return text.Line(f.String())
		}
		*s = described
		return ""
	case <-timer.C:
	}
	w.waited += time.Since(begin)
	a.finish()
	r.stuck.Add(1)
	go func() {
		<-over
		r.stuck.Add(-1)
	}()
	return "has not returned in " + limit.String()
}

// correct replaces numbers and texts that make no sense.
func (o *overview) correct(now, since time.Time) {
	o.Up = max(0, now.Sub(since))
	o.Strategy = text.Line(text.Cut(o.Strategy, text.MaxName))
	o.Note = text.Line(text.Cut(o.Note, text.MaxName))
	o.Restarts, o.Max, o.Total, o.Period = max(0, o.Restarts), max(0, o.Max), max(0, o.Total), max(0, o.Period)
	for i := range o.children {
		c := &o.children[i]
		c.ID = strings.ReplaceAll(text.Line(c.ID), "/", `\x2f`) // no name in a path has a slash
		c.Restarts = max(0, c.Restarts)
		if c.Tasklet != nil {
			c.Restarting = false
		}
	}
}

// unlimited is the Max of a Supervision that allows any number of restarts.
const unlimited = math.MaxInt
