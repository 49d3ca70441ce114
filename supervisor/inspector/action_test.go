package inspector_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// post posts an action.
func post(h http.Handler, what, body string, header ...string) (int, string) {
	r := request(http.MethodPost, mount+"api/"+what, header...)
	r.Body = http.NoBody
	if body != "" {
		r.Body = readCloser{strings.NewReader(body)}
	}
	w := do(h, r)
	return w.Code, w.Body.String()
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// actions is a system with a supervisor and what is recorded of the actions.
type actions struct {
	sys    *actor.System
	sup    *supervisor.Supervisor
	starts atomic.Int32 // of the child "worker"

	mu   sync.Mutex
	done []string // "action path who"
}

func newActions(t *testing.T) *actions {
	a := &actions{}
	a.sys = system(t, actor.Config{OnEvent: func(e actor.EventRecord) {
		if e.Kind != inspector.EventAction {
			return
		}
		texts := map[string]string{}
		for _, f := range e.Fields {
			texts[f.Key] = f.String
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.done = append(a.done, strings.Join([]string{texts["action"], e.Path, texts["who"], texts["level"]}, " "))
	}})
	var err error
	a.sup, err = supervisor.Start(a.sys, supervisor.Spec{Name: "s", Intensity: supervisor.Unlimited, Children: []supervisor.Child{
		{ID: "worker", Body: actor.GoBody(func(t *actor.Tasklet) error { a.starts.Add(1); return waiting(t) })},
		{ID: "other", Body: actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil })},
	}})
	require.NoError(t, err)
	return a
}

func (a *actions) log() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.done...)
}

// child returns the tasklet of a child of s.
func (a *actions) child(name string) *actor.Tasklet {
	for _, c := range a.sup.Tasklet().Children() {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// Nothing can be done unless it is allowed, and then by nobody who is not let in.
func TestActionsNeedAllowActions(t *testing.T) {
	a := newActions(t)
	h := inspector.Handler(a.sys, inspector.LogLevel(zap.NewAtomicLevel()))
	w := a.child("worker")
	for _, what := range []string{"tasklet/" + id(w) + "/kill", "tasklet/" + id(w) + "/restart", "tasklet/" + id(w) + "/drain", "loglevel", "nothing"} {
		code, body := post(h, what, `{"level":"debug"}`)
		require.Equal(t, 403, code)
		require.Contains(t, body, "AllowActions")
	}
	require.False(t, w.HasFinished())
	allowed := inspector.Handler(a.sys, inspector.AllowActions())
	code, _ := post(allowed, "tasklet/"+id(w)+"/kill", "", "Sec-Fetch-Site", "cross-site")
	require.Equal(t, 403, code)
	code, _ = post(allowed, "tasklet/"+id(w)+"/kill", "", "Host", "evil.example")
	require.Equal(t, 403, code)
	code, _ = post(allowed, "tasklet/"+id(w)+"/kill", "", "Remote", "10.0.0.1:1")
	require.Equal(t, 403, code)
	require.Equal(t, 405, do(allowed, request(http.MethodPut, mount+"api/tasklet/"+id(w)+"/kill")).Code)
	require.NotEqual(t, 200, do(allowed, request(http.MethodGet, mount+"api/tasklet/"+id(w)+"/kill")).Code)
	require.False(t, w.HasFinished())
	require.Empty(t, a.log())
}

// A kill has the cause and who did it, a restart counts as no failure, and each is one event.
func TestActions(t *testing.T) {
	a := newActions(t)
	level := zap.NewAtomicLevel()
	h := inspector.Handler(a.sys, inspector.AllowActions(), inspector.LogLevel(level),
		inspector.Authorize(func(r *http.Request) (string, bool) { return r.Header.Get("X-User"), true }))
	eventually(t, func() bool { return a.starts.Load() == 1 })
	act := func(tk *actor.Tasklet, action string) {
		t.Helper()
		code, body := post(h, "tasklet/"+id(tk)+"/"+action, "", "X-User", "ada\nlovelace")
		require.Equal(t, 200, code, body)
		require.Equal(t, action, object(t, []byte(body))["action"])
	}
	worker := a.child("worker")
	act(worker, "kill")
	eventually(t, worker.HasFinished)
	exit, _ := worker.Exit()
	var killed *actor.Killed
	require.True(t, errors.As(exit.Err, &killed))
	require.Equal(t, `inspector: kill by ada\nlovelace`, killed.Cause.Error())
	eventually(t, func() bool { return a.starts.Load() == 2 })

	eventually(t, func() bool { w := a.child("worker"); return w != nil && w != worker })
	again := a.child("worker")
	act(again, "restart")
	require.True(t, again.HasFinished())
	eventually(t, func() bool { return a.starts.Load() == 3 })

	other := a.child("other")
	act(other, "drain")
	eventually(t, other.HasFinished)

	require.Equal(t, []string{
		"kill /shop/s/worker ada\nlovelace ", "restart /shop/s/worker ada\nlovelace ", "drain /shop/s/other ada\nlovelace ",
	}, a.log())

	// A child that was stopped is started by its supervisor.
	require.NoError(t, a.sup.StopChild(t.Context(), "worker"))
	code, body := post(h, "tasklet/"+id(a.sup.Tasklet())+"/start", `{"child":"worker"}`)
	require.Equal(t, 200, code, body)
	eventually(t, func() bool { return a.starts.Load() == 4 })

	require.Equal(t, "info", get(t, h, "system")["log_level"])
	code, body = post(h, "loglevel", `{"level":"debug"}`, "X-User", "ada")
	require.Equal(t, 200, code, body)
	require.Equal(t, zap.DebugLevel, level.Level())
	require.Equal(t, "loglevel /shop ada debug", a.log()[4])
	require.Equal(t, true, get(t, h, "system")["actions"])
}

// What cannot be done is refused, with the reason.
func TestActionErrors(t *testing.T) {
	a := newActions(t)
	h := inspector.Handler(a.sys, inspector.AllowActions())
	w := a.child("worker")
	for _, c := range []struct {
		what, body string
		code       int
		why        string
	}{
		{"tasklet/" + id(w) + "/fly", "", 404, "no such action"},
		{"nothing", "", 404, "no such action"},
		{"tasklet/x/kill", "", 400, "not the ID"},
		{"tasklet/00000000-0000-0000-0000-000000000000/kill", "", 404, "no tasklet"},
		{"tasklet/" + id(w) + "/kill", "{", 400, "body"},
		{"tasklet/" + id(w) + "/kill", `{"child":"` + strings.Repeat("x", 5000) + `"}`, 400, "body"},
		{"tasklet/" + id(a.sys.Root()) + "/restart", "", 409, "not a child of a supervisor"},
		{"tasklet/" + id(w) + "/start", `{"child":"x"}`, 409, "not a supervisor"},
		{"tasklet/" + id(a.sup.Tasklet()) + "/start", `{"child":"nobody"}`, 409, "no child"},
		{"tasklet/" + id(a.sup.Tasklet()) + "/start", `{"child":"worker"}`, 409, "running"},
		{"loglevel", `{"level":"debug"}`, 409, "LogLevel"},
	} {
		code, body := post(h, c.what, c.body)
		require.Equal(t, c.code, code, "%s: %s", c.what, body)
		require.Contains(t, body, c.why, c.what)
	}
	level := zap.NewAtomicLevel()
	h = inspector.Handler(a.sys, inspector.AllowActions(), inspector.LogLevel(level))
	for _, bad := range []string{"", "loud", "fatal", "panic"} {
		code, _ := post(h, "loglevel", `{"level":"`+bad+`"}`)
		require.Equal(t, 400, code, bad)
	}
	require.Equal(t, zap.InfoLevel, level.Level())
}

// A supervisor whose scheduler is held holds up the action, and nothing else, for as long as the
// request lasts.
func TestActionDoesNotHang(t *testing.T) {
	a := newActions(t)
	h := inspector.Handler(a.sys, inspector.AllowActions())
	w := a.child("worker")
	release := make(chan struct{}, 1)
	defer func() { release <- struct{}{} }()
	begun := make(chan struct{})
	for range a.sys.Schedulers() {
		actor.Go(a.sys, func(*actor.Tasklet) error { begun <- struct{}{}; spin(release); return nil }, actor.Spread())
	}
	<-begun
	time.Sleep(10 * time.Millisecond)
	done := make(chan int, 1)
	go func() { code, _ := post(h, "tasklet/"+id(w)+"/kill", ""); done <- code }()
	require.Equal(t, 200, <-done)
	require.Equal(t, "/shop/s", get(t, h, "tasklet/"+id(a.sup.Tasklet()))["path"])
}

// slow runs f in a bubble with a supervised child that takes 20 seconds to end.
func slow(t *testing.T, f func(t *testing.T, h http.Handler, child *actor.Tasklet, starts *atomic.Int32)) {
	inBubble(t, func(t *testing.T, sys *actor.System, _ http.Handler) {
		var starts atomic.Int32
		s, err := supervisor.Start(sys, supervisor.Spec{Name: "s", Children: []supervisor.Child{
			{ID: "slow", Shutdown: time.Minute, Body: actor.GoBody(func(t *actor.Tasklet) error {
				starts.Add(1)
				t.Defer(func() { t.Sleep(20 * time.Second) })
				return waiting(t)
			})},
			{ID: "once", Restart: supervisor.Temporary, Body: actor.GoBody(waiting)},
		}})
		require.NoError(t, err)
		synctest.Wait()
		f(t, inspector.Handler(sys, inspector.AllowActions()), s.Tasklet().Children()[0], &starts)
	})
}

// A restart goes on when its request is over, because the browser has gone or the child takes long
// to end. Otherwise the child would stay stopped.
func TestRestartOutlivesItsRequest(t *testing.T) {
	for _, gone := range []bool{true, false} {
		slow(t, func(t *testing.T, h http.Handler, child *actor.Tasklet, starts *atomic.Int32) {
			r := request(http.MethodPost, mount+"api/tasklet/"+id(child)+"/restart")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w := make(chan *httptest.ResponseRecorder, 1)
			go func() { w <- do(h, r.WithContext(ctx)) }()
			time.Sleep(time.Second)
			// The same once more is refused as long as it goes on.
			code, body := post(h, "tasklet/"+id(child)+"/restart", "")
			require.Equal(t, 409, code)
			require.Contains(t, body, "restart is not over")
			if gone {
				cancel()
				<-w
			} else {
				answer := <-w
				require.Equal(t, 202, answer.Code)
				require.Equal(t, true, object(t, answer.Body.Bytes())["pending"])
			}
			require.EqualValues(t, 1, starts.Load())
			time.Sleep(25 * time.Second)
			synctest.Wait()
			require.EqualValues(t, 2, starts.Load(), "the child stays stopped")
			code, body = post(h, "tasklet/"+id(child)+"/restart", "")
			require.Equal(t, 404, code)
			require.Contains(t, body, "no tasklet has this ID")
		})
	}
}

// What has ended is not killed once more, and a child that would not be started again is not
// stopped.
func TestActionsOnWhatHasEnded(t *testing.T) {
	slow(t, func(t *testing.T, h http.Handler, child *actor.Tasklet, _ *atomic.Int32) {
		once := child.Parent().Children()[1]
		code, body := post(h, "tasklet/"+id(once)+"/restart", "")
		require.Equal(t, 409, code)
		require.Contains(t, body, "temporary")
		require.False(t, once.HasFinished())
		once.Kill()
		synctest.Wait()
		for _, action := range []string{"kill", "drain", "restart", "start"} {
			code, body = post(h, "tasklet/"+id(once)+"/"+action, "")
			require.Equal(t, 404, code, action)
			require.Contains(t, body, "no tasklet has this ID", action)
		}
		// While it ends, it can be killed again, and drained once at a time.
		for range 3 {
			code, _ = post(h, "tasklet/"+id(child)+"/kill", "")
			require.Equal(t, 200, code)
		}
		code, _ = post(h, "tasklet/"+id(child)+"/drain", "")
		require.Equal(t, 200, code)
		code, _ = post(h, "tasklet/"+id(child)+"/drain", "")
		require.Equal(t, 409, code)
	})
}

// The root of a system without a main is drained with all that is below it.
func TestDrainOfTheRoot(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, _ http.Handler) {
		h := inspector.Handler(sys, inspector.AllowActions())
		handled := 0
		ref := actor.Receiver(sys, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Second); handled++; return nil })
		for i := range 5 {
			require.NoError(t, ref.Send(t.Context(), i))
		}
		code, body := post(h, "tasklet/"+id(sys.Root())+"/drain", "")
		require.Equal(t, 200, code, body)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 5, handled)
		require.True(t, sys.Root().HasFinished())
	})
}

// A body that is not understood is refused, rather than done without what was not understood.
func TestActionBody(t *testing.T) {
	sys := system(t, actor.Config{})
	level := zap.NewAtomicLevel()
	h := inspector.Handler(sys, inspector.AllowActions(), inspector.LogLevel(level))
	for _, bad := range []string{
		`[]`, `"debug"`, `1`, `{"level":1}`, `{"levle":"debug"}`, `{"level":"debug","x":1}`, `{"level":"debug"}{"level":"error"}`,
		`{"level":"debug"}x`, `level=debug`, `{"level":"debug"` + strings.Repeat(" ", 5000) + `}`, "\xff", `{"level":"debug"}` + strings.Repeat(" ", 5000),
	} {
		code, body := post(h, "loglevel", bad, "Content-Type", "text/plain")
		require.Equal(t, 400, code, bad)
		require.Contains(t, body, "JSON object", bad)
	}
	require.Equal(t, zap.InfoLevel, level.Level())
	code, _ := post(h, "loglevel", " {\"level\":\"debug\"}\n")
	require.Equal(t, 200, code)
}
