package inspector_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// endpoints are those that need no ID.
var endpoints = []string{
	"tree", "tree?format=text", "tree?q=w&state=idle", "tasklets", "tasklets?sort=rate", "stuck", "events", "deadletters", "system", "cluster",
}

// A system that is being stopped, and one that has ended, is shown as it is, and its actions are
// refused or done. Handlers of one system share its events.
func TestEndedSystem(t *testing.T) {
	sys, err := actor.Start(actor.Config{Name: "shop", Logger: zap.NewNop()})
	require.NoError(t, err)
	h := inspector.Handler(sys, inspector.AllowActions())
	release := make(chan struct{})
	s, err := supervisor.Start(sys, supervisor.Spec{Name: "s", Children: []supervisor.Child{{
		ID: "slow", Shutdown: actor.Infinity, Body: actor.GoBody(func(t *actor.Tasklet) error {
			t.Defer(func() {
				_, _ = actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
			})
			return waiting(t)
		}),
	}}})
	require.NoError(t, err)
	child := s.Tasklet().Children()[0]
	eventually(t, func() bool { return get(t, h, "tasklet/"+id(child))["state"] == "sleeping" })
	ended := make(chan error, 1)
	go func() { ended <- sys.Stop(context.Background()) }()
	eventually(t, func() bool { return get(t, h, "system")["phase"] == "stopping" })
	for _, what := range endpoints {
		require.Equal(t, 200, do(h, request(http.MethodGet, mount+"api/"+what)).Code, what)
	}
	code, body := post(h, "tasklet/"+id(s.Tasklet())+"/start", `{"child":"slow"}`)
	require.Equal(t, 409, code, body)
	close(release)
	require.NoError(t, <-ended)
	for range 2 {
		for _, what := range endpoints {
			require.Equal(t, 200, do(h, request(http.MethodGet, mount+"api/"+what)).Code, what)
		}
		require.Equal(t, "stopped", get(t, h, "system")["phase"])
		for _, tk := range []*actor.Tasklet{child, s.Tasklet(), sys.Root()} {
			for _, action := range []string{"kill", "drain", "restart", "start"} {
				code, body := post(h, "tasklet/"+id(tk)+"/"+action, "")
				require.Equal(t, 404, code, body)
			}
		}
		other := inspector.Handler(sys)
		require.Equal(t, get(t, h, "events")["total"], get(t, other, "events")["total"])
		h = inspector.Handler(sys, inspector.AllowActions()) // one that is made when it has ended
	}
}

// Requests of all sorts at the same time, while tasklets start, end and crash.
func TestAtTheSameTime(t *testing.T) {
	sys := system(t, actor.Config{Schedulers: 2, Measure: true})
	h := inspector.Handler(sys, inspector.AllowActions())
	s, err := supervisor.Start(sys, supervisor.Spec{Name: "s", Intensity: supervisor.Unlimited, Children: []supervisor.Child{
		{ID: "w", Body: actor.GoBody(waiting)},
		{ID: "crash", Body: actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Millisecond); return errBad })},
	}})
	require.NoError(t, err)
	over := make(chan struct{})
	var churn, all sync.WaitGroup
	churn.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-over:
				return
			default:
			}
			r := actor.Receiver(sys, func(t *actor.Tasklet, _ int) error { return nil }, actor.Name(fmt.Sprint("r", i)))
			w := actor.Go(sys, func(t *actor.Tasklet) error {
				inspector.Publish(t, func() any { return i })
				_ = r.Send(t, i)
				t.Sleep(time.Millisecond)
				return nil
			})
			_ = w.Join(context.Background())
			r.Close()
		}
	})
	for n := range 4 {
		all.Go(func() {
			for k := range 25 {
				for _, what := range endpoints {
					if w := do(h, request(http.MethodGet, mount+"api/"+what)); w.Code != 200 {
						t.Errorf("%s: %d %s", what, w.Code, w.Body)
					}
				}
				for _, c := range append(sys.Root().Children(), s.Tasklet().Children()...) {
					do(h, request(http.MethodGet, mount+"api/tasklet/"+id(c)))
					if n == 0 && c.Parent() == s.Tasklet() {
						post(h, "tasklet/"+id(c)+"/"+[]string{"restart", "kill", "drain"}[k%3], "")
					}
				}
				b := open(h, "", "tree", "stuck", "events")
				time.Sleep(time.Millisecond)
				b.close()
			}
		})
	}
	all.Wait()
	close(over)
	churn.Wait()
}

// A minute after the last look, the handler holds nothing of the tasklets that it has seen.
func TestForget(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		look := func() weak.Pointer[actor.Tasklet] {
			w := actor.Go(sys, func(t *actor.Tasklet) error { t.Sleep(3 * time.Second); return nil })
			synctest.Wait()
			for _, what := range append(endpoints, "tasklet/"+id(w)) {
				require.Equal(t, 200, do(h, request(http.MethodGet, mount+"api/"+what)).Code)
			}
			b := open(h, "", "tree", "tasklet/"+id(w))
			time.Sleep(2 * time.Second)
			b.close()
			return weak.Make(w)
		}
		seen := look()
		time.Sleep(59 * time.Second)
		runtime.GC()
		require.NotNil(t, seen.Value(), "the survey is still kept")
		time.Sleep(2 * time.Second)
		synctest.Wait()
		runtime.GC()
		require.Nil(t, seen.Value())
		// While somebody looks, it goes on.
		b := open(h, "", "tree")
		time.Sleep(5 * time.Minute)
		ref := actor.Receiver(sys, func(*actor.Tasklet, int) error { return nil }, actor.Name("late"))
		for range 4 {
			require.NoError(t, ref.Send(t.Context(), 1))
			time.Sleep(time.Second)
		}
		b.text()
		require.NoError(t, ref.Send(t.Context(), 1))
		time.Sleep(time.Second)
		synctest.Wait()
		require.Contains(t, b.text(), "handled_per_second")
		b.close()
	})
}

// Over HTTP/2 a stream goes on, the others of the connection are not held up, Shutdown ends it, and
// nothing is left when all clients have gone.
func TestServers(t *testing.T) {
	for _, two := range []bool{false, true} {
		t.Run(fmt.Sprint("HTTP/2 ", two), func(t *testing.T) {
			sys := system(t, actor.Config{})
			h := inspector.Handler(sys)
			// The goroutines of the system run when a tasklet has.
			require.NoError(t, actor.Go(sys, func(*actor.Tasklet) error { return nil }).Join(t.Context()))
			before := runtime.NumGoroutine()
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = two
			server.Config.WriteTimeout = 300 * time.Millisecond
			server.StartTLS()
			url := server.URL + mount + "api/"
			client := server.Client()
			var bodies []io.ReadCloser
			for range 8 {
				resp, err := client.Get(url + "stream?view=tree&view=nothing")
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				require.Equal(t, two, resp.ProtoMajor == 2)
				bodies = append(bodies, resp.Body)
			}
			resp, err := client.Get(url + "stream?view=tree")
			require.NoError(t, err)
			require.Equal(t, 503, resp.StatusCode)
			resp.Body.Close()
			time.Sleep(time.Second) // longer than WriteTimeout
			for range 3 {
				resp, err := client.Get(url + "tree")
				require.NoError(t, err)
				body, err := io.ReadAll(resp.Body)
				require.NoError(t, err)
				require.Equal(t, 200, resp.StatusCode)
				require.Empty(t, resp.Header.Get("Content-Encoding"))
				object(t, body)
				resp.Body.Close()
			}
			for _, b := range bodies[:4] { // these leave, and make room
				b.Close()
			}
			eventually(t, func() bool {
				resp, err := client.Get(url + "stream?view=tree")
				require.NoError(t, err)
				defer resp.Body.Close()
				return resp.StatusCode == 200
			})
			lines := bufio.NewScanner(bodies[7])
			lines.Buffer(nil, 1<<20)
			kinds := ""
			actor.Go(sys, waiting, actor.Name("late"))
			for !strings.Contains(kinds, "change") && lines.Scan() {
				if kind, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
					kinds += kind + " "
				}
			}
			require.Equal(t, "snapshot problem change ", kinds, "%v", lines.Err())
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			go func() { // Shutdown waits for the browsers that stay to notice
				for _, b := range bodies[4:] {
					_, _ = io.Copy(io.Discard, b)
					b.Close()
				}
			}()
			require.NoError(t, server.Config.Shutdown(ctx))
			client.CloseIdleConnections()
			server.Close()
			for begin := time.Now(); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
				if time.Since(begin) > 10*time.Second {
					all := make([]byte, 1<<20)
					require.FailNow(t, "goroutines are left", "%s", all[:runtime.Stack(all, true)])
				}
			}
		})
	}
}
