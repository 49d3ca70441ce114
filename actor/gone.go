package actor

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// leftBehind is what those get who wait for t, which has not finished and whose system has ended.
func (t *Tasklet) leftBehind() error { return &JoinError{t, ErrStopped} }

// whenGone rings bell when nobody needs to wait for s any more, for a task of another system: those
// of its own are ended with it.
func whenGone(by *core.Task, s *core.Scheduler, bell core.Work) (stop func() bool) {
	if s == nil || by.Scheduler().Kin(s) {
		return func() bool { return false }
	}
	return context.AfterFunc(s.Gone(), func() { by.Scheduler().Inject(bell) })
}

// gone is closed when nobody needs to wait for t any more: what can be told by then was.
func (t *Tasklet) gone() <-chan struct{} { return t.task.Scheduler().Gone().Done() }
