package actor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
)

// extension counts how often it was asked for.
var (
	extension = actor.NewExtension(func(*actor.System) *int { return new(int) })
	eventTest = event.New("event_test", zap.WarnLevel)
)

// Rule 21: whoever joins the ref goes on when the functions of OnEnd are through, before or while
// they run, in a tasklet and in a goroutine; what they release is free then. For a ref that ends
// with its tasklet, and for one that a supervisor gives up.
func TestJoinersGoOnAfterOnEnd(t *testing.T) {
	for _, supervised := range []bool{false, true} {
		t.Run(fmt.Sprint(supervised), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
				require.NoError(t, err)
				ref := actor.NewRef[int]()
				body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })
				started := make(chan *actor.Tasklet, 1)
				if supervised {
					actor.Go(s, func(t1 *actor.Tasklet) error {
						var slot *actor.Slot
						slot, start := starter(t, t1, body, func(actor.Exit) { slot.Retire() })
						started <- start()
						return forever(t1)
					})
				} else {
					started <- actor.StartTasklet(s, body)
				}
				k := <-started
				joined := make(chan struct{}, 3)
				join := func() {
					_ = ref.Join(context.Background())
					joined <- struct{}{}
				}
				go join()
				actor.Go(s, func(t *actor.Tasklet) error { _ = ref.Join(t); joined <- struct{}{}; return nil })
				ended := 0
				ref.OnEnd(func() {
					go join()
					time.Sleep(time.Second) // everybody else does what they can
					require.Empty(t, joined)
					require.True(t, ref.IsDead())
					ended++
				})
				cancel := ref.OnEnd(func() { t.Error("called though it was taken back") })
				cancel()
				cancel()
				synctest.Wait()
				k.Kill()
				for range 3 {
					<-joined
				}
				require.Equal(t, 1, ended)
				ref.OnEnd(func() { ended++ })() // at once
				require.Equal(t, 2, ended)
				require.NoError(t, s.Stop(context.Background()))
			})
		})
	}
}

// Between two tasklets a ref is called as the last one, before the first by its own name.
func TestStringOfARefOverARestart(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.Name("planned"))
		require.Equal(t, "planned", ref.String())
		body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })
		slot, start := starter(t, t0, body, nil, actor.Name("worker"))
		k := start()
		require.Equal(t, "/tasklet/worker", ref.String())
		k.Kill()
		require.ErrorIs(t, k.Join(t0), actor.ErrKilled)
		require.Nil(t, ref.Tasklet())
		require.Equal(t, "/tasklet/worker", ref.String())
		require.False(t, ref.IsClosed(), "held")
		slot.Close()
		require.True(t, ref.IsClosed())
		require.False(t, ref.IsDead())
		k = start()
		t0.Yield()
		require.False(t, ref.IsClosed(), "opened again")
		ref.Close()
		require.True(t, ref.IsClosed())
		require.NoError(t, k.Join(t0))
		slot.Retire()
		require.True(t, ref.IsClosed() && ref.IsDead())
		require.Equal(t, "/tasklet/worker", ref.String())
		require.Empty(t, actor.NewRef[int]().String())
		return nil
	})
}

// Extension.Emit gives an event its place in the order; it is told with the next one, before it, or
// by what Emit returns, and not before.
func TestExtensionEmit(t *testing.T) {
	var told []string
	var s *actor.System
	cfg := actor.Config{Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if e.Kind != eventTest {
			return
		}
		told = append(told, fmt.Sprint(e.Path, " ", e.Seq))
		if e.Path == "a" {
			extension.Emit(s, actor.EventRecord{Kind: eventTest, Path: "during a"})
		}
	}}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		s = t0.System()
		extension.Emit(s, actor.EventRecord{Kind: eventTest, Path: "a"})
		extension.Emit(s, actor.EventRecord{Kind: eventTest, Path: "b"})
		require.Empty(t, told)
		s.Emit(actor.EventRecord{Kind: eventTest, Path: "c"})
		require.Equal(t, []string{"a 2", "b 3", "c 4", "during a 5"}, told)
		tell := extension.Emit(s, actor.EventRecord{Kind: eventTest, Tasklet: t0})
		require.Len(t, told, 4)
		tell()
		tell() // nothing is left
		require.Equal(t, "/tasklet 6", told[4])
		return nil
	})
	require.NoError(t, err)
	require.Len(t, told, 5)
}
