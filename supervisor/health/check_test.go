package health_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/health"
)

// inBubble runs f with a system in a bubble with a clock of its own.
func inBubble(t *testing.T, f func(t *testing.T, sys *actor.System)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
		require.NoError(t, err)
		f(t, sys)
		require.NoError(t, sys.Stop(context.Background()))
	})
}

type badError struct{}

func (badError) Error() string { panic("no text") }

// Whatever a check does, the answer comes at its limit, and names it.
func TestChecks(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System) {
		var forever sync.WaitGroup
		forever.Add(1)
		defer forever.Done()
		ready := health.Ready(sys, health.Options{Checks: []health.Check{
			{Name: "good", Func: func(context.Context) error { return nil }},
			{Name: "error", Func: func(context.Context) error { return errors.New("refused\nok") }},
			{Name: "long", Func: func(context.Context) error { return errors.New(strings.Repeat("x", 10000)) }},
			{Name: "empty", Func: func(context.Context) error { return errors.New("") }},
			{Name: "bad error", Func: func(context.Context) error { return badError{} }},
			{Name: "panic", Func: func(context.Context) error { panic("boom") }},
			{Name: "goexit", Func: func(context.Context) error { runtime.Goexit(); return nil }},
			{Name: "context", Timeout: 2 * time.Second, Func: func(ctx context.Context) error {
				<-ctx.Done()
				time.Sleep(time.Nanosecond)
				return ctx.Err()
			}},
			{Name: "forever", Timeout: 3 * time.Second, Func: func(context.Context) error { forever.Wait(); return nil }},
		}})
		begin := time.Now()
		code, body := get(ready, "Accept", "text/plain")
		require.Equal(t, 503, code)
		require.Equal(t, 3*time.Second, time.Since(begin))
		lines := strings.Split(body, "\n")
		require.Less(t, len(lines[3]), 400)
		lines[3] = lines[3][:15]
		require.Equal(t, []string{
			"fail", "check good: ok", `check error: refused\nok`, "check long: xxx", "check empty: an error without a text",
			`check "bad error": Error of health_test.badError panicked: no text`, "check panic: panicked: boom",
			"check goexit: called runtime.Goexit", "check context: has not returned for 2s", "check forever: has not returned for 3s",
		}, lines)
	})
}

// A check that has not returned is not called again, so a flood leaves no goroutines, and it is
// called again when it has returned.
func TestCheckThatBlocks(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System) {
		release := make(chan struct{})
		var calls atomic.Int32
		ready := health.Ready(sys, health.Options{Checks: []health.Check{{Name: "db", Func: func(context.Context) error {
			calls.Add(1)
			<-release
			return nil
		}}}})
		synctest.Wait()
		before := runtime.NumGoroutine()
		const want = `{"status":"fail","checks":[{"name":"db","status":"fail","problem":"has not returned for %s"}]}`
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				_, body := get(ready)
				require.Equal(t, fmt.Sprintf(want, "1s"), body)
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		begin := time.Now()
		for range 100 { // from now on no request waits
			_, body := get(ready)
			require.Equal(t, fmt.Sprintf(want, "2s"), body)
		}
		require.Zero(t, time.Since(begin))
		require.EqualValues(t, 1, calls.Load())
		require.LessOrEqual(t, runtime.NumGoroutine(), before+2)
		close(release)
		time.Sleep(time.Second)
		_, body := get(ready)
		require.Equal(t, `{"status":"ok","checks":[{"name":"db","status":"ok"}]}`, body)
		require.EqualValues(t, 2, calls.Load())
		get(ready)
		require.EqualValues(t, 2, calls.Load(), "the result is used for a while")
		time.Sleep(100 * time.Millisecond)
		get(ready)
		require.EqualValues(t, 3, calls.Load())
	})
}

// Checks run at the same time, and their problems add to those of the tree.
func TestChecksRunAtTheSameTime(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System) {
		var checks []health.Check
		for i := range 64 {
			checks = append(checks, health.Check{Name: fmt.Sprint(i), Timeout: time.Minute, Func: func(context.Context) error {
				time.Sleep(10 * time.Second)
				return nil
			}})
		}
		ready := health.Ready(sys, health.Options{Checks: checks})
		begin := time.Now()
		code, _ := get(ready)
		require.Equal(t, 200, code)
		require.Equal(t, 10*time.Second, time.Since(begin))
	})
}

// The extreme timeouts.
func TestCheckTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System) {
		for d, code := range map[time.Duration]int{0: 200, 1: 503, time.Hour: 200, math.MaxInt64: 200} {
			ready := health.Ready(sys, health.Options{Checks: []health.Check{{Name: "c", Timeout: d, Func: func(context.Context) error {
				time.Sleep(500 * time.Millisecond)
				return nil
			}}}})
			got, body := get(ready)
			require.Equal(t, code, got, "%v %s", d, body)
			time.Sleep(time.Second)
		}
	})
}
