package entity

import (
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
	"github.com/gotasklet/tasklet/supervisor"
)

// reportRestart reports that e is restarted after the failure exit.
func (c *core[K, M]) reportRestart(e *entity[K, M], exit actor.Exit) {
	c.report(supervisor.EventRestart, e, exit, zap.Int("attempt", e.restarts), zap.String("next", "restarts it"))
}

// reportGiveUp reports that the key of e is put aside after the failure exit.
func (c *core[K, M]) reportGiveUp(e *entity[K, M], exit actor.Exit) {
	c.report(supervisor.EventGiveUp, e, exit, zap.Int("max_restarts", c.es.spec.Intensity),
		zap.Duration("window", c.es.spec.Period), zap.String("next", "puts its key aside for "+c.es.spec.Backoff.String()))
}

// report emits the event for a failure of e. It is the one entry of the failure in the log, so it
// has all facts about it. Entities.mu must be free, because the user's hook for events may send to
// the set.
func (c *core[K, M]) report(kind event.Kind, e *entity[K, M], exit actor.Exit, fields ...zap.Field) {
	r := actor.EventRecord{
		Kind: kind, Tasklet: exit.Tasklet, Path: exit.Path, Err: exit.Err,
		Fields: []zap.Field{zap.String("child", e.name), zap.String("set", c.t.Path()), zap.Stringer("reason", exit.Kind)},
	}
	if t := exit.Tasklet; t != nil {
		r.Message = t.InHand()
		// After a kill the event message_lost has the number.
		if _, lost := own.Reported(t); lost > 0 && exit.Kind != reason.Killed {
			r.Fields = append(r.Fields, zap.Int("messages_lost", lost))
		}
	}
	if p, ok := guard.As[*actor.PanicError](exit.Err); ok {
		r.Stack = p.Stack
	}
	r.Fields = append(r.Fields, fields...)
	c.t.System().Emit(r)
}
