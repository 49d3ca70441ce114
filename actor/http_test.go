package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// A system beside net/http: handlers are ordinary goroutines, and call with the context of their
// request. If the client goes away, or the time is over, so is the call. The receiver handles one
// request at a time, so the count needs no lock.
func ExampleCall_http() {
	s, _ := actor.Start(actor.Config{Name: "shop"})
	sold := 0
	type order struct {
		n     int
		reply actor.Reply[int]
	}
	till := actor.Receiver(s, func(t *actor.Tasklet, o order) error {
		if !o.reply.Awaited() {
			return nil // the client went away while its order was in the mailbox
		}
		sold += o.n
		return o.reply.Send(t, sold)
	}, actor.MailboxLen(100), actor.Overflow(mailbox.Fail))

	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
		defer cancel()
		n, _ := strconv.Atoi(r.FormValue("n"))
		total, err := actor.Call(ctx, till, func(reply actor.Reply[int]) order { return order{n, reply} })
		switch {
		case errors.Is(err, mailbox.ErrFull):
			http.Error(w, "busy", http.StatusServiceUnavailable)
		case errors.Is(err, actor.ErrTimeout):
			http.Error(w, "no answer in time", http.StatusGatewayTimeout)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			fmt.Fprintln(w, "sold", total)
		}
	}))

	for _, n := range []int{2, 3} {
		response, err := http.Post(fmt.Sprint(server.URL, "/?n=", n), "", nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, _ := io.ReadAll(response.Body)
		fmt.Print(response.StatusCode, " ", string(body))
		response.Body.Close()
	}

	server.Close() // first the server: it waits for its handlers
	fmt.Println(s.Stop(context.Background()))
	// Output:
	// 200 sold 2
	// 200 sold 5
	// <nil>
}

// A client that goes away ends the call of its handler, wherever the request is: in hand, in the
// mailbox, or waiting for room. What is in the mailbox is seen to be awaited by nobody; what waits
// for room is never sent.
func TestHTTPClientGoesAway(t *testing.T) {
	const inHand, queued, waiting, next = 0, 1, 2, 3
	before := runtime.NumGoroutine()
	s, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	require.NoError(t, err)
	type question struct {
		n     int
		reply actor.Reply[int]
	}
	type seen struct {
		n       int
		awaited bool
	}
	var release scheduler.Event
	// with room for all: a full one would hold up the scheduler
	read, late := make(chan seen, 4), make(chan error, 4)
	ref := actor.Receiver(s, func(t *actor.Tasklet, q question) error {
		read <- seen{q.n, q.reply.Awaited()}
		if !q.reply.Awaited() {
			return nil
		}
		if q.n == inHand {
			if err := release.Wait(t); err != nil {
				return err
			}
		}
		late <- q.reply.Send(t, q.n)
		return nil
	}, actor.MailboxLen(1))

	begun, ended := make(chan int, 4), make(chan error, 4)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		begun <- n
		_, err := actor.Call(r.Context(), ref, func(reply actor.Reply[int]) question { return question{n, reply} })
		ended <- err
	}))
	clients, goAway := context.WithCancel(context.Background())
	asked := make(chan error, 4)
	ask := func(ctx context.Context, n int) {
		go func() {
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprint(server.URL, "/?n=", n), nil)
			if err == nil {
				var response *http.Response
				if response, err = server.Client().Do(r); err == nil {
					response.Body.Close()
				}
			}
			asked <- err
		}()
		require.Equal(t, n, <-begun)
	}

	ask(clients, inHand)
	require.Equal(t, seen{inHand, true}, <-read)
	ask(clients, queued)
	for ref.Len() == 0 {
		runtime.Gosched()
	}
	ask(clients, waiting)
	goAway()
	for range 3 {
		require.ErrorIs(t, <-asked, context.Canceled)
		require.ErrorIs(t, <-ended, context.Canceled)
	}

	actor.Go(s, func(*actor.Tasklet) error { release.Set(); return nil })
	require.ErrorIs(t, <-late, actor.ErrNotAwaited)
	require.Equal(t, seen{queued, false}, <-read)
	ask(context.Background(), next)
	require.NoError(t, <-asked)
	require.NoError(t, <-ended)
	require.Equal(t, seen{next, true}, <-read, "the one that waited for room was never sent")
	require.NoError(t, <-late)

	server.Close()
	require.NoError(t, s.Stop(context.Background()))
	settle(t, before)
}
