package actor

import (
	"context"

	"github.com/gotasklet/tasklet/internal/core"
)

// leftBehind returns the error for waits for t, which has not finished although its system has
// ended.
func (t *Tasklet) leftBehind() error { return &JoinError{t, ErrStopped} }

// whenGone rings bell when the context s.Gone is done. It is for tasks of another system, because
// the tasks of the same system end with it.
func whenGone(by *core.Task, s *core.Scheduler, bell core.Work) (stop func() bool) {
	if s == nil || by.Scheduler().Kin(s) {
		return func() bool { return false }
	}
	return context.AfterFunc(s.Gone(), func() { by.Scheduler().Inject(bell) })
}

// gone returns a channel that is closed when waiting for t makes no sense any more, because its
// system has ended or was given up. Everything that can be reported of t is reported before.
func (t *Tasklet) gone() <-chan struct{} { return t.task.Scheduler().Gone().Done() }
