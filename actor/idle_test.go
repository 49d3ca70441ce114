package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// idleRun runs main on a virtual clock and returns what it has said, with the time of each.
func idleRun(t *testing.T, main func(t *actor.Tasklet, say func(string))) (said []string, events []actor.EventRecord) {
	t.Helper()
	cfg := actor.Config{
		Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{}),
		OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Failure || e.Kind == event.MessageLost || e.Kind == event.Exit && e.Err != nil {
				events = append(events, e)
			}
		},
	}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		begin := t.System().Now()
		main(t, func(what string) {
			said = append(said, fmt.Sprint(t.System().Now().Sub(begin).Milliseconds(), " ", what))
		})
		return nil
	})
	require.NoError(t, err)
	return said, events
}

func TestIdleAfter(t *testing.T) {
	errIdle := errors.New("idle")
	const d = 10 * time.Millisecond
	for _, c := range []struct {
		name string
		main func(t *actor.Tasklet, say func(string))
		want []string
	}{
		{"again and again, and anew after a message", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(_ *actor.Tasklet, m int) error { say(fmt.Sprint(m)); return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error { say("idle"); return nil }))
			t.Sleep(25 * time.Millisecond)
			_ = r.Send(t, 1)
			t.Sleep(7 * time.Millisecond)
			_ = r.Send(t, 2)
			t.Sleep(15 * time.Millisecond)
		}, []string{"10 idle", "20 idle", "25 1", "32 2", "42 idle"}},
		{"it ends the tasklet", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error { return actor.ErrStop }))
			say(fmt.Sprint(r.Join(t)))
		}, []string{"10 <nil>"}},
		{"a failure is resumed", func(t *actor.Tasklet, say func(string)) {
			n := 0
			r := actor.Receiver(t, func(_ *actor.Tasklet, m int) error { say(fmt.Sprint(m)); return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error {
					say("idle")
					if n++; n == 1 {
						panic(errIdle)
					}
					return errIdle
				}))
			t.Sleep(25 * time.Millisecond)
			_ = r.Send(t, 1)
			t.Yield()
		}, []string{"10 idle", "20 idle", "25 1"}},
		{"a failure ends it", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.OnFailure(actor.End),
				actor.IdleAfter(d, func(*actor.Tasklet) error { panic(errIdle) }))
			say(fmt.Sprint(errors.Is(r.Join(t), errIdle)))
		}, []string{"10 true"}},
		{"it may block, and messages wait", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(_ *actor.Tasklet, m int) error { say(fmt.Sprint(m)); return nil },
				actor.IdleAfter(d, func(t *actor.Tasklet) error { say("idle"); t.Sleep(5 * time.Millisecond); say("over"); return nil }))
			t.Sleep(12 * time.Millisecond)
			_ = r.Send(t, 1)
			t.Sleep(8 * time.Millisecond)
		}, []string{"10 idle", "15 over", "15 1"}},
		{"a handler may block: that is no wait for a message", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { t.Sleep(30 * time.Millisecond); say(fmt.Sprint(m)); return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error { say("idle"); return nil }))
			_ = r.Send(t, 1)
			t.Sleep(45 * time.Millisecond)
		}, []string{"30 1", "40 idle"}},
		{"with state, and changed by it", func(t *actor.Tasklet, say func(string)) {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				sum := 0
				t.SetIdle(d, func(t *actor.Tasklet) error {
					say(fmt.Sprint("sum ", sum))
					t.SetIdle(2*d, func(*actor.Tasklet) error { say("long"); t.SetIdle(d, nil); return nil })
					return nil
				})
				return func(_ *actor.Tasklet, m int) error { sum += m; return nil }, nil
			}), actor.IdleAfter(time.Hour, nil))
			_ = ref.Send(t, 1)
			_ = ref.Send(t, 2)
			t.Sleep(100 * time.Millisecond)
		}, []string{"10 sum 3", "30 long"}},
		{"a close ends it", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error { say("idle"); return nil }))
			t.Sleep(15 * time.Millisecond)
			r.Close()
			say(fmt.Sprint(r.Join(t)))
			t.Sleep(50 * time.Millisecond)
		}, []string{"10 idle", "15 <nil>"}},
		{"a kill ends it", func(t *actor.Tasklet, say func(string)) {
			r := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
				actor.IdleAfter(d, func(*actor.Tasklet) error { say("idle"); return nil }))
			t.Sleep(15 * time.Millisecond)
			r.Kill()
			say(fmt.Sprint(errors.Is(r.Join(t), actor.ErrKilled)))
			t.Sleep(50 * time.Millisecond)
		}, []string{"10 idle", "15 true"}},
		{"with Retry, in a slot: the next tasklet begins anew", func(t *actor.Tasklet, say func(string)) {
			ref := actor.NewRef[any]()
			tries := 0
			body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, m any) error {
				say(fmt.Sprint(m))
				if tries++; tries == 1 {
					return errIdle
				}
				return nil
			})
			again := make(chan struct{}, 1)
			slot, err := actor.NewSlot(t, body, func(actor.Exit) { again <- struct{}{} },
				actor.IdleAfter(d, func(*actor.Tasklet) error { say("idle"); return nil }), actor.Retry(1))
			if err != nil {
				panic(err)
			}
			_, _ = slot.Start(t)
			t.Sleep(15 * time.Millisecond)
			_ = ref.Send(t, "x")
			t.Sleep(time.Millisecond)
			<-again
			_, _ = slot.Start(t)
			t.Sleep(15 * time.Millisecond)
		}, []string{"10 idle", "15 x", "16 x", "26 idle"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			said, events := idleRun(t, c.main)
			require.Equal(t, c.want, said)
			for _, e := range events {
				if errors.Is(e.Err, errIdle) && c.name != "with Retry, in a slot: the next tasklet begins anew" {
					require.NotEqual(t, event.MessageLost, e.Kind, "no message was in hand")
					require.Zero(t, e.Count)
				}
			}
		})
	}
}

// A limit on the wait costs a receiver at most 64 bytes, and no stack.
func TestIdleAfterIsSmall(t *testing.T) {
	if raceEnabled || checked {
		t.Skip("they allocate")
	}
	run(t, func(t0 *actor.Tasklet) error {
		const n = 10_000
		size := func(opts ...actor.Option) float64 {
			var before, after runtime.MemStats
			refs := make([]actor.Ref[int], n)
			runtime.GC()
			runtime.ReadMemStats(&before)
			for i := range refs {
				refs[i] = actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, opts...)
			}
			t0.Yield()
			t0.Yield()
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(refs)
			return float64(after.HeapAlloc-before.HeapAlloc+after.StackInuse-before.StackInuse) / n
		}
		idle := actor.IdleAfter(time.Hour, func(*actor.Tasklet) error { return nil })
		size(idle) // the run queue grows
		plain, limited := size(), size(idle)
		require.Less(t, limited-plain, 65.0, "%v and %v bytes", plain, limited)
		return nil
	})
}

// A session that nobody uses for a minute ends.
func ExampleIdleAfter() {
	_ = actor.Run(context.Background(), actor.Config{
		Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{}),
	}, func(t *actor.Tasklet) error {
		begin := t.System().Now()
		session := actor.Receiver(t, func(_ *actor.Tasklet, page string) error {
			fmt.Println("show", page)
			return nil
		}, actor.IdleAfter(time.Minute, func(*actor.Tasklet) error { return actor.ErrStop }))
		_ = session.Send(t, "/")
		t.Sleep(50 * time.Second)
		_ = session.Send(t, "/cart")
		err := session.Join(t)
		fmt.Println("over after", t.System().Now().Sub(begin), err)
		return nil
	})
	// Output:
	// show /
	// show /cart
	// over after 1m50s <nil>
}
