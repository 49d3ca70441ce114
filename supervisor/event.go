package supervisor

import (
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/own"
)

// Kinds of events that supervisors emit, besides those of package actor. The strings are the values
// of the key "event".
var (
	EventRestart = event.New("restart", zap.WarnLevel)
	EventGiveUp  = event.New("give_up", zap.ErrorLevel)

	eventRestartFailed = event.New("restart_failed", zap.ErrorLevel)
	eventAutoShutdown  = event.New("auto_shutdown", zap.InfoLevel)
)

// A report is an entry about a child, or about the consequence of its end for the supervisor. It
// says which child, why, where, on which message and how often, and what the supervisor does next.
type report struct {
	kind   event.Kind
	sup    *actor.Tasklet // the supervisor
	id     string         // the ID of the child
	own    bool           // the report is about the supervisor
	path   string         // the path of the child
	last   actor.Exit     // the reported end
	err    error          // the error of the event
	fields []zap.Field
}

// emit emits the event for r.
func (r *report) emit() {
	e := actor.EventRecord{Kind: r.kind, Tasklet: r.last.Tasklet, Path: r.path, Err: r.err}
	if r.own {
		e.Path = ""
	}
	if e.Tasklet == nil || r.own {
		e.Tasklet = r.sup
	}
	e.Fields = append(e.Fields,
		zap.String("child", r.id),
		zap.Strings("ancestors", ancestors(r.sup)),
		zap.Stringer("reason", r.last.Kind),
	)
	if t := r.last.Tasklet; t != nil {
		e.Message = t.InHand()
		if i := t.Info(); i.Mailbox != nil {
			e.Fields = append(e.Fields, zap.Int("mailbox_len", i.Mailbox.Len))
		}
	}
	must := r.kind == eventRestartFailed // there is no event exit
	if t := r.last.Tasklet; t != nil && !must {
		var lost int
		if must, lost = own.Reported(t); must && lost > 0 && r.last.Kind != reason.Killed {
			e.Fields = append(e.Fields, zap.Int("messages_lost", lost))
		}
	}
	e.Fields = append(e.Fields, r.fields...)
	if must { // otherwise the event exit has the stack
		if p, ok := guard.As[*actor.PanicError](r.last.Err); ok {
			e.Stack = p.Stack
		}
	}
	r.sup.System().Emit(e)
}

// report begins a report about ch. It returns nil if neither the log nor OnEvent wants the event.
func (c *core) report(kind event.Kind, ch *child, err error) *report {
	wants := kind
	if ch.last.Kind == reason.Panic {
		wants = EventGiveUp // a panic is an error
	}
	if !extension.Wants(c.t.System(), wants) {
		extension.Skip(c.t.System(), kind)
		return nil
	}
	r := &report{kind: kind, sup: c.t, id: c.name(ch), path: c.path(ch), last: ch.last, err: err}
	r.own = kind == EventGiveUp || kind == eventAutoShutdown
	r.fields = append(r.fields, zap.Stringer("restart_type", ch.spec.Restart))
	if c.s.pool == nil {
		r.fields = append(r.fields, zap.Stringer("strategy", c.s.spec.Strategy))
	}
	return r
}

// inWindow adds the number of restarts, the number allowed unless there is no limit, and the next
// step.
func (r *report) inWindow(w *window, now time.Time, next string) {
	if w.intensity != Unlimited {
		r.fields = append(r.fields,
			zap.Int("window_restarts", w.count(now)),
			zap.Int("max_restarts", w.intensity),
			zap.Duration("window", w.period),
		)
	}
	r.fields = append(r.fields, zap.String("next", next))
}

// reportRestart reports a restart.
func (c *core) reportRestart(ch *child, delay time.Duration) {
	r := c.report(EventRestart, ch, ch.last.Err)
	if r == nil {
		return
	}
	r.fields = append(r.fields,
		zap.Int("attempt", ch.restarts),
		zap.Duration("delay", delay),
		zap.Strings("affected", c.affected(ch)),
	)
	next := map[Strategy]string{
		OneForOne: "restarts it", OneForAll: "restarts all children", RestForOne: "restarts it and those started after it",
	}[c.s.spec.Strategy]
	if delay > 0 {
		next += " in " + delay.String()
	}
	r.inWindow(&c.window, c.now(), next)
	r.emit()
}

// reportRestartFailed reports that a child did not start when it was restarted. The next report has
// the consequence.
func (c *core) reportRestartFailed(ch *child) {
	if r := c.report(eventRestartFailed, ch, ch.last.Err); r != nil {
		r.inWindow(&c.window, c.now(), "tries again")
		r.emit()
	}
}

// reportGiveUp reports that ch had one restart too many.
func (c *core) reportGiveUp(ch *child) {
	if r := c.report(EventGiveUp, ch, ErrIntensity); r != nil {
		r.fields = append(r.fields, zap.NamedError("cause", guard.Loggable(ch.last.Err)))
		r.inWindow(&c.window, c.now(), "stops all children and fails")
		r.emit()
	}
}

// reportAutoShutdown reports that the supervisor ends because ch has ended.
func (c *core) reportAutoShutdown(ch *child) {
	if r := c.report(eventAutoShutdown, ch, ch.last.Err); r != nil {
		r.fields = append(r.fields, zap.String("next", "stops all children and shuts down"))
		r.emit()
	}
}

// ancestors returns the names above a child of t, the nearest first.
func ancestors(t *actor.Tasklet) []string {
	var names []string
	for ; t != nil; t = t.Parent() {
		names = append(names, t.Name())
	}
	return names
}

// name returns the ID of ch, or for a child of a pool without one, the name of its tasklet.
func (c *core) name(ch *child) string {
	if ch.spec.ID == "" && ch.last.Tasklet != nil {
		return ch.last.Tasklet.Name()
	}
	return ch.spec.ID
}

// affected returns the names of the children that a restart of ch stops or starts, including ch, in
// order of start; at most 20.
func (c *core) affected(ch *child) []string {
	first := c.group(ch)
	if first == nil {
		return []string{c.name(ch)}
	}
	var ids []string
	for e := first; e != nil; e = e.Next() {
		if len(ids) == 20 {
			return append(ids, "...")
		}
		ids = append(ids, e.V.spec.ID)
	}
	return ids
}
