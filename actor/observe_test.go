package actor_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// An observer gets the events of level info and above that nobody else takes, in order and with
// their numbers, and those below that the log takes anyway. After cancel it gets nothing.
func TestObserve(t *testing.T) {
	for _, level := range []zap.AtomicLevel{zap.NewAtomicLevelAt(zap.FatalLevel), zap.NewAtomicLevelAt(zap.DebugLevel)} {
		cfg := zap.NewProductionConfig()
		cfg.Level, cfg.OutputPaths, cfg.Sampling = level, nil, nil
		logger, err := cfg.Build()
		require.NoError(t, err)
		require.NoError(t, actor.Run(t.Context(), actor.Config{Logger: logger}, func(t2 *actor.Tasklet) error {
			s := t2.System()
			var kinds []event.Kind
			var last uint64
			cancel := vitals.Observe(s, func(e any, at int8) {
				r := e.(*actor.EventRecord)
				require.Greater(t, r.Seq, last)
				if r.Kind != event.MessageLost {
					require.EqualValues(t, r.Kind.Level(), at)
				}
				last = r.Seq
				kinds = append(kinds, r.Kind)
			})
			other := vitals.Observe(s, func(any, int8) {})
			s.Emit(actor.EventRecord{Kind: event.Spawn})
			s.Emit(actor.EventRecord{Kind: event.TicksMissed})
			s.Emit(actor.EventRecord{Kind: event.SystemStart})
			// This one is at level debug.
			s.Emit(actor.EventRecord{Kind: event.MessageLost, Err: &actor.PanicError{}})
			other()
			s.Emit(actor.EventRecord{Kind: event.Stall})
			cancel()
			s.Emit(actor.EventRecord{Kind: event.Stall})
			want := []event.Kind{event.Spawn, event.TicksMissed, event.SystemStart, event.MessageLost, event.Stall}
			if level.Level() == zap.FatalLevel {
				want = want[1:]
			}
			require.Equal(t, want, kinds)
			return nil
		}))
	}
}

// Details and the stack of a tasklet are known from outside.
func TestDetails(t *testing.T) {
	require.NoError(t, actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t2 *actor.Tasklet) error {
		w := actor.Receiver(t2, func(*actor.Tasklet, int) error { return nil }, actor.OnFailure(actor.Escalate), actor.Shutdown(actor.Infinity))
		cancel := actor.Watch(t2, w.Tasklet(), actor.NewRef[actor.Exit](), func(e actor.Exit) actor.Exit { return e })
		d := vitals.DetailsOf(w.Tasklet())
		require.Equal(t, vitals.Details{
			Watchers: []string{t2.Path()}, Watched: 1, OnFailure: "escalate", Overflow: "Block", Shutdown: actor.Infinity,
		}, d)
		cancel()
		require.Zero(t, vitals.DetailsOf(w.Tasklet()).Watched)
		require.Contains(t, string(vitals.StackOf(t2)), "TestDetails")
		require.Nil(t, vitals.StackOf(w.Tasklet()))
		return nil
	}))
}
