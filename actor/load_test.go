package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// Load counts what is queued, in hand, and in line, and nothing that has left the line, however it
// did: for senders on the same scheduler, on another one, and before the first start.
func TestLoadOfARef(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		for at := range 2 {
			for _, started := range []bool{true, false} {
				ref := actor.NewRef[int](actor.MailboxLen(2))
				begin := func() {
					actor.StartTasklet(t0, actor.SpawnBody(ref, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
						t.Sleep(time.Minute)
						for range in.Receive() {
							t.Sleep(time.Minute)
						}
						return nil
					}), actor.OnScheduler(at))
				}
				if started {
					begin()
				}
				t0.Sleep(time.Second)
				require.Zero(t, ref.Load())
				require.NoError(t, ref.Send(t0, 1))
				require.NoError(t, ref.Send(t0, 2))
				require.Equal(t, 2, ref.Load())
				stays := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 3) })
				killed := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 4) })
				late := actor.Go(t0, func(t *actor.Tasklet) error {
					ctx, cancel := actor.WithTimeout(t, 2*time.Second)
					defer cancel()
					return ref.Send(ctx, 5)
				})
				timer := actor.SendAfter(t0, 0, ref, 6)
				t0.Sleep(time.Second)
				require.Equal(t, 6, ref.Load())
				require.Equal(t, 2, ref.Len())
				killed.Kill()
				require.ErrorIs(t, killed.Join(t0), actor.ErrKilled)
				require.ErrorIs(t, late.Join(t0), context.DeadlineExceeded)
				require.True(t, timer.Stop())
				t0.Sleep(time.Second)
				require.Equal(t, 3, ref.Load())
				if !started {
					begin()
				}
				t0.Sleep(90 * time.Second)
				require.Equal(t, 3, ref.Load(), "one in hand, two queued")
				require.NoError(t, stays.Join(t0))
				t0.Sleep(time.Minute)
				require.Equal(t, 2, ref.Load())
				t0.Sleep(time.Hour)
				require.Zero(t, ref.Load())
				ref.Close()
				require.NoError(t, ref.Join(t0))
				require.Zero(t, ref.Load())
			}
		}
	})
}
