package actor

import (
	"context"
	"errors"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/gotasklet/tasklet/internal/own"
)

// A Hook is called in place of a handler, with the message m, and calls the handler by next. It can
// do something before and after, such as measure the time, write a trace or check a permission. Its
// result counts as that of the handler, and so does its panic. A hook that does not call next has
// handled the message, and [OnFailure] applies to its error.
//
// ctx belongs to the tasklet, which [Current] returns, and has the values that the message carries;
// see [Carrier]. The context that is given to next is what [Tasklet.Context] returns inside. It is
// ctx, or derived from it; next panics with a context that does not belong to the tasklet. next
// returns what the handler, or the next hook, returns. A panic of the handler passes through the
// hook, so what must happen in any case is deferred. next must be called inside the tasklet, and at
// most once. If it is called again, or after the hook has ended, it calls nothing and returns an
// error.
//
// m is the message of a Receiver, and the slice of a BatchReceiver, which is valid until the hook
// returns. It is nil for a call of Interval, Rate or Loop. Hooks do not apply to Go and Spawn,
// whose functions are called only once, to the functions of OnStart, IdleAfter and Defer, to
// supervisors, and to tasklets that only the library sends messages to.
type Hook func(ctx context.Context, m any, next func(context.Context) error) error

// Around makes h a hook around each call of the handler of the tasklet, inside that of
// Config.Around. It may be given more than once; the first hook is the outermost one. It panics if
// h is nil.
func Around(h Hook) Option {
	mustFunc("Around", h != nil)
	return Option{set: optAround, hook: h}
}

var (
	errNextAgain = errors.New("actor: next was called again by a hook")
	errNextLate  = errors.New("actor: next was called after its hook had ended")
)

// call calls h around f.
func (h Hook) call(t *Tasklet, m any, f func() error) error {
	const used, over = 1, 2
	var state atomic.Uint32
	defer state.Store(over)
	return h(t.Context(), m, func(ctx context.Context) error {
		switch {
		case state.CompareAndSwap(0, used):
			return t.within(ctx, f)
		case state.Load() == over:
			return errNextLate
		}
		return errNextAgain
	})
}

// putAround installs the hooks for t, which is about to start, outside of them what puts the values
// of a message into its context, and around all of it the meter. So a tasklet without them pays
// nothing.
func (t *Tasklet) putAround() {
	r := t.rareOptions()
	c, carries := inner(t.inst).(carries)
	carries = carries && c.carries()
	if t.sys.around == nil && !t.sys.measure && (r == nil || r.around == nil) && !carries {
		return
	}
	if l := t.inst.lineage(); l != nil {
		if own.Is(l.message()) {
			return
		}
		if t.sys.measure {
			t.extra().set() // for MessageWaited
		}
	}
	in := &t.inst
	if w, ok := t.inst.(*idling); ok { // its function is not a handler
		in = &w.instance
	}
	i, ok := (*in).(wrapped)
	if f, sup := i.(interface{ familyOf() *family }); !ok || sup && f.familyOf() != nil {
		return
	}
	t.keepSource()
	if r != nil {
		for n := len(r.around) - 1; n >= 0; n-- {
			i = i.wrap(r.around[n]).(wrapped)
		}
	}
	if h := t.sys.around; h != nil {
		i = i.wrap(h).(wrapped)
	}
	if carries {
		i = i.wrap(nil).(wrapped)
	}
	if t.sys.measure {
		i = i.timed(t.newMeter()).(wrapped)
	}
	*in = i
}

// wrapped is an instance of a body that is called repeatedly. wrap returns an instance that calls h
// around each call, or, if h is nil, one whose messages give the context; see carrying. timed
// returns one whose calls m measures.
type wrapped interface {
	instance
	wrap(h Hook) instance
	timed(m *meter) instance
}

// around1 and around2 return a function that calls h around f.
func around1(h Hook, f func(*Tasklet) error) func(*Tasklet) error {
	return func(t *Tasklet) error { return h.call(t, nil, func() error { return f(t) }) }
}

func around2[M any](h Hook, f func(*Tasklet, M) error) func(*Tasklet, M) error {
	if h == nil {
		return carrying(f)
	}
	return func(t *Tasklet, m M) error { return h.call(t, m, func() error { return f(t, m) }) }
}

func (h *handling[M]) wrap(hook Hook) instance {
	return &handling[M]{h.l, around2(hook, h.f)} // h is the body itself
}

func (i *initialized[M]) wrap(h Hook) instance {
	if i.what != "" {
		return i // a supervisor
	}
	init := i.init0
	i.init0 = func(t *Tasklet) (func(*Tasklet, M) error, error) {
		f, err := init(t)
		if f != nil {
			f = around2(h, f)
		}
		return f, err
	}
	return i
}

func (r *retrying[M]) wrap(h Hook) instance {
	r.f = around2(h, r.f)
	return r
}

func (r *retryingInit[M]) wrap(h Hook) instance {
	r.i.wrap(h)
	return r
}

func (b *batching[M]) wrap(h Hook) instance {
	b.f = around2(h, b.f)
	return b
}

func (e *every) wrap(h Hook) instance {
	e.f = around1(h, e.f)
	return e
}

func (r *atRate) wrap(h Hook) instance {
	f := r.f
	r.f = func(t *Tasklet, at time.Time) error {
		return h.call(t, nil, func() error { return f(t, at) })
	}
	return r
}

func (l *loop) wrap(h Hook) instance {
	l.f = around1(h, l.f)
	return l
}

// carries is an instance that handles messages one at a time, and knows whether they are carriers.
type carries interface{ carries() bool }

func (h *handling[M]) carries() bool { return isCarrier[M]() }

func init() {
	own.Around = func(by any, typ reflect.Type) func(m any, f func() error) error {
		t := by.(*Tasklet)
		h := t.sys.around
		if !typ.Implements(carrierType) {
			if h == nil {
				return nil
			}
			return func(m any, f func() error) error { return h.call(t, m, f) }
		}
		return func(m any, f func() error) error {
			g := f
			if h != nil {
				g = func() error { return h.call(t, m, f) }
			}
			c, ok := m.(Carrier)
			if !ok {
				return g()
			}
			return t.within(c.Carry(t), g)
		}
	}
}
