package actor

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/stack"
)

// hooks returns the functions that the scheduler of h calls to notify the system.
func (s *System) hooks(h *host) core.Hooks {
	hooks := core.Hooks{
		Name:      func(t *core.Task) string { return taskletOf(t).Path() },
		ExitValue: func(t *core.Task) any { return taskletOf(t).raise() },
		Context:   func(t *core.Task) context.Context { return taskletOf(t) },
		Recovered: func(t *core.Task) { taskletOf(t).recovered() },
		Deadlock:  s.deadlock,
		Quiescent: s.quiescent,
		Stall:     h.stalled,
		Lost:      func(t *core.Task) { (*leaving)(taskletOf(t)).Do() },
		Left:      s.endRound,
		Crashed:   h.crashed,
		Check:     h.check,
	}
	if s.rand != nil {
		hooks.Idle = h.takeAwaits
	}
	hooks.Jump = func(d time.Duration) { s.events.beforeJump(s.Now().Add(d)) }
	s.sim.hooks(&hooks)
	return hooks
}

// crashed is called when the scheduler of h ends because injected work, a timer or a hook has
// panicked.
func (h *host) crashed(e *PanicError) {
	s := h.sys
	s.emit(EventRecord{Kind: event.Crash, Tasklet: s.root, Err: e, Stack: e.Stack, Fields: []zap.Field{zap.Int("scheduler", h.n)}})
	s.root.kill(nil)
}

func (h *host) stalled(st core.Stall) {
	kind := event.StallOver
	if !st.Over {
		kind = event.Stall
		h.hog = h.sys.findID(st.ID) // kept, because it may have finished when the stall is over
	}
	if h.hog == nil {
		return
	}
	h.sys.emit(EventRecord{Kind: kind, Tasklet: h.hog, Stack: stack.Text(st.Stack), Fields: []zap.Field{zap.Duration("for", st.For)}})
}

// quiescent is called when nothing can happen any more unless something outside acts. If a tasklet
// waits nevertheless, that is a deadlock, at least within the system.
func (s *System) quiescent() {
	e := DeadlockError{Quiescent: true}
	waiting := s.root.marks.Load()&markOver != 0 // waiting for anything else than messages
	for _, top := range []*Tasklet{s.root, s.daemons} {
		for t := range top.Tree() {
			if kind, on, _ := t.task.Waits(); kind != core.NotParked {
				l := core.Link{Task: t.Path(), Kind: kind}
				if on != nil && on.Holder != nil {
					l.On = taskletOf(on.Holder).Path()
				}
				e.Chain = append(e.Chain, l)
				waiting = waiting || kind != core.InReceive || t == s.root
			}
		}
	}
	if !waiting {
		return // receivers without messages are not a deadlock
	}
	_, isMain := s.root.inst.(function)
	fatal := isMain && !s.real
	s.emit(EventRecord{
		Kind: event.Deadlock, Tasklet: s.root, Err: &e, Soft: !fatal,
		Fields: []zap.Field{zap.String("chain", e.String()), zap.Bool("soft", !fatal)},
	})
	switch {
	case !fatal:
	case s.root.marks.Load()&markOver == 0:
		s.root.kill(&e)
	case s.addFatal(&e):
		s.harden() // main has ended and waits for a child that has no limit for its stop
	default:
		s.stopHosts()
	}
}
