package supervisor

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// logEvery writes the tree every d until the supervisor's body has ended. With the real clock a
// goroutine writes it, so that it is written even while a tasklet holds the scheduler, when it is
// most useful. With a virtual clock a timer does, since time stands still while a tasklet runs, and
// the order of events must not depend on a goroutine.
func (c *core) logEvery(d time.Duration) {
	t := c.t
	if !t.Log().Core().Enabled(zap.InfoLevel) {
		t.Log().Warn("Spec.LogEvery writes nothing: the logger takes no entries at level info")
		return
	}
	if t.System().Virtual() {
		actor.SendAfter[request](t, d, c.s.ref, logRequest{c: c})
		return
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		logTrees(t, d)
	}()
	t.Defer(func() { // the logger must not be used after the supervisor has ended
		_, _ = actor.Await(t, func(ctx context.Context) (struct{}, error) {
			select {
			case <-gone:
			case <-ctx.Done():
			}
			return struct{}{}, nil
		})
	})
}

// logTrees writes the tree below t every d on the caller's goroutine, until t's body has ended or
// the logger fails.
func logTrees(t *actor.Tasklet, d time.Duration) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	var rates tree.Rates
	for {
		select {
		case <-t.Done():
			return
		case <-tick.C:
		}
		fault := guard.Call(func() { tree.Log(t.Log(), t, tree.WithRates(&rates)) })
		switch {
		case fault == nil:
			continue
		case fault.Goexit:
			t.System().Emit(actor.EventRecord{Kind: event.Failure, Tasklet: t, Err: actor.ErrGoexit})
		default:
			err := &actor.PanicError{Value: fault.Value, Stack: fault.Stack}
			t.System().Emit(actor.EventRecord{Kind: event.Failure, Tasklet: t, Err: err, Stack: err.Stack})
		}
		return
	}
}
