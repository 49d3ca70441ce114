//go:build unix

package tree_test

import (
	"context"
	"io"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// A signal brings the tree, also while the scheduler is held, and does not end the process.
func TestOnSignal(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGUSR1, syscall.SIGQUIT} {
		sys, err := actor.Start(actor.Config{Name: "sample", Logger: zap.NewNop(), StallAfter: -1})
		require.NoError(t, err)
		held, release := make(chan struct{}), make(chan struct{})
		actor.Go(sys, func(*actor.Tasklet) error { close(held); <-release; return nil }, actor.Name("hog"))
		<-held
		r, w := io.Pipe()
		logger := zap.New(zapcore.NewCore(
			zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.Lock(zapcore.AddSync(w)), zap.InfoLevel,
		))
		var stop func()
		if sig == syscall.SIGUSR1 {
			stop = tree.OnSignal(sys, logger) // one of those by default
		} else {
			stop = tree.OnSignal(sys, logger, sig)
		}
		require.NoError(t, syscall.Kill(syscall.Getpid(), sig))
		buf := make([]byte, 1<<16)
		n, err := r.Read(buf)
		require.NoError(t, err)
		require.Contains(t, string(buf[:n]), "supervision tree  system=sample tasklets=2 ")
		require.Contains(t, strings.Join(strings.Fields(string(buf[:n])), " "), "└─ hog task running")
		stop()
		stop()
		close(release)
		require.NoError(t, sys.Stop(context.Background()))
	}
}
