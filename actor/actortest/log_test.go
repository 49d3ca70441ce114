package actortest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
)

// Fatal in a tasklet fails the test with the entry, and ends the tasklet, where it would end the
// process.
func TestFatalFailsTheTest(t *testing.T) {
	for name, opts := range map[string][]actortest.Option{
		"given": nil,
		"nop":   {actortest.Configure(func(c *actor.Config) { c.Logger = zap.NewNop() })},
	} {
		t.Run(name, func(t *testing.T) {
			after := false
			rec := actortest.Recorded(t, func(tb testing.TB) {
				actortest.Run(tb, func(t0 *actor.Tasklet) {
					_ = actor.Go(t0, func(t *actor.Tasklet) error {
						t.Log().Fatal("no disk\nERROR forged")
						after = true
						return nil
					}).Join(t0)
					t0.Sleep(time.Hour)
					after = true
				}, opts...)
			})
			require.True(t, rec.Failed())
			require.False(t, after)
			require.Contains(t, rec.Text(), "an entry at level fatal: no disk")
			require.NotContains(t, rec.Text(), "\nERROR forged")
			require.False(t, strings.Contains(rec.Text(), "goexit"), rec.Text())
		})
	}
}
