package actor_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// A chain of escalations that nobody handles is one entry at level error, that of its last link.
// Each link but the last is at debug.
func TestEscalationThatNobodyHandlesIsAnError(t *testing.T) {
	for _, levels := range []int{1, 3} {
		core, logs := observer.New(zap.DebugLevel)
		cfg := actor.Config{Name: "shop", Logger: zap.New(core), Clock: scheduler.NewVirtualClock(time.Time{})}
		err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			f := func(*actor.Tasklet) error { return errTest }
			for n := range levels {
				inner := f
				f = func(p *actor.Tasklet) error {
					actor.Go(p, inner, actor.OnFailure(actor.Escalate), actor.Name(fmt.Sprint("level", n)))
					p.Sleep(time.Hour)
					return nil
				}
			}
			return f(t0)
		})
		require.ErrorIs(t, err, errTest)
		var errors []string
		for _, e := range logs.All() {
			if e.Level >= zap.ErrorLevel {
				errors = append(errors, fmt.Sprint(e.ContextMap()["event"], " ", e.Message))
			}
		}
		require.Equal(t, []string{fmt.Sprintf("escalate failure of /shop/level%d kills its parent", levels-1)}, errors)
	}
}
