//go:build unix

package service_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/service"
)

// The programs of docs/shutdown.md. Each of its Go blocks stands here to the letter; see TestGuide.

// stored is how many orders of the guide have come to their end.
var stored atomic.Int64

func store(t *actor.Tasklet, order string) error {
	t.Sleep(time.Millisecond)
	stored.Add(1)
	return nil
}

func shop(t *actor.Tasklet) error {
	orders := actor.NewRef[string]()
	top, err := supervisor.Start(t, supervisor.Spec{Name: "top", Children: []supervisor.Child{
		{ID: "orders", Body: actor.ReceiverBody(orders, store)},
		{ID: "front", Body: actor.GoBody(func(t *actor.Tasklet) error { return serve(t, orders) })},
	}})
	if err != nil {
		return err
	}
	return top.Tasklet().Join(t)
}

func serve(t *actor.Tasklet, orders actor.Ref[string]) error {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		return err
	}
	address <- listener.Addr().String()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		order, err := io.ReadAll(io.LimitReader(r.Body, 1000))
		if err == nil {
			err = orders.Send(r.Context(), string(order))
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
	})}
	stopped := make(chan error, 2) // results of Shutdown, in a drain, and of Close, after a kill
	t.OnDrain(func() {
		go func() { stopped <- server.Shutdown(context.Background()) }()
	})
	_, err = actor.Await(t, func(ctx context.Context) (struct{}, error) {
		defer context.AfterFunc(ctx, func() { stopped <- server.Close() })()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return struct{}{}, err
		}
		return struct{}{}, <-stopped // a drain has answered every accepted request
	})
	return err
}

// address is where the server of the guide listens.
var address = make(chan string, 1)

// Each request that was answered with 200 is stored, though the signal comes in the middle.
func TestGuideProgram(t *testing.T) {
	code := make(chan int, 1)
	go func() {
		code <- service.Run(actor.Config{Name: "shop", Logger: zap.NewNop()}, service.Options{Signals: usr2}, shop)
	}()
	url := "http://" + <-address
	accepted, before := 0, stored.Load()
	for i := 0; ; i++ {
		resp, err := http.Post(url, "text/plain", strings.NewReader(fmt.Sprint("order ", i)))
		if err != nil {
			break // the server has stopped
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			accepted++
		}
		if i == 20 {
			_ = syscall.Kill(os.Getpid(), syscall.SIGUSR2)
		}
	}
	require.Equal(t, 0, <-code)
	require.GreaterOrEqual(t, accepted, 20)
	require.EqualValues(t, accepted, stored.Load()-before)
}

// A kill closes the server, so that a front that is restarted can listen again, although a drain
// waits for a request.
func TestGuideFrontIsKilled(t *testing.T) {
	for _, draining := range []bool{false, true} {
		err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(root *actor.Tasklet) error {
			front := actor.Go(root, func(t *actor.Tasklet) error { return serve(t, actor.NewRef[string]()) })
			conn, err := actor.Await(root, func(context.Context) (net.Conn, error) {
				conn, err := net.Dial("tcp", <-address)
				if err != nil {
					return nil, err
				}
				request := "POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
				if _, err := io.WriteString(conn, request); err != nil {
					return nil, err
				}
				// the answer to Expect says that the handler waits for the order
				_, err = io.ReadFull(conn, make([]byte, len("HTTP/1.1 100")))
				return conn, err
			})
			if err != nil {
				return err
			}
			defer conn.Close()
			if draining {
				ctx, cancel := context.WithCancelCause(root)
				cancel(errors.New("no time"))
				var undrained *actor.DrainError
				require.ErrorAs(t, front.Drain(ctx), &undrained) // and the front is killed
			} else {
				front.Kill()
			}
			// The front would be left behind after 6 s.
			ctx, cancel := actor.WithTimeout(root, 4*time.Second)
			defer cancel()
			require.ErrorIs(t, front.Join(ctx), actor.ErrKilled)
			return nil
		})
		require.NoError(t, err, "draining: %v", draining)
	}
}

func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/shutdown.md")
	require.NoError(t, err)
	source, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	more, err := os.ReadFile("endwith_test.go")
	require.NoError(t, err)
	source = append(source, more...)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		text := strings.TrimPrefix(b[1], "func main() {\n\tos.Exit(service.Run(actor.Config{Name: \"shop\", Logger: logger}, service.Options{}, shop))\n}\n")
		require.Contains(t, string(source), strings.TrimSpace(text), "in the guide, and not here")
	}
}
