package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
)

// What is promised of allocations, with the log off. AllocsPerRun calls the function once before it
// counts, so what the first time allocates does not matter.
func TestAllocations(t *testing.T) {
	if raceEnabled || checked {
		t.Skip("the race detector allocates, and so does a check of the invariants after each step")
	}
	run(t, func(t0 *actor.Tasklet) error {
		count := func(name string, want float64, f func()) {
			t.Helper()
			for range 100 {
				f() // rings and pools grow
			}
			require.Equal(t, want, testing.AllocsPerRun(500, f), name)
		}
		n := 0
		ref := actor.Receiver(t0, func(_ *actor.Tasklet, m int) error { n += m; return nil })
		count("local send and its handling", 0, func() {
			_ = ref.Send(t0, 1)
			t0.Yield()
		})
		require.Positive(t, n)
		count("local TrySend", 0, func() {
			_ = ref.TrySend(t0, 1)
			t0.Yield()
		})
		sorted := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Urgent(func(m int) bool { return m == 2 }))
		count("local sends with Urgent, and their handling", 0, func() {
			for m := range 3 {
				_ = sorted.Send(t0, m)
			}
			t0.Yield()
		})
		full := actor.NewRef[int](actor.MailboxLen(1))
		_ = full.Send(t0, 1)
		count("TrySend that is refused", 0, func() { _ = full.TrySend(t0, 1) })
		narrow := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.MailboxLen(1))
		count("send that parks", 0, func() {
			_ = narrow.Send(t0, 1)
			_ = narrow.Send(t0, 1)
		})

		sq := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { return q.reply.Send(t, q.n*q.n) })
		request := asking(3)
		count("call", 0, func() {
			if v, err := actor.Call(t0, sq, request); v != 9 || err != nil {
				panic(err)
			}
		})
		failed := func(r actor.Reply[int]) ask { return ask{0, r} }
		fails := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { return q.reply.Fail(t, errTest) })
		count("call that fails", 0, func() { _, _ = actor.Call(t0, fails, failed) })
		dead := actor.NewRef[ask]()
		dead.Close()
		count("call that is refused", 0, func() { _, _ = actor.Call(t0, dead, request) })

		outside := func(name string, want float64, f func(ctx context.Context)) {
			_, _ = actor.Await(t0, func(ctx context.Context) (int, error) {
				count(name, want, func() { f(ctx) })
				return 0, nil
			})
		}
		outside("call from a goroutine", 0, func(ctx context.Context) {
			if v, err := actor.Call(ctx, sq, request); v != 9 || err != nil {
				panic(err)
			}
		})
		outside("call from a goroutine that fails", 0, func(ctx context.Context) { _, _ = actor.Call(ctx, fails, failed) })
		outside("call from a goroutine that is refused", 0, func(ctx context.Context) { _, _ = actor.Call(ctx, dead, request) })
		outside("send from a goroutine", 0, func(ctx context.Context) { _ = ref.Send(ctx, 1) })

		count("sleep", 0, func() { t0.Sleep(time.Second) })
		count("yield", 0, func() { t0.Yield() })
		over := actor.Go(t0, func(*actor.Tasklet) error { return nil })
		_ = over.Join(t0)
		count("join of one that has finished", 0, func() { _ = over.Join(t0) })

		// Spawn and exit events cost nothing: the tasklet and the user's closure are all.
		i := 0
		count("Go and Join", 2, func() {
			k := actor.Go(t0, func(*actor.Tasklet) error { i++; return nil })
			if err := k.Join(t0); err != nil {
				panic(err)
			}
		})
		fixed := func(*actor.Tasklet) error { return nil }
		count("Go and Join without a closure", 1, func() { _ = actor.Go(t0, fixed).Join(t0) })
		parks := func(t *actor.Tasklet) error { t.Yield(); return nil }
		count("Go and Join of one that parks", 1, func() { _ = actor.Go(t0, parks).Join(t0) })
		return nil
	})
}
