package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry"
)

// Thousands of clients at the same time, a part of which goes away, and accounts that crash, and
// end when they are idle: every request is accounted for, on both sides, and the balances are what
// was acknowledged.
func TestLoad(t *testing.T) {
	// its goroutine stays, so it must not count
	_, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	stop()
	for _, args := range []string{
		"-clients 2000 -requests 4000 -crash 0.02 -idle 20ms",
		"-clients 50 -requests 2000 -crash 0.2 -away 0.3 -idle 1ms -mailbox 2",
		"-clients 200 -requests 2000 -away 0 -mailbox 10000 -write 0s",
		"-clients 60 -requests 60 -timeout 20ms -write 30ms",
		"-requests 0",
	} {
		t.Run(args, func(t *testing.T) {
			before := runtime.NumGoroutine()
			var out, errs bytes.Buffer
			require.Zero(t, run(append(strings.Fields(args), "-demo"), nil, &out, &errs), "%s\n%s", out.String(), errs.String())
			require.Empty(t, errs.String())
			require.Contains(t, out.String(), "the books and the clients agree\n")

			var sum, all, accepted, answered int
			for _, m := range regexp.MustCompile(`(?m)^  .*\D(\d+)$`).FindAllStringSubmatch(out.String(), -1) {
				n, _ := strconv.Atoi(m[1])
				sum += n
			}
			_, err := fmt.Sscanf(out.String(), "%d requests of ", &all)
			require.NoError(t, err)
			require.Equal(t, all, sum, out.String())
			_, end, _ := strings.Cut(out.String(), "closed: ")
			_, err = fmt.Sscanf(end, "%d requests accepted, %d answered", &accepted, &answered)
			require.NoError(t, err)
			require.Equal(t, accepted, answered)
			switch {
			case strings.Contains(args, "-away 0 "):
				require.Contains(t, out.String(), "went away                       0\n")
				require.NotContains(t, out.String(), "  500 ", "nothing crashed")
				require.NotContains(t, out.String(), "  503 ", "there was room for all")
			case strings.Contains(args, "-crash"):
				require.Contains(t, out.String(), "  200 OK")
				require.Contains(t, out.String(), "  500 Internal Server Error")
				require.Contains(t, out.String(), "  503 Service Unavailable")
			case strings.Contains(args, "-timeout"):
				require.Contains(t, out.String(), "  504 Gateway Timeout")
			}
			settle(t, before)
		})
	}
}

// A server that is closed while it is busy answers all that it has accepted: what clients got no
// answer for was never begun.
func TestCloseUnderLoad(t *testing.T) {
	before := runtime.NumGoroutine()
	s := open(t, options{mailbox: 8, write: time.Millisecond, timeout: 5 * time.Second, idle: time.Minute, crash: 0.01})
	d := demo{clients: 100, requests: 5000}
	d.init(s.url)
	var driven sync.WaitGroup
	driven.Go(func() { d.drive(context.Background(), 0) })
	for n := 0; n < 1000; n, _ = s.api.counts() {
		runtime.Gosched()
	}
	require.NoError(t, s.close())
	driven.Wait()
	d.client.CloseIdleConnections()

	accepted, answered := s.api.counts()
	sum := 0
	for status, n := range answered {
		sum += n
		require.Equal(t, d.answers[status], n, "answers with %d", status)
	}
	require.Equal(t, accepted, sum)
	require.Zero(t, d.gone)
	require.NotEmpty(t, d.failed, "some came too late")
	for id := range d.failed {
		for _, id := range []string{id, id + outOf, id + into} {
			require.NotContains(t, s.books.postings, id, "a client got no answer, but something was done")
		}
	}
	require.NoError(t, s.books.check())
	require.NoError(t, d.account(s.books))
	settle(t, before)
}

type served struct {
	*service
	url string
}

func open(t *testing.T, o options) served {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s, err := start(context.Background(), listener, o)
	require.NoError(t, err)
	return served{s, "http://" + listener.Addr().String()}
}

// do makes a request, and gives the status and the body.
func (s served) do(t *testing.T, method, path, body string) (int, string, http.Header) {
	r, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, strings.TrimSpace(string(text)), response.Header
}

func (s served) shut(t *testing.T) {
	http.DefaultClient.CloseIdleConnections()
	require.NoError(t, s.close())
	require.NoError(t, s.books.check())
}

func TestAPI(t *testing.T) {
	s := open(t, options{mailbox: 8, timeout: 5 * time.Second, idle: time.Minute})
	for _, c := range []struct {
		request, body string
		status        int
		answer        string // a part of it
	}{
		{"POST /accounts/ada/deposit", `{"id": "1", "amount": 100}`, 200, `{"account":"ada","balance":100}`},
		{"POST /accounts/ada/withdraw", `{"id": "2", "amount": 30}`, 200, `{"account":"ada","balance":70}`},
		{"GET /accounts/ada", ``, 200, `{"account":"ada","balance":70}`},
		{"GET /accounts/bob", ``, 200, `{"account":"bob","balance":0}`},
		{"POST /accounts/ada/withdraw", `{"id": "3", "amount": 71}`, 409, `{"error":"there is not enough in the account"}`},
		// the old answer
		{"POST /accounts/ada/deposit", `{"id": "1", "amount": 100}`, 200, `{"account":"ada","balance":100}`},
		{"POST /accounts/ada/deposit", `{"id": "1", "amount": 99}`, 409, `{"error":"the id was used for something else"}`},
		{"POST /transfers", `{"id": "4", "from": "ada", "to": "bob", "amount": 20}`, 200, `{"account":"ada","balance":50}`},
		{"POST /transfers", `{"id": "4", "from": "ada", "to": "bob", "amount": 20}`, 200, `{"account":"ada","balance":50}`},
		{"POST /transfers", `{"id": "5", "from": "bob", "to": "ada", "amount": 21}`, 409, `not enough`},
		{"POST /transfers", `{"id": "6", "from": "ada", "to": "ada", "amount": 1}`, 400, `from and to must be two accounts`},
		{"GET /accounts/bob", ``, 200, `{"account":"bob","balance":20}`},
		{"POST /accounts/ada/deposit", `{"amount": 100}`, 400, `id must be`},
		{"POST /accounts/ada/deposit", `{"id": "a/b", "amount": 100}`, 400, `id must be`},
		{"POST /accounts/ada/deposit", `{"id": "7", "amount": 0}`, 400, `amount must be 1 to 1000000000`},
		{"POST /accounts/ada/deposit", `{"id": "7", "amount": -5}`, 400, `amount must be`},
		{"POST /accounts/ada/deposit", `{"id": "7", "amount": 1, "to": "bob"}`, 400, `from and to are for transfers`},
		{"POST /accounts/ada/deposit", `{"id": "7", "sum": 1}`, 400, `unknown field`},
		{"POST /accounts/ada/deposit", `{"id": "` + strings.Repeat("7", 2000) + `"}`, 400, `too large`},
		{"POST /accounts/ada/deposit", ``, 400, `no JSON of this API: EOF`},
		{"GET /accounts/a b", ``, 400, `a name of 1 to 64 letters`},
		{"POST /accounts/ada", ``, 405, ``},
		{"GET /", ``, 404, ``},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		status, answer, _ := s.do(t, method, strings.ReplaceAll(path, " ", "%20"), c.body)
		require.Equal(t, c.status, status, "%s %s: %s", c.request, c.body, answer)
		require.Contains(t, answer, c.answer, "%s %s", c.request, c.body)
	}
	s.shut(t)
	require.Equal(t, map[string]int64{"ada": 50, "bob": 20}, s.books.balances)
}

// What waits too long is 504, what finds no room 503 with Retry-After, at once; and what nobody
// waits for any more is skipped.
func TestBackpressure(t *testing.T) {
	s := open(t, options{mailbox: 1, timeout: 3 * time.Second, idle: time.Minute})
	written := make(chan struct{})
	s.writing = func(t *actor.Tasklet) {
		_, _ = actor.Await(t, func(context.Context) (struct{}, error) { <-written; return struct{}{}, nil })
	}
	const deposit = "/accounts/ada/deposit"
	status, _, _ := s.do(t, "GET", "/accounts/ada", "")
	require.Equal(t, 200, status)
	ada, err := registry.Lookup[request](s.names, "ada")
	require.NoError(t, err)
	// One is in hand, and one is in the mailbox.
	var two sync.WaitGroup
	for i := range 2 {
		for i == 1 && ada.Tasklet().Info().State != "parked" {
			runtime.Gosched()
		}
		two.Go(func() {
			status, answer, _ := s.do(t, "POST", deposit, fmt.Sprintf(`{"id": "%d", "amount": 1}`, i))
			require.Equal(t, 504, status, answer)
		})
	}
	for ada.Len() == 0 {
		runtime.Gosched()
	}
	status, answer, header := s.do(t, "POST", deposit, `{"id": "x", "amount": 1}`)
	require.Equal(t, 503, status, answer)
	require.Equal(t, "1", header.Get("Retry-After"))
	two.Wait()
	close(written)
	for ada.Len() > 0 || ada.Tasklet().Info().State == "parked" {
		runtime.Gosched()
	}
	s.shut(t)
	require.Equal(t, map[string]int64{"ada": 1}, s.books.balances, "the one in hand was finished, though its client was sent away")
	require.Equal(t, 1, s.skipped)
}

// A transfer that has begun is finished, though its client has gone and the program ends.
func TestTransferIsFinished(t *testing.T) {
	s := open(t, options{mailbox: 8, write: 250 * time.Millisecond, timeout: time.Minute, idle: time.Minute})
	status, answer, _ := s.do(t, "POST", "/accounts/ada/deposit", `{"id": "1", "amount": 100}`)
	require.Equal(t, 200, status, answer)
	ctx, goAway := context.WithCancel(context.Background())
	var client sync.WaitGroup
	client.Go(func() {
		r, err := http.NewRequestWithContext(ctx, "POST", s.url+"/transfers", strings.NewReader(`{"id": "2", "from": "ada", "to": "bob", "amount": 20}`))
		require.NoError(t, err)
		_, err = http.DefaultClient.Do(r)
		require.ErrorIs(t, err, context.Canceled)
	})
	for len(s.desk.Tasklet().Children()) == 0 {
		runtime.Gosched()
	}
	goAway() // it takes half a second
	client.Wait()
	s.shut(t)
	require.Equal(t, map[string]int64{"ada": 80, "bob": 20}, s.books.balances)
	_, answered := s.api.counts()
	require.Equal(t, map[int]int{200: 1, clientGone: 1}, answered)
}

// A client that goes away before it has sent all of its request has asked for nothing.
func TestHalfARequest(t *testing.T) {
	s := open(t, options{mailbox: 8, timeout: time.Minute, idle: time.Minute})
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(c, "POST /accounts/ada/deposit HTTP/1.1\r\nHost: x\r\nContent-Length: 30\r\n\r\n{\"id\": \"1\",")
	require.NoError(t, err)
	require.NoError(t, c.Close())
	answered := 0
	for answered == 0 {
		_, by := s.api.counts()
		answered = by[400] + by[clientGone]
		runtime.Gosched()
	}
	s.shut(t)
	require.Empty(t, s.books.postings)
}

// An account that is idle has no tasklet; the next request starts one, which knows the balance.
func TestIdle(t *testing.T) {
	s := open(t, options{mailbox: 8, timeout: 5 * time.Second, idle: 2 * time.Millisecond})
	for i := range 3 {
		status, answer, _ := s.do(t, "POST", "/accounts/ada/deposit", fmt.Sprintf(`{"id": "%d", "amount": 10}`, i))
		require.Equal(t, 200, status)
		require.Equal(t, fmt.Sprintf(`{"account":"ada","balance":%d}`, 10*(i+1)), answer)
		for len(s.names.Names()) > 0 || s.accounts.Len() > 0 {
			runtime.Gosched()
		}
	}
	s.shut(t)
	require.Empty(t, s.open)
}

// When the bank's supervisor has given up, the server says so, and ends.
func TestBankEnds(t *testing.T) {
	s := open(t, options{mailbox: 8, timeout: 5 * time.Second, idle: time.Minute})
	status, _, _ := s.do(t, "GET", "/accounts/ada", "")
	require.Equal(t, 200, status)
	s.top.Tasklet().Kill()
	<-s.broken.Done()
	for _, c := range [][2]string{{"/accounts/ada/deposit", `{"id": "1", "amount": 1}`}, {"/transfers", `{"id": "2", "from": "ada", "to": "bob", "amount": 1}`}} {
		status, answer, _ := s.do(t, "POST", c[0], c[1])
		require.Equal(t, 503, status, answer)
	}
	require.ErrorIs(t, s.close(), actor.ErrKilled)
	require.NoError(t, s.books.check())
}

// An interrupt ends the program in good order.
func TestServe(t *testing.T) {
	before := runtime.NumGoroutine()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, interrupt := context.WithCancel(context.Background())
	out, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- serve(ctx, listener, options{mailbox: 8, timeout: time.Minute, idle: time.Minute}, w)
		w.Close()
	}()
	first := make([]byte, 200)
	_, err = out.Read(first)
	require.NoError(t, err)
	require.Contains(t, string(first), "listening on http://127.0.0.1:")
	interrupt()
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	require.Contains(t, string(rest), "closed: 0 requests accepted, 0 answered; 0 were skipped")
	require.NoError(t, <-ended)
	settle(t, before)
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]string{
		"-mailbox 0": "-mailbox must be 1 or more", "-write -1s": "-write must not be negative", "-timeout 0s": "-timeout must be more than 0",
		"-idle 0s": "-idle must be more than 0", "-crash 2": "-crash must be 0 to 1", "-crash NaN": "-crash must be 0 to 1",
		"-clients 0": "-clients must be 1 or more", "-requests -1": "-requests must not be negative", "-away -0.1": "-away must be 0 to 1",
		"now": `there are no arguments, but there is "now"`, "-fast": "flag provided but not defined: -fast",
	} {
		var out, errs strings.Builder
		require.Equal(t, 2, run(strings.Fields(args), nil, &out, &errs), args)
		require.Contains(t, errs.String(), want)
		require.Empty(t, out.String())
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	var out, errs strings.Builder
	require.Equal(t, 1, run([]string{"-addr", taken.Addr().String()}, nil, &out, &errs))
	require.Contains(t, errs.String(), "address already in use")
}

// settle waits until no more than n goroutines are left.
func settle(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > n; runtime.Gosched() {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left, there were %d:\n%s", runtime.NumGoroutine(), n, buf[:runtime.Stack(buf, true)])
		}
	}
}
