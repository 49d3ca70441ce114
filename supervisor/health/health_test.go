package health_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/health"
)

var errBad = errors.New("bad: password=hunter2")

// get returns the code and the body of h's answer to a GET.
func get(h http.Handler, header ...string) (int, string) {
	r := httptest.NewRequest(http.MethodGet, "/readyz", nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, strings.TrimSuffix(w.Body.String(), "\n")
}

const (
	ok      = `{"status":"ok"}`
	problem = `{"status":"fail","problems":[{"path":"%s","problem":"%s"}]}`
)

func requireOK(tb testing.TB, h http.Handler) {
	tb.Helper()
	code, body := get(h)
	require.Equal(tb, ok, body)
	require.Equal(tb, http.StatusOK, code)
}

func requireProblem(tb testing.TB, h http.Handler, path, what string) {
	tb.Helper()
	code, body := get(h)
	require.Equal(tb, fmt.Sprintf(problem, path, what), body)
	require.Equal(tb, http.StatusServiceUnavailable, code)
}

// failing is the body of a child that runs until the ref gets a message.
func failing(ref actor.Ref[string]) actor.Body {
	return actor.ReceiverBody(ref, func(*actor.Tasklet, string) error { return errBad })
}

// waiting runs until it is killed.
func waiting(t *actor.Tasklet) error {
	t.Sleep(1000 * time.Hour)
	return nil
}

// A child in backoff is a problem from the end of the grace time to its restart. The error of the
// child, which may quote a message, is not shown. The tree is live all the time.
func TestRestarting(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		live, ready := health.Live(t.System(), health.Options{}), health.Ready(t.System(), health.Options{})
		ref := actor.NewRef[string]()
		_, err := supervisor.Start(t, supervisor.Spec{
			Name: "s", Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: 20 * time.Second},
			Children: []supervisor.Child{{ID: "a", Body: failing(ref)}, {ID: "b", Body: actor.GoBody(waiting)}},
		})
		require.NoError(tb, err)
		requireOK(tb, ready)
		require.NoError(tb, ref.Send(t, "hunter2"))
		t.Sleep(5*time.Second - time.Millisecond)
		requireOK(tb, ready)
		t.Sleep(100 * time.Millisecond)
		requireProblem(tb, ready, "/test/s/a", "restarting for 5s")
		requireOK(tb, live)
		t.Sleep(14 * time.Second)
		requireProblem(tb, ready, "/test/s/a", "restarting for 19s")
		t.Sleep(time.Second)
		requireOK(tb, ready)
		// It fails again at once: the seconds before count, because it was up for a moment only.
		require.NoError(tb, ref.Send(t, "hunter2"))
		t.Sleep(150 * time.Millisecond)
		requireProblem(tb, ready, "/test/s/a", "restarting for 20s")
		t.Sleep(40 * time.Second)
		requireOK(tb, ready)
		// Then it is up for so long that the next failure is a first one.
		t.Sleep(time.Minute)
		requireOK(tb, ready)
		require.NoError(tb, ref.Send(t, "hunter2"))
		t.Sleep(150 * time.Millisecond)
		requireOK(tb, ready)
	}, actortest.Allow(event.Exit, "/test/s/a"), actortest.Allow(event.DeadLetter, "/test/s/a"))
}

// There is no grace before everything has run once: neither for an init that takes long, nor for a
// supervisor above it that is not in a slot.
func TestStarting(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ready := health.Ready(t.System(), health.Options{Grace: time.Minute})
		slow := func(d time.Duration) actor.Body {
			return actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (actor.Handler[int], error) {
				t.Sleep(d)
				return func(*actor.Tasklet, int) error { return nil }, nil
			})
		}
		var sup *supervisor.Supervisor
		starter := actor.Go(t, func(t *actor.Tasklet) (err error) {
			sup, err = supervisor.Start(t, supervisor.Spec{Name: "s", Children: []supervisor.Child{{ID: "a", Body: slow(10 * time.Second)}}})
			if err != nil {
				return err
			}
			return waiting(t)
		}, actor.Name("main"))
		t.Sleep(2 * time.Second)
		code, body := get(ready)
		require.Equal(tb, 503, code)
		require.Equal(tb, `{"status":"fail","problems":[{"path":"/test/main/s","problem":"starting for 0s"},`+
			`{"path":"/test/main/s/a","problem":"starting for 0s"}]}`, body)
		t.Sleep(9 * time.Second)
		requireOK(tb, ready)
		// From then on there is.
		t.Sleep(time.Second)
		actor.Go(t, func(t *actor.Tasklet) error {
			_, err := sup.StartChild(t, supervisor.Child{ID: "b", Body: slow(2 * time.Minute)})
			return err
		})
		t.Sleep(time.Second)
		requireOK(tb, ready)
		t.Sleep(time.Minute)
		requireProblem(tb, ready, "/test/main/s/b", "starting for 1m0s")
		t.Sleep(time.Minute)
		requireOK(tb, ready)
		// A child that was stopped, and one that has ended normally, should not run.
		require.NoError(tb, sup.StopChild(t, "b"))
		t.Sleep(time.Second)
		requireOK(tb, ready)
		starter.Kill()
	})
}

// A supervisor in no slot that has given up is a problem until one with its path is started, or its
// parent ends. One in a slot is started again.
func TestGivenUp(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ready := health.Ready(t.System(), health.Options{})
		start := func(t *actor.Tasklet, ref actor.Ref[string]) *supervisor.Supervisor {
			s, err := supervisor.Start(t, supervisor.Spec{
				Name: "s", Intensity: supervisor.NoRestart, Children: []supervisor.Child{{ID: "a", Body: failing(ref)}},
			})
			require.NoError(tb, err)
			return s
		}
		breakIt := func(t *actor.Tasklet) {
			ref := actor.NewRef[string]()
			s := start(t, ref)
			require.NoError(tb, ref.Send(t, "x"))
			require.ErrorIs(tb, s.Tasklet().Join(t), supervisor.ErrIntensity)
			t.Sleep(time.Second)
		}
		breakIt(t)
		requireProblem(tb, ready, "/test/s", "has given up")
		t.Sleep(time.Hour)
		requireProblem(tb, ready, "/test/s", "has given up")
		again := start(t, actor.NewRef[string]())
		t.Sleep(time.Second)
		requireOK(tb, ready)
		require.NoError(tb, again.Drain(t))

		part := actor.Go(t, func(t *actor.Tasklet) error {
			breakIt(t)
			requireProblem(tb, ready, "/test/part/s", "has given up")
			return nil
		}, actor.Name("part"))
		require.NoError(tb, part.Join(t))
		t.Sleep(time.Second)
		requireOK(tb, ready)

		ref := actor.NewRef[string]()
		_, err := supervisor.Start(t, supervisor.Spec{Name: "top", Children: []supervisor.Child{{ID: "s", Body: supervisor.Body(supervisor.Spec{
			Intensity: supervisor.NoRestart, Children: []supervisor.Child{{ID: "a", Body: failing(ref)}},
		})}}})
		require.NoError(tb, err)
		require.NoError(tb, ref.Send(t, "x"))
		t.Sleep(time.Second)
		requireOK(tb, ready)
	}, actortest.Allow(event.Exit, "/test/..."), actortest.Allow(event.DeadLetter, "/test/..."), actortest.Limit(3*time.Hour))
}

// Supervisors that give up again and again under derived names take no memory without bound, and
// each counts.
func TestGivenUpOften(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		for range 100 {
			ref := actor.NewRef[string]()
			s, err := supervisor.Start(t, supervisor.Spec{
				Intensity: supervisor.NoRestart, Children: []supervisor.Child{{ID: "a", Body: failing(ref)}},
			})
			require.NoError(tb, err)
			require.NoError(tb, ref.Send(t, "x"))
			require.Error(tb, s.Tasklet().Join(t))
		}
		_, body := get(health.Ready(t.System(), health.Options{MaxRows: 3}))
		var a answer
		require.NoError(tb, json.Unmarshal([]byte(body), &a))
		require.Len(tb, a.Problems, 3)
		require.Equal(tb, 97, a.More)
	}, actortest.Allow(event.Exit, "/test/..."), actortest.Allow(event.DeadLetter, "/test/..."))
}

// answer is the JSON of a response.
type answer struct {
	Status   string
	Problems []struct{ Path, Problem string }
	More     int
	Checks   []struct{ Name, Status, Problem string }
}

// A child that was killed and does not end is a problem.
func TestKilled(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ready := health.Ready(t.System(), health.Options{})
		s, err := supervisor.Start(t, supervisor.Spec{Name: "s", Children: []supervisor.Child{{ID: "a", Body: actor.GoBody(func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(20 * time.Second) })
			return waiting(t)
		})}}})
		require.NoError(tb, err)
		requireOK(tb, ready)
		t.Sleep(time.Second)
		infos, err := s.Children(t)
		require.NoError(tb, err)
		infos[0].Tasklet.Kill()
		t.Sleep(4 * time.Second)
		requireOK(tb, ready)
		t.Sleep(2 * time.Second)
		requireProblem(tb, ready, "/test/s/a", "ending for 6s")
		t.Sleep(20 * time.Second)
		requireOK(tb, ready)
	}, actortest.Allow(event.Exit, "/test/s/a"))
}

// A system that drains is live and not ready, and one that has stopped is neither.
func TestEndOfASystem(t *testing.T) {
	for name, stop := range map[string]func(*actor.System, context.Context) error{
		"draining": (*actor.System).Drain, "stopping": (*actor.System).Stop,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
				require.NoError(t, err)
				live, ready := health.Live(sys, health.Options{}), health.Ready(sys, health.Options{})
				actor.Go(sys, func(t *actor.Tasklet) error {
					t.Defer(func() { t.Sleep(3 * time.Second) })
					t.OnDrain(func() { t.Kill() })
					return waiting(t)
				})
				synctest.Wait()
				requireOK(t, live)
				requireOK(t, ready)
				over := make(chan error, 1)
				go func() { over <- stop(sys, context.Background()) }()
				time.Sleep(time.Second)
				requireOK(t, live)
				requireProblem(t, ready, "/app", name)
				<-over // a tasklet was killed
				requireProblem(t, live, "/app", "has stopped")
				requireProblem(t, ready, "/app", "has stopped")
			})
		})
	}
}

// A scheduler that a tasklet holds is noticed, with and without the watchdog, and the answer does
// not wait for it.
func TestHeldScheduler(t *testing.T) {
	for name, after := range map[string]time.Duration{"watchdog": 0, "no watchdog": -1} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop(), Schedulers: 2, StallAfter: after})
				require.NoError(t, err)
				release := make(chan struct{})
				live, ready := health.Live(sys, health.Options{}), health.Ready(sys, health.Options{Hold: 20 * time.Second})
				actor.Go(sys, func(t *actor.Tasklet) error {
					<-release
					return waiting(t)
				}, actor.Name("hog"), actor.OnScheduler(1))
				// Another tasklet is busy, and gives up its scheduler all the time.
				actor.Go(sys, func(t *actor.Tasklet) error {
					for {
						t.Sleep(time.Millisecond)
					}
				})
				synctest.Wait()
				requireOK(t, live)
				requireOK(t, ready)
				time.Sleep(9 * time.Second)
				requireOK(t, live)
				time.Sleep(2 * time.Second)
				begin := time.Now()
				requireProblem(t, live, "/app/hog", "has held scheduler 1 for 11s")
				requireOK(t, ready)
				require.Zero(t, time.Since(begin))
				time.Sleep(10 * time.Second)
				requireProblem(t, ready, "/app/hog", "has held scheduler 1 for 21s")
				close(release)
				time.Sleep(time.Second)
				requireOK(t, live)
				requireOK(t, ready)
				require.NoError(t, sys.Stop(context.Background()))
			})
		})
	}
}

// The watchdog knows of a stall before the first request.
func TestFirstRequestSeesAStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop()})
		require.NoError(t, err)
		release := make(chan struct{})
		actor.Go(sys, func(*actor.Tasklet) error { <-release; return nil }, actor.Name("hog"))
		time.Sleep(12*time.Second + 200*time.Millisecond) // the watchdog samples
		requireProblem(t, health.Live(sys, health.Options{}), "/app/hog", "has held scheduler 0 for 12s")
		close(release)
		require.NoError(t, sys.Stop(context.Background()))
	})
}

// No name can add a line, or end a string of JSON.
func TestHostileNames(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		name := "a\nok\"}<script>\u202e\xff" + strings.Repeat("x", 5000)
		ref := actor.NewRef[string]()
		_, err := supervisor.Start(t, supervisor.Spec{
			Name: "s", Intensity: 10, Backoff: supervisor.Backoff{Min: time.Hour, Max: time.Hour}, Children: []supervisor.Child{{ID: name, Body: failing(ref)}},
		})
		require.NoError(tb, err)
		require.NoError(tb, ref.Send(t, "x"))
		t.Sleep(time.Minute)
		ready := health.Ready(t.System(), health.Options{})
		_, body := get(ready)
		var a answer
		require.NoError(tb, json.Unmarshal([]byte(body), &a))
		require.NotContains(tb, body, "<")
		require.NotContains(tb, body, "\u202e")
		require.NotContains(tb, body, "hunter2")
		require.Len(tb, a.Problems, 1)
		require.Less(tb, len(body), 2000)
		require.True(tb, strings.HasPrefix(a.Problems[0].Path, `/test/s/a\nok"}<script>\u202e\xffxxx`), a.Problems[0].Path)
		_, body = get(ready, "Accept", "text/plain")
		lines := strings.Split(body, "\n")
		require.Len(tb, lines, 2)
		require.Equal(tb, "fail", lines[0])
		require.True(tb, strings.HasSuffix(lines[1], ": restarting for 1m0s"), lines[1])
	}, actortest.Allow(event.Exit, "/test/..."), actortest.Allow(event.DeadLetter, "/test/..."), actortest.Limit(3*time.Hour))
}

// At most MaxRows problems have a row, and the others are counted.
func TestMaxRows(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var children []supervisor.Child
		for i := range 30 {
			children = append(children, supervisor.Child{ID: fmt.Sprint(i), Body: actor.GoBody(func(*actor.Tasklet) error { return errBad })})
		}
		_, err := supervisor.Start(t, supervisor.Spec{Name: "s", Intensity: 100, Backoff: supervisor.Backoff{Min: time.Hour, Max: time.Hour}, Children: children})
		require.NoError(tb, err)
		t.Sleep(time.Minute)
		for rows, want := range map[int]int{0: 20, 1: 1, 29: 29, 30: 30, 1000: 30} {
			_, body := get(health.Ready(t.System(), health.Options{MaxRows: rows}))
			var a answer
			require.NoError(tb, json.Unmarshal([]byte(body), &a))
			require.Len(tb, a.Problems, want)
			require.Equal(tb, 30-want, a.More)
			require.Equal(tb, "/test/s/0", a.Problems[0].Path)
		}
	}, actortest.Allow(event.Exit, "/test/..."), actortest.Limit(3*time.Hour))
}

// A flood of requests shares one survey, and the state of the next 100 ms is not seen before.
func TestFlood(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ready := health.Ready(t.System(), health.Options{})
		for range 1000 {
			requireOK(tb, ready)
		}
		require.Equal(tb, 1, health.Surveys(ready))
		t.Sleep(99 * time.Millisecond)
		requireOK(tb, ready)
		require.Equal(tb, 1, health.Surveys(ready))
		t.Sleep(time.Millisecond)
		requireOK(tb, ready)
		require.Equal(tb, 2, health.Surveys(ready))
	})
}

// Requests from many goroutines, while the tree changes.
func TestManyGoroutines(t *testing.T) {
	sys, err := actor.Start(actor.Config{Name: "app", Logger: zap.NewNop(), Schedulers: 2})
	require.NoError(t, err)
	ref := actor.NewRef[string]()
	_, err = supervisor.Start(sys, supervisor.Spec{
		Intensity: supervisor.Unlimited, Children: []supervisor.Child{{ID: "a", Body: failing(ref)}},
	})
	require.NoError(t, err)
	live := health.Live(sys, health.Options{})
	ready := health.Ready(sys, health.Options{Checks: []health.Check{{Name: "c", Func: func(context.Context) error { return nil }}}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				_ = ref.Send(context.Background(), "x")
				get(live)
				get(ready)
			}
		})
	}
	all.Wait()
	require.NoError(t, sys.Stop(context.Background()))
	code, _ := get(ready)
	require.Equal(t, 503, code)
}

// The protocol: methods, headers and forms.
func TestHTTP(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		for _, h := range []http.Handler{health.Live(t.System(), health.Options{}), health.Ready(t.System(), health.Options{})} {
			for method, code := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "DELETE": 405, "OPTIONS": 405, "get": 405} {
				r := httptest.NewRequest("GET", "/", nil)
				r.Method = method
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(tb, code, w.Code, method)
				require.Equal(tb, "no-store", w.Header().Get("Cache-Control"))
				require.Equal(tb, "nosniff", w.Header().Get("X-Content-Type-Options"))
				switch method {
				case "GET":
					require.Equal(tb, "application/json", w.Header().Get("Content-Type"))
					require.Equal(tb, fmt.Sprint(w.Body.Len()), w.Header().Get("Content-Length"))
				case "HEAD":
					require.Zero(tb, w.Body.Len())
					require.Equal(tb, fmt.Sprint(len(ok)+1), w.Header().Get("Content-Length"))
				default:
					require.Equal(tb, "GET, HEAD", w.Header().Get("Allow"))
				}
			}
			for accept, want := range map[string]string{
				"": ok, "*/*": ok, "text/html, */*;q=0.8": ok, "application/json": ok, "text/plain": "ok",
				"TEXT/Plain; q=0.5": "ok", "text/plain;q=0": ok, "text/plain, application/json": ok,
				"text/plain, application/json;q=0.5": "ok", "text/plain;q=0.1, application/json;q=0.5": ok, ";;,,q=;": ok,
				"text/plain;q=x": "ok",
			} {
				_, body := get(h, "Accept", accept)
				require.Equal(tb, want, body, accept)
			}
		}
	})
}

// Each invalid option is refused with a message that names it.
func TestMisuse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		pass := func(context.Context) error { return nil }
		checks := func(cs ...health.Check) health.Options { return health.Options{Checks: cs} }
		for want, o := range map[string]health.Options{
			"health: Ready with Options.Hold -1ns: it is negative":                                                     {Hold: -1},
			"health: Ready with Options.Grace -2562047h47m16.854775808s: it is negative":                               {Grace: math.MinInt64},
			"health: Ready with Options.MaxRows -1: it is not between 0 and 1000":                                      {MaxRows: -1},
			"health: Ready with Options.MaxRows 1001: it is not between 0 and 1000":                                    {MaxRows: 1001},
			"health: Ready with 65 Options.Checks: there are more than 64":                                             {Checks: make([]health.Check, 65)},
			"health: Ready with Options.Checks[0].Name: it is empty":                                                   checks(health.Check{Func: pass}),
			"health: Ready with Options.Checks[0].Name \"a\\nb\": it has characters that cannot be printed":            checks(health.Check{Name: "a\nb", Func: pass}),
			"health: Ready with Options.Checks[0].Name \"\\xff\": it has characters that cannot be printed":            checks(health.Check{Name: "\xff", Func: pass}),
			"health: Ready with Options.Checks[1].Name \"a\": Options.Checks[0] has the same name":                     checks(health.Check{Name: "a", Func: pass}, health.Check{Name: "a", Func: pass}),
			"health: Ready with Options.Checks[0].Timeout -1s of \"a\": it is negative":                                checks(health.Check{Name: "a", Func: pass, Timeout: -time.Second}),
			"health: Ready with Options.Checks[0].Func of \"a\": it is nil":                                            checks(health.Check{Name: "a"}),
			"health: Ready with Options.Checks[0].Name \"" + strings.Repeat("n", 65) + "\": it has more than 64 bytes": checks(health.Check{Name: strings.Repeat("n", 65), Func: pass}),
		} {
			require.PanicsWithValue(tb, want, func() { health.Ready(t.System(), o) })
		}
		require.PanicsWithValue(tb, "health: Live of a nil *actor.System", func() { health.Live(nil, health.Options{}) })
		const live = "health: Live with Options.Checks: they belong to Ready, because a restart does not repair what they find"
		require.PanicsWithValue(tb, live, func() { health.Live(t.System(), checks(health.Check{Name: "a", Func: pass})) })
		for _, d := range []time.Duration{1, time.Hour, math.MaxInt64} {
			o := health.Options{Hold: d, Grace: d}
			if d > 1 {
				requireOK(tb, health.Live(t.System(), o))
			}
			requireOK(tb, health.Ready(t.System(), health.Options{Grace: d}))
		}
	})
}
