package supervisor

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// Kinds of events that supervisors emit, besides those of package actor. The strings are the values of the key "event".
var (
	EventRestart       = actor.RegisterEvent(actor.EventUser+1, "restart", zap.WarnLevel)
	EventRestartFailed = actor.RegisterEvent(actor.EventUser+2, "restart_failed", zap.ErrorLevel)
	EventGiveUp        = actor.RegisterEvent(actor.EventUser+3, "give_up", zap.ErrorLevel)
	EventAutoShutdown  = actor.RegisterEvent(actor.EventUser+4, "auto_shutdown", zap.InfoLevel)
)

// emit reports something that happened to ch.
func (c *core) emit(kind actor.EventKind, ch *child, err error, fields ...zap.Field) {
	fields = append([]zap.Field{
		zap.String("child", ch.spec.ID),
		zap.Stringer("restart_type", ch.spec.Restart),
		zap.Stringer("strategy", c.s.spec.Strategy),
	}, fields...)
	c.t.System().Emit(actor.Event{
		Kind: kind, Tasklet: c.t, Path: c.t.Path() + "/" + ch.spec.ID, Err: err, Fields: fields,
	})
}

// reportRestart is the crash report: who, why, where, which message, restart n of m, and what happens next, in one entry.
func (c *core) reportRestart(ch *child, delay time.Duration) {
	c.emit(EventRestart, ch, ch.last.Err, append(c.crash(ch),
		zap.Int("attempt", ch.restarts),
		zap.Int("window_restarts", c.window.count(c.now())),
		zap.Int("max_restarts", c.window.intensity),
		zap.Duration("window", c.window.period),
		zap.Duration("delay", delay),
		zap.Strings("affected", c.affected(ch)),
	)...)
}

// reportGiveUp says that ch had one restart too many.
func (c *core) reportGiveUp(ch *child) {
	c.emit(EventGiveUp, ch, ErrIntensity, append(c.crash(ch),
		zap.NamedError("cause", ch.last.Err),
		zap.Int("window_restarts", c.window.count(c.now())),
		zap.Int("max_restarts", c.window.intensity),
		zap.Duration("window", c.window.period),
	)...)
}

// crash describes the end that led to a restart.
func (c *core) crash(ch *child) []zap.Field {
	fields := []zap.Field{zap.Stringer("reason", ch.last.Kind), zap.Strings("ancestors", ancestors(c.t))}
	if t := ch.last.Tasklet; t != nil {
		if i := t.Info(); i.Mailbox != nil {
			fields = append(fields, zap.Int("mailbox_len", i.Mailbox.Len))
			if m := t.MessageType(); m != nil {
				fields = append(fields, zap.Stringer("message", m))
			}
		}
	}
	var p *actor.PanicError
	if errors.As(ch.last.Err, &p) {
		fields = append(fields, zap.ByteString("stack", p.Stack))
	}
	return fields
}

// ancestors are the names above a child of t, the nearest first.
func ancestors(t *actor.Tasklet) []string {
	var names []string
	for ; t != nil; t = t.Parent() {
		names = append(names, t.Name())
	}
	return names
}

// affected are the children that a restart of ch stops or starts, itself included, in order of start; at most 20 are named.
func (c *core) affected(ch *child) []string {
	first, last := ch, ch
	switch c.s.spec.Strategy {
	case OneForAll:
		first, last = c.first, c.tail
	case RestForOne:
		last = c.tail
	}
	var ids []string
	for x := first; ; x = x.next {
		if len(ids) == 20 {
			return append(ids, "...")
		}
		ids = append(ids, x.spec.ID)
		if x == last {
			return ids
		}
	}
}
