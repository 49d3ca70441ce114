package actor_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// In a flood of panics only the first 100 of a second have their stack, for each function and each
// type of value. When a second has passed, the next have theirs. The limit depends only on the
// virtual clock, so that a run can be repeated.
func TestStacksInAFlood(t *testing.T) {
	const each = 100
	flood := func() (taken []bool) {
		cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
			var p *actor.PanicError
			if e.Kind != event.Failure && e.Kind != event.Exit || !errors.As(e.Err, &p) {
				return
			}
			s := e.Stack.String()
			require.True(t, strings.HasPrefix(s, "stack not taken: 100 others") != strings.Contains(s, "TestStacksInAFlood"), s)
			require.Same(t, e.Stack, p.Stack)
			taken = append(taken, strings.Contains(s, "TestStacksInAFlood"))
		}}
		err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			r := actor.Receiver(t0, func(_ *actor.Tasklet, v any) error { panic(v) }, actor.MailboxLen(2*each))
			crash := func(n int, v any) []bool {
				taken = nil
				for range n {
					require.NoError(t, r.Send(t0, v))
				}
				for len(taken) < n {
					t0.Yield()
				}
				require.Len(t, taken, n)
				return taken
			}
			want := func(first, n int) (bs []bool) {
				for i := range n {
					bs = append(bs, i < first)
				}
				return bs
			}
			require.Equal(t, want(each, each+20), crash(each+20, "boom"))
			t0.Sleep(time.Second - time.Millisecond)
			require.Equal(t, want(0, 5), crash(5, "boom"), "it is the same second")
			require.Equal(t, want(1, 1), crash(1, errors.New("another")), "a value of another type")
			taken = nil
			other := actor.Go(t0, func(*actor.Tasklet) error { panic("boom") })
			require.Error(t, other.Join(t0))
			require.Equal(t, want(1, 1), taken, "another function")
			t0.Sleep(time.Millisecond)
			require.Equal(t, want(each, each+1), crash(each+1, "boom"), "the next second")
			t0.Sleep(time.Hour)
			require.Equal(t, want(each, each+1), crash(each+1, "boom"), "after a pause")
			taken = nil
			var none map[string]int
			for range each + 20 { // tasklets of one function
				_ = actor.Go(t0, func(*actor.Tasklet) error {
					none["x"]++
					return nil
				}).Join(t0)
			}
			require.Equal(t, want(each, each+20), taken, "errors of the runtime")
			return nil
		})
		require.NoError(t, err)
		return taken
	}
	require.Equal(t, flood(), flood())
}

// Other ends than panics are not counted, and a Goexit has no stack.
func TestNoStackWithoutPanic(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for range 200 {
			require.ErrorIs(t, actor.Go(t0, func(*actor.Tasklet) error { runtime.Goexit(); return nil }).Join(t0), actor.ErrGoexit)
		}
		var p *actor.PanicError
		require.ErrorAs(t, actor.Go(t0, func(*actor.Tasklet) error { panic(1) }).Join(t0), &p)
		require.Contains(t, p.Stack.String(), "TestNoStackWithoutPanic")
		return nil
	})
}
