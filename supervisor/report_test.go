package supervisor_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// entries is a log as JSON objects.
type entries struct{ buf bytes.Buffer }

func (e *entries) config(level zapcore.Level) actor.Config {
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.CallerKey = "", ""
	enc.EncodeDuration = zapcore.StringDurationEncoder
	return actor.Config{Name: "shop", Seed: 1, Logger: zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(&e.buf)), level))}
}

// of gives the entries of one event, with ids and stacks made the same in every run.
func (e *entries) of(event string) (lines []string) {
	for line := range strings.Lines(e.buf.String()) {
		if strings.Contains(line, `"event":"`+event+`"`) {
			line = regexp.MustCompile(`"tasklet":"[0-9a-f-]+"`).ReplaceAllString(line, `"tasklet":"ID"`)
			line = regexp.MustCompile(`"stack":"goroutine[^"]*report_test.go[^"]*"`).ReplaceAllString(line, `"stack":"STACK"`)
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

type order struct{}

// "Crash reports as OTP's: child id, path, ancestors, restart type, reason, stack, message type,
// mailbox length, restart n of m in the window, what the supervisor does next, all in one entry."
func TestCrashReport(t *testing.T) {
	var log entries
	runWith(t, log.config(zap.DebugLevel), func(t0 *actor.Tasklet) {
		f := newFamily()
		ref := actor.NewRef[order]()
		boom := true
		body := actor.ReceiverBody(ref, func(t *actor.Tasklet, _ order) error {
			if boom {
				panic("no such order")
			}
			return nil
		})
		start(t0, supervisor.Spec{Name: "top", Children: []supervisor.Child{{ID: "orders", Body: supervisor.Body(supervisor.Spec{
			Strategy: supervisor.RestForOne, Intensity: 5, Period: time.Minute, Backoff: supervisor.Backoff{Min: 200 * time.Millisecond},
			Children: []supervisor.Child{f.child("a"), {ID: "b", Restart: supervisor.Transient, Body: body}, f.child("c")},
		})}}})
		for range 3 {
			require.NoError(t, ref.Send(t0, order{}))
		}
		settle(t0)
		boom = false
		t0.Sleep(time.Second)
		f.fail["c"] = []error{errCrash}
		f.send(t0, "c", errCrash)
		t0.Sleep(time.Second)
	})
	require.Equal(t, []string{
		`{"level":"error","msg":"/shop/top/orders/b: restart","system":"shop","event":"restart","tasklet":"ID","path":"/shop/top/orders/b","kind":"receiver",` +
			`"message":"supervisor_test.order","error":"panic: no such order",` +
			`"child":"b","ancestors":["orders","top","shop"],"reason":"panic","mailbox_len":2,"messages_lost":1,` +
			`"restart_type":"transient","strategy":"rest_for_one","attempt":1,"delay_seconds":0.2,"affected":["b","c"],` +
			`"window_restarts":1,"max_restarts":5,"window_seconds":60,"next":"restarts it and those started after it in 200ms","stack":"STACK"}`,
		`{"level":"warn","msg":"/shop/top/orders/c: restart","system":"shop","event":"restart","tasklet":"ID","path":"/shop/top/orders/c","kind":"receiver",` +
			`"message":"*errors.errorString","error":"crash",` +
			`"child":"c","ancestors":["orders","top","shop"],"reason":"error","mailbox_len":0,"messages_lost":1,` +
			`"restart_type":"permanent","strategy":"rest_for_one","attempt":1,"delay_seconds":0.2,"affected":["c"],` +
			`"window_restarts":2,"max_restarts":5,"window_seconds":60,"next":"restarts it and those started after it in 200ms"}`,
		`{"level":"warn","msg":"/shop/top/orders/c: restart","system":"shop","event":"restart","tasklet":"ID","path":"/shop/top/orders/c","kind":"receiver",` +
			`"error":"crash",` +
			`"child":"c","ancestors":["orders","top","shop"],"reason":"error","mailbox_len":0,` +
			`"restart_type":"permanent","strategy":"rest_for_one","attempt":2,"delay_seconds":0.4,"affected":["c"],` +
			`"window_restarts":3,"max_restarts":5,"window_seconds":60,"next":"restarts it and those started after it in 400ms"}`,
	}, log.of("restart"))
	require.Equal(t, []string{
		`{"level":"error","msg":"/shop/top/orders/c: restart_failed","system":"shop","event":"restart_failed","tasklet":"ID","path":"/shop/top/orders/c","kind":"receiver",` +
			`"error":"crash","child":"c","ancestors":["orders","top","shop"],"reason":"error","mailbox_len":0,` +
			`"restart_type":"permanent","strategy":"rest_for_one","window_restarts":2,"max_restarts":5,"window_seconds":60,"next":"tries again"}`,
	}, log.of("restart_failed"))
	for line := range strings.Lines(log.buf.String()) {
		require.True(t, json.Valid([]byte(line)), line)
	}
}

// give_up and auto_shutdown tell their cause; at most 20 of a group are named; a pool has no
// strategy.
func TestOtherReports(t *testing.T) {
	var log entries
	runWith(t, log.config(zap.InfoLevel), func(t0 *actor.Tasklet) {
		f := newFamily()
		var ids []string
		for i := range 30 {
			ids = append(ids, string(rune('A'+i)))
		}
		s := start(t0, supervisor.Spec{Name: "s", Strategy: supervisor.OneForAll, Children: f.children(ids...)})
		f.send(t0, "A", errCrash)
		f.ref("B").Kill()
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)

		f = newFamily()
		c := f.child("a")
		c.Restart, c.Significant = supervisor.Temporary, true
		start(t0, supervisor.Spec{Name: "s2", AutoShutdown: supervisor.AllSignificant, Children: []supervisor.Child{c}})
		f.send(t0, "a", errCrash)

		p := startPool(t0, supervisor.PoolSpec[int]{Name: "p", Child: func(int) supervisor.Child {
			return supervisor.Child{Body: actor.IntervalBody(time.Hour, func(*actor.Tasklet) error { return errCrash })}
		}})
		_, err := p.Start(t0, 0)
		require.NoError(t, err)
		t0.Sleep(time.Hour + time.Second)
	})
	restarts := log.of("restart")
	require.Len(t, restarts, 2)
	require.Contains(t, restarts[0], `"affected":["A","B","C","D","E","F","G","H","I","J","K","L","M","N","O","P","Q","R","S","T","..."]`)
	require.Contains(t, restarts[0], `"next":"restarts all children"`)
	require.Contains(t, restarts[1], `"child":"TestOtherReports.func`)
	require.Contains(t, restarts[1], `"next":"restarts it"`)
	require.NotContains(t, restarts[1], "strategy")
	require.Equal(t, []string{
		`{"level":"error","msg":"/shop/s: give_up","system":"shop","event":"give_up","tasklet":"ID","path":"/shop/s","kind":"supervisor",` +
			`"error":"supervisor: too many restarts","child":"B","ancestors":["s","shop"],"reason":"killed","mailbox_len":0,` +
			`"restart_type":"permanent","strategy":"one_for_all","cause":"actor: killed",` +
			`"window_restarts":2,"max_restarts":1,"window_seconds":5,"next":"stops all children and fails"}`,
	}, log.of("give_up"))
	require.Equal(t, []string{
		`{"level":"info","msg":"/shop/s2: auto_shutdown","system":"shop","event":"auto_shutdown","tasklet":"ID","path":"/shop/s2","kind":"supervisor",` +
			`"message":"*errors.errorString","error":"crash","child":"a","ancestors":["s2","shop"],"reason":"error","mailbox_len":0,` +
			`"restart_type":"temporary","strategy":"one_for_one","next":"stops all children and shuts down"}`,
	}, log.of("auto_shutdown"))
}

// A program that wants to be told when a supervisor gives up compares with EventGiveUp.
func TestEventGiveUp(t *testing.T) {
	var paths []string
	cfg := actor.Config{Name: "app", OnEvent: func(e actor.EventRecord) {
		if e.Kind == supervisor.EventGiveUp {
			paths = append(paths, e.Path)
			require.ErrorIs(t, e.Err, supervisor.ErrIntensity)
		}
	}}
	runWith(t, cfg, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Name: "s", Children: f.children("a", "b")})
		f.send(t0, "a", errCrash)
		t0.Sleep(time.Second)
		f.send(t0, "b", errCrash)
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
	})
	require.Equal(t, []string{"/app/s"}, paths)
}
