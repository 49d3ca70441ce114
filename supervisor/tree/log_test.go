package tree_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// treeEvery runs a supervisor for half a minute that writes its tree every ten seconds, and has a
// child that holds the scheduler.
func treeEvery(t *testing.T, logger *zap.Logger) {
	synctest.Test(t, func(t *testing.T) {
		require.NoError(t, actor.Run(context.Background(), actor.Config{Name: "app", Logger: logger}, func(t0 *actor.Tasklet) error {
			start(t0, supervisor.Spec{Name: "top", LogEvery: 10 * time.Second, Children: []supervisor.Child{
				{ID: "hog", Restart: supervisor.Temporary, Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(15 * time.Second)
					time.Sleep(10 * time.Second)
					return nil
				})},
			}})
			t0.Sleep(32 * time.Second)
			return nil
		}))
	})
}

// Each key is in the entry once, whatever writes it, and a time has the same number everywhere.
func TestTreeIsTheSameInZapAndSlog(t *testing.T) {
	zapLog, zapBuf := jsonLog()
	treeEvery(t, zapLog)
	var slogBuf, textBuf bytes.Buffer
	treeEvery(t, zap.New(actor.SlogCore(slog.NewJSONHandler(&slogBuf, nil))))
	treeEvery(t, zap.New(actor.SlogCore(slog.NewTextHandler(&textBuf, nil))))
	for _, log := range []string{zapBuf.String(), slogBuf.String()} {
		for line := range strings.Lines(log) {
			requireKeysOnce(t, line)
		}
		require.Contains(t, log, `"window_seconds":5`)
		require.NotContains(t, log, `"window":`)
	}
	require.NotContains(t, textBuf.String(), "map[")
	require.Contains(t, textBuf.String(), "└─ hog", "the tree is readable as text")
	for line := range strings.Lines(textBuf.String()) {
		require.True(t, strings.HasPrefix(line, "time="), line)
	}
}
