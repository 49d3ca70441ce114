package actor_test

import (
	"context"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// Wait is a word for the call in which a tasklet is parked, and On the tasklet that it waits for.
func TestInfoWait(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		hour := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
		slow := actor.Receiver(t0, func(t *actor.Tasklet, _ actor.Reply[int]) error { return hour(t) },
			actor.Name("slow"), actor.MailboxLen(1))
		var lock scheduler.Mutex
		holder := actor.Go(t0, func(t *actor.Tasklet) error { _ = lock.Lock(t); return hour(t) }, actor.Name("holder"))
		call := func(t *actor.Tasklet) error {
			_, err := actor.Call(t, slow, func(r actor.Reply[int]) actor.Reply[int] { return r })
			return err
		}
		read := func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			_, err := box.Next(t)
			return err
		}
		t0.Sleep(time.Second)
		for _, c := range []struct {
			task *actor.Tasklet
			want string
		}{
			{holder, "parked in sleep on "},
			{actor.Spawn(t0, read).Tasklet(), "parked in receive on "},
			{actor.Go(t0, func(t *actor.Tasklet) error { return lock.Lock(t) }), "parked in mutex held by on /tasklet/holder"},
			{actor.Go(t0, func(t *actor.Tasklet) error { return holder.Join(t) }), "parked in join on /tasklet/holder"},
			{actor.Go(t0, call), "parked in call to on /tasklet/slow"}, // it is handled
			{actor.Go(t0, call), "parked in call to on /tasklet/slow"}, // it fills the mailbox
			{actor.Go(t0, call), "parked in send to on /tasklet/slow"},
			{actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }).Tasklet(), "idle in  on "},
			{t0, "running in  on "},
		} {
			if c.task != t0 {
				t0.Sleep(time.Second)
			}
			i := c.task.Info()
			require.Equal(t, c.want, fmt.Sprintf("%s in %s on %s", i.State, i.Wait, i.On))
			var g actor.Glance = c.task.Glance()
			require.Equal(t, i.Glance.Wait, g.Wait)
			require.False(t, g.Stalled)
		}
		_, err := actor.Await(t0, func(context.Context) (int, error) {
			require.Equal(t, "await", t0.Info().Wait)
			return 0, nil
		})
		return err
	})
}

// The type of a message is told of a tasklet that takes some, and that of the value in hand of one
// that was killed.
func TestInfoMessage(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		busy := actor.Receiver(t0, func(t *actor.Tasklet, m any) error { return forever(t) })
		k := busy.Tasklet()
		require.Equal(t, reflect.TypeFor[any](), k.Info().Message)
		require.Nil(t, t0.Info().Message)
		require.NoError(t, busy.Send(t0, 7))
		t0.Sleep(time.Second)
		k.Kill()
		require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
		require.Equal(t, reflect.TypeFor[int](), k.InHand())

		idle := actor.Receiver(t0, func(_ *actor.Tasklet, m int) error { return nil })
		k = idle.Tasklet()
		idle.Close()
		require.NoError(t, k.Join(t0))
		require.Nil(t, k.InHand())
		return nil
	})
}

// KilledFor is the time since the kill, also of a tasklet that is still busy with its end.
func TestInfoKilledFor(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(time.Minute) })
			return forever(t)
		})
		t0.Sleep(time.Second)
		require.Zero(t, k.Info().KilledFor)
		k.Kill()
		t0.Sleep(2 * time.Second)
		i := k.Info()
		require.Equal(t, []any{"stopping", 2 * time.Second}, []any{i.State, i.KilledFor})
		return nil
	})
}
