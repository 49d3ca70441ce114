package queue_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/queue"
)

// opener is a task that opens a mailbox and never reads it.
type opener struct{ box *queue.Queue[int] }

func (o *opener) Run(t *core.Task) { o.box.Open(t) }

// A send that waits for room, from a goroutine or from a task of a scheduler that is no kin, ends
// when the scheduler of the mailbox was given up; also if the mailbox had none when the wait began.
func TestSendWhenGone(t *testing.T) {
	for _, early := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			home, other := core.New(core.Config{}), core.New(core.Config{})
			box := queue.New[int](queue.Config{Cap: 1})
			for box.TrySend(context.Background(), 1) == nil {
			}
			errs := make(chan error, 2)
			send := func() {
				go func() { errs <- box.Send(context.Background(), 2) }()
				synctest.Wait()
			}
			if early {
				send()
			}
			go func() { _ = home.Run() }()
			reader := new(core.Task)
			reader.Init(home, 1, &opener{box})
			home.InjectFunc(reader.Wake)
			synctest.Wait()
			if !early {
				send()
			}
			go func() { _ = other.Run() }()
			sender := new(core.Task)
			sender.Init(other, 1, runFunc(func(t *core.Task) {
				errs <- box.Send(t, 3)
				t.Finish()
			}))
			other.InjectFunc(sender.Wake)
			synctest.Wait()
			if len(errs) > 0 {
				t.Fatal(<-errs, "before")
			}
			home.GiveUp()
			for range 2 {
				if err := <-errs; !errors.Is(err, queue.ErrClosed) {
					t.Error(err)
				}
			}
			home.Stop()
			other.Stop()
		})
	}
}

type runFunc func(*core.Task)

func (f runFunc) Run(t *core.Task) { f(t) }
