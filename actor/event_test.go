package actor_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// record is run that gives all events.
func record(t *testing.T, main func(t *actor.Tasklet) error) (es []actor.Event) {
	t.Helper()
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(),
		OnEvent: func(e actor.Event) { es = append(es, e) },
	}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
	return es
}

// only gives those of one kind.
func only(es []actor.Event, kind actor.EventKind) (some []actor.Event) {
	for _, e := range es {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// fieldsOf gives what the event adds to its entry.
func fieldsOf(e actor.Event) map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range e.Fields {
		f.AddTo(enc)
	}
	return enc.Fields
}
