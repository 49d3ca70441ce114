package actor_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// A walk over a large family gives up the lock from time to time. Whatever comes, goes, starts and
// ends in between: a slot that is there from the beginning to the end is seen once, none is seen
// twice, and the order is that of the slots.
func TestWalkOverAFamilyThatChanges(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		run(t, func(t0 *actor.Tasklet) error {
			var all []*actor.Slot          // in order
			at := map[*actor.Slot]int{}    // where it stands in all
			gone := map[*actor.Slot]bool{} // retired
			add := func() {
				s, err := actor.NewSlot(t0, actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }), nil)
				require.NoError(t, err)
				at[s] = len(all)
				all = append(all, s)
			}
			for range 100 + r.IntN(900) {
				add()
			}
			change := func(s *actor.Slot) {
				switch {
				case gone[s]:
				case s.Tasklet() == nil && r.IntN(2) == 0:
					_, err := s.Start(t0)
					require.NoError(t, err)
				default:
					require.NoError(t, s.Stop(t0))
					if r.IntN(3) == 0 {
						s.Retire()
						gone[s] = true
					}
				}
			}
			for range 100 {
				change(all[r.IntN(len(all))])
			}
			before := len(all)
			wasGone := map[*actor.Slot]bool{}
			for s := range gone {
				wasGone[s] = true
			}
			seen := map[*actor.Slot]bool{}
			last := -1
			actor.EachChild(t0, func(s *actor.Slot, _ *actor.Tasklet) {
				require.NotNil(t, s)
				require.False(t, seen[s], "seed %d: twice", seed)
				require.False(t, wasGone[s], "seed %d: it was retired before", seed)
				require.Greater(t, at[s], last, "seed %d: order", seed)
				seen[s], last = true, at[s]
				switch r.IntN(8) {
				case 0:
					add()
				case 1:
					change(all[r.IntN(len(all))])
				case 2: // what is near is what comes next
					change(all[min(len(all)-1, last+r.IntN(200))])
				}
			})
			for _, s := range all[:before] {
				if !gone[s] {
					require.True(t, seen[s], "seed %d: %d of %d was missed", seed, at[s], before)
				}
			}
			require.Zero(t, actor.Walks(t0.System()))
			require.NoError(t, t0.System().Check())
			return nil
		})
	}
}

// Several walks at once, from goroutines, while tasklets start and end.
func TestWalksAtOnce(t *testing.T) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	require.NoError(t, err)
	var stay []*actor.Tasklet
	top := actor.Go(sys, func(t0 *actor.Tasklet) error {
		for range 1000 {
			stay = append(stay, actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }).Tasklet())
			actor.Go(t0, func(t *actor.Tasklet) error { t.Yield(); return nil })
		}
		t0.Yield()
		for range 2000 {
			actor.Go(t0, func(t *actor.Tasklet) error { return nil })
			t0.Yield()
		}
		return nil
	})
	done := make(chan bool)
	for range 3 {
		go func() {
			defer func() { done <- true }()
			for top.Err() == nil {
				seen := map[*actor.Tasklet]bool{}
				for _, c := range top.Children() {
					if seen[c] {
						t.Error("twice")
					}
					seen[c] = true
				}
			}
		}()
	}
	for range 3 {
		<-done
	}
	_ = top.Join(context.Background())
	require.Zero(t, actor.Walks(sys))
	require.Len(t, stay, 1000)
	require.NoError(t, sys.Stop(context.Background()))
}
