package inspector_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// request returns a request as one from this machine that is no browser.
func request(method, target string, header ...string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr, r.Host = "127.0.0.1:50000", "localhost:8080"
	for i := 0; i < len(header); i += 2 {
		switch header[i] {
		case "Host":
			r.Host = header[i+1]
		case "Remote":
			r.RemoteAddr = header[i+1]
		default:
			r.Header.Add(header[i], header[i+1])
		}
	}
	return r
}

// do returns h's answer to a request.
func do(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

const mount = "/debug/tasklets/"

// get returns the object that an endpoint answers.
func get(tb testing.TB, h http.Handler, what string) map[string]any {
	tb.Helper()
	w := do(h, request(http.MethodGet, mount+"api/"+what))
	require.Equal(tb, http.StatusOK, w.Code, "%s: %s", what, w.Body)
	require.Equal(tb, "application/json", w.Header().Get("Content-Type"))
	return object(tb, w.Body.Bytes())
}

// refused returns the error that an endpoint answers with a code.
func refused(tb testing.TB, h http.Handler, r *http.Request, code int) string {
	tb.Helper()
	w := do(h, r)
	require.Equal(tb, code, w.Code, "%s", w.Body)
	return object(tb, w.Body.Bytes())["error"].(string)
}

func object(tb testing.TB, text []byte) (o map[string]any) {
	tb.Helper()
	require.NoError(tb, json.Unmarshal(text, &o), "%s", text)
	return o
}

// list returns the rows of a list.
func list(o map[string]any, name string) (rows []map[string]any) {
	all, _ := o[name].([]any)
	for _, r := range all {
		rows = append(rows, r.(map[string]any))
	}
	return rows
}

// find returns the row in which key is value, or nil.
func find(rows []map[string]any, key string, value any) map[string]any {
	for _, r := range rows {
		if r[key] == value {
			return r
		}
	}
	return nil
}

// system starts a real system, which ends with the test.
func system(tb testing.TB, cfg actor.Config) *actor.System {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	if cfg.Name == "" {
		cfg.Name = "shop"
	}
	s, err := actor.Start(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = s.Stop(ctx)
	})
	return s
}

// waiting is a body that runs until it is killed.
func waiting(t *actor.Tasklet) error {
	t.Sleep(1000 * time.Hour)
	return nil
}

// eventually waits until ok, in real time, because the system is real.
func eventually(tb testing.TB, ok func() bool) {
	tb.Helper()
	require.Eventually(tb, ok, 20*time.Second, time.Millisecond)
}

// start starts a supervisor, which must succeed.
func start(t *actor.Tasklet, spec supervisor.Spec) *supervisor.Supervisor {
	s, err := supervisor.Start(t, spec)
	if err != nil {
		panic(err)
	}
	return s
}

func id(t *actor.Tasklet) string { return t.ID().String() }

func lines(s string) []string { return strings.Split(strings.TrimSuffix(s, "\n"), "\n") }
