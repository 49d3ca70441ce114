package work

import (
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Kinds of events that queues emit, besides those of package actor and supervisor.EventRestart and
// EventGiveUp for workers. The strings are the values of the key "event".
var (
	// EventRetry means that a try has failed and another one follows.
	EventRetry = event.New("work_retry", zap.WarnLevel)
	// EventSetAside means that Spec.Dead has accepted messages that have used up their tries.
	EventSetAside = event.New("work_set_aside", zap.ErrorLevel)
)

// verdictNone is the verdict about nothing.
const verdictNone verdictKind = 255

// report emits the event for v. by is the tasklet whose try has failed.
func (q *Queue[M]) report(by *actor.Tasklet, v *verdict[M]) {
	e := actor.EventRecord{Tasklet: by, Err: v.err, Count: v.n, Message: messageType[M]()}
	if v.g != nil {
		e.Path = v.g.worker
		e.Fields = append(e.Fields, zap.String("queue", q.path()), zap.Int("tries", v.g.past+v.g.tries))
	}
	switch v.what {
	case verdictRetry:
		e.Kind = EventRetry
		e.Fields = append(e.Fields, zap.Duration("delay", v.delay), zap.String("next", "tries again"))
	case verdictSplit:
		e.Kind = EventRetry
		e.Fields = append(e.Fields, zap.Duration("delay", 0), zap.String("next", "tries each message alone"))
	case verdictSetAside:
		e.Kind = EventSetAside
	case verdictLost:
		e.Kind, e.Tasklet, e.Path = event.DeadLetter, q.Tasklet(), q.path()
		why := "tries"
		if q.spec.Dead != nil {
			why = "dead"
			e.Fields = append(e.Fields, zap.NamedError("cause", guard.Loggable(v.g.err)))
		}
		e.Fields = append(e.Fields, zap.String("target", q.path()), zap.String("reason", why))
	default:
		return
	}
	q.sys.Emit(e)
}

// reportDrop reports a message that the policy has dropped.
func (q *Queue[M]) reportDrop() {
	q.mu.Lock()
	sys := q.sys
	q.mu.Unlock()
	if sys == nil {
		return // Stats counts it
	}
	e := actor.EventRecord{Kind: event.Overflow, Tasklet: q.Tasklet(), Path: q.path(), Message: messageType[M](), Count: 1}
	sys.Emit(e)
	e.Kind, e.Err = event.DeadLetter, mailbox.ErrDropped
	e.Fields = []zap.Field{zap.String("target", e.Path), zap.String("reason", "dropped")}
	sys.Emit(e)
}

// reportEnd reports the n messages that were left when the queue has ended permanently.
func (q *Queue[M]) reportEnd(sys *actor.System, n int) {
	path := q.path()
	sys.Emit(actor.EventRecord{
		Kind: event.DeadLetter, Tasklet: q.Tasklet(), Path: path, Err: mailbox.ErrClosed, Message: messageType[M](), Count: n,
		Fields: []zap.Field{zap.String("target", path), zap.String("reason", "closed")},
	})
}

// reportRestart reports that the worker in place i is started again after delay.
func (k *keeper[M]) reportRestart(i int, last actor.Exit, delay time.Duration) {
	e := actor.EventRecord{
		Kind: supervisor.EventRestart, Tasklet: last.Tasklet, Path: last.Path, Err: last.Err, Message: messageType[M](),
		Fields: []zap.Field{
			zap.String("child", workerName(i)), zap.Stringer("reason", last.Kind),
			zap.Int("attempt", k.places[i].restarts), zap.Duration("delay", delay),
		},
	}
	if p, ok := guard.As[*actor.PanicError](last.Err); ok {
		e.Stack = p.Stack
	}
	k.t.System().Emit(e)
}

// reportGiveUp reports that the worker in place i has ended once too often.
func (k *keeper[M]) reportGiveUp(i int, last actor.Exit) {
	e := actor.EventRecord{
		Kind: supervisor.EventGiveUp, Tasklet: k.t, Err: supervisor.ErrIntensity,
		Fields: []zap.Field{
			zap.String("child", workerName(i)), zap.Stringer("reason", last.Kind),
			zap.NamedError("cause", guard.Loggable(last.Err)), zap.String("next", "stops all workers and fails"),
		},
	}
	if p, ok := guard.As[*actor.PanicError](last.Err); ok {
		e.Stack = p.Stack
	}
	k.t.System().Emit(e)
}
