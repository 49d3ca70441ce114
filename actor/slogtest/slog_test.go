// Package slogtest tests the line with zapslog in the documentation of actor.SlogCore.
package slogtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"regexp"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
)

// zapslog is the way from log/slog to zap: what a tasklet, or a library that it uses, logs with
// slog is in the log of the system.
func Example() {
	enc := zapcore.EncoderConfig{MessageKey: "msg", LevelKey: "level", EncodeLevel: zapcore.CapitalLevelEncoder}
	var out bytes.Buffer
	logger := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(&out)), zap.InfoLevel))

	_ = actor.Run(context.Background(), actor.Config{Name: "shop", Logger: logger}, func(t *actor.Tasklet) error {
		log := slog.New(zapslog.NewHandler(t.Log().Core()))
		log.Info("open", "doors", 2)
		log.Debug("nobody wants to know")
		log.WithGroup("till").Error("stuck", "err", errors.New("out of paper"))
		return nil
	})
	// ids, which differ from run to run
	fmt.Print(regexp.MustCompile(`"tasklet":"[^"]*",`).ReplaceAllString(out.String(), ""))
	// Output:
	// {"level":"INFO","msg":"system started","system":"shop","event":"system_start","path":"/shop","kind":"main"}
	// {"level":"INFO","msg":"open","system":"shop","path":"/shop","doors":2}
	// {"level":"ERROR","msg":"stuck","system":"shop","path":"/shop","till":{"err":"out of paper"}}
	// {"level":"INFO","msg":"system stopped","system":"shop","event":"system_stop","path":"/shop","kind":"main"}
}

// There and back: a logger of slog that writes to a zap core that writes to a handler of slog.
func Example_thereAndBack() {
	handler := slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})
	log := slog.New(zapslog.NewHandler(actor.SlogCore(handler)))
	log.Warn("stuck", "err", errors.New("out of paper"), slog.Group("till", "n", 7))
	// Output: level=WARN msg=stuck err="out of paper" till.n=7
}
