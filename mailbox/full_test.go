package mailbox_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// A mailbox is full from the first send that finds no room until there is room, whatever happens to
// that send.
func TestFullFor(t *testing.T) {
	found := 0
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, seed))
		policy := []mailbox.Policy{mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest}[seed%4]
		cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
		require.ErrorIs(t, actor.Run(context.Background(), cfg, func(root *actor.Tasklet) error {
			sys := root.System()
			size := 1 + r.IntN(5)
			var box actor.Ref[int]
			var fullAt time.Time // the truth; zero if there is room or no send has found none
			stats := func() mailbox.Stats { return *box.Tasklet().Glance().Mailbox }
			look := func() {
				if stats().Len < size {
					fullAt = time.Time{}
				}
			}
			box = actor.Receiver(root, func(t *actor.Tasklet, _ int) error {
				look()
				t.Sleep(time.Duration(1+r.IntN(2000)) * time.Millisecond)
				return nil
			}, actor.MailboxLen(size), actor.Overflow(policy))
			for i := range 400 {
				root.Sleep(time.Duration(1+r.IntN(700)) * time.Millisecond)
				look()
				full := stats().Len == size
				if r.IntN(2) == 0 {
					if full && fullAt.IsZero() {
						fullAt = sys.Now()
					}
					if policy == mailbox.Block && r.IntN(2) == 0 {
						actor.Go(root, func(t *actor.Tasklet) error { return box.Send(t, i) })
						root.Yield()
					} else {
						_ = box.TrySend(root, i)
					}
					look()
				}
				root.Sleep(time.Duration(1+r.IntN(100)) * time.Millisecond)
				look()
				if fullAt.IsZero() {
					require.Zero(t, stats().FullFor, "%v, %d of %d", policy, stats().Len, size)
				} else {
					require.Equal(t, sys.Now().Sub(fullAt), stats().FullFor, "%v", policy)
					found++
				}
			}
			root.Kill() // senders may wait
			root.Yield()
			return nil
		}), actor.ErrKilled)
	}
	require.Greater(t, found, 1000)
}

// Senders on other goroutines find a mailbox full too.
func TestFullForOutside(t *testing.T) {
	for _, policy := range []mailbox.Policy{mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest} {
		synctest.Test(t, func(t *testing.T) {
			sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
			require.NoError(t, err)
			box := actor.Receiver(sys, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Minute); return nil },
				actor.MailboxLen(2), actor.Overflow(policy))
			check := func(want time.Duration) {
				t.Helper()
				synctest.Wait()
				got := *box.Tasklet().Glance().Mailbox
				require.InDelta(t, want.Seconds(), got.FullFor.Seconds(), 0.01, "%v: %+v", policy, got)
			}
			send := func() {
				go func() { _ = box.Send(context.Background(), 1) }()
				synctest.Wait()
			}
			for range 3 {
				send()
			}
			time.Sleep(time.Second)
			check(0) // no send has found it full
			send()
			time.Sleep(10 * time.Second)
			check(10 * time.Second)
			send()
			time.Sleep(10 * time.Second)
			check(20 * time.Second)
			time.Sleep(40 * time.Second) // one is taken; under Block, the next one comes in at once
			if policy == mailbox.Block {
				check(60 * time.Second)
				time.Sleep(time.Minute)
				check(120 * time.Second)
				time.Sleep(time.Minute)
			}
			check(0)
			send()
			send()
			time.Sleep(time.Second)
			check(time.Second)
			require.NoError(t, sys.Stop(context.Background()))
		})
	}
}
