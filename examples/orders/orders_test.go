//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/entity"
)

// TestMain makes the test binary the program itself, so that the tests can run it as a process.
func TestMain(m *testing.M) {
	if os.Getenv("ORDERS_PROGRAM") != "" {
		main()
	}
	os.Exit(m.Run())
}

// program is a running process of the program.
type program struct {
	tb    testing.TB
	cmd   *exec.Cmd
	url   string
	ended chan struct{} // closed when the log has ended
	mu    sync.Mutex
	log   []string // protected by mu
	trees chan struct{}
}

// start starts the program, and returns when it listens.
func start(tb testing.TB, args ...string) *program {
	p := &program{tb: tb, ended: make(chan struct{}), trees: make(chan struct{}, 1)}
	p.cmd = exec.Command(os.Args[0], append([]string{"-addr", "localhost:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "ORDERS_PROGRAM=1")
	stderr, err := p.cmd.StderrPipe()
	require.NoError(tb, err)
	require.NoError(tb, p.cmd.Start())
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		_ = p.cmd.Wait()
		if tb.Failed() {
			tb.Logf("the end of the log:\n%s", strings.Join(p.log[max(0, len(p.log)-60):], "\n"))
		}
	})
	listening := make(chan string, 8)
	go p.read(stderr, listening)
	select {
	case addr := <-listening:
		p.url = "http://" + addr
	case <-p.ended:
		tb.Fatal("the program has ended before it was listening")
	}
	return p
}

func (p *program) read(stderr io.Reader, listening chan string) {
	defer close(p.ended)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20) // stack traces are long
	for lines.Scan() {
		p.mu.Lock()
		p.log = append(p.log, lines.Text())
		p.mu.Unlock()
		var entry struct{ Msg, Addr, Event, Path string }
		_ = json.Unmarshal(lines.Bytes(), &entry)
		switch {
		case entry.Msg == "listening":
			listening <- entry.Addr
		case entry.Event == "tree" && entry.Path == "/orders": // not the supervisor's, each 5 s
			select {
			case p.trees <- struct{}{}:
			default:
			}
		}
	}
}

func (p *program) signal(sig os.Signal) { require.NoError(p.tb, p.cmd.Process.Signal(sig)) }

// wait waits for the end of the process, and returns its exit code, or -1 after a kill.
func (p *program) wait() int {
	<-p.ended
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

// logged returns the number of log entries that contain text.
func (p *program) logged(text string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.log {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// client has no connection that it keeps. The program may close a kept one at the same moment as
// the client sends a request, which then has no answer and tells the test nothing.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// request makes a request, and decodes the answer into body if it is not nil.
func (p *program) request(method, path, input string, body any) (status int, err error) {
	r, err := http.NewRequest(method, p.url+path, strings.NewReader(input))
	require.NoError(p.tb, err)
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if body != nil {
		err = json.NewDecoder(resp.Body).Decode(body)
	}
	return resp.StatusCode, err
}

// load has clients send orders until the program does not answer any more. It calls at, in a
// goroutine of its own, when n orders were acknowledged, and returns the IDs of all that were.
func (p *program) load(n int, at func()) []string {
	const clients, customers = 8, 20
	var (
		wg  sync.WaitGroup
		mu  sync.Mutex
		ids []string
		all atomic.Int64 // requests
	)
	for range clients {
		wg.Go(func() {
			for {
				i := all.Add(1)
				var o order
				input := fmt.Sprintf(`{"customer": "c%d", "item": "item %d", "amount": %d}`, i%customers, i, 1+i%100)
				status, err := p.request("POST", "/orders", input, &o)
				if err != nil {
					return // the program has ended, or does not listen any more
				}
				if status == http.StatusServiceUnavailable {
					continue
				}
				if status != http.StatusCreated {
					p.tb.Errorf("order %d: status %d", i, status)
					return
				}
				mu.Lock()
				ids = append(ids, o.ID)
				if len(ids) == n {
					wg.Go(at)
				}
				crash := len(ids)%20 == 0
				mu.Unlock()
				if crash {
					_, _ = p.request("POST", "/debug/crash-worker", "", nil)
				}
			}
		})
	}
	wg.Wait()
	require.GreaterOrEqual(p.tb, len(ids), n, "the program has ended too early")
	slices.Sort(ids)
	return ids
}

// column returns a column of strings from a database.
func column(tb testing.TB, path, query string) (all []string) {
	db, err := sql.Open("sqlite", path)
	require.NoError(tb, err)
	defer db.Close()
	rows, err := db.Query(query)
	require.NoError(tb, err)
	defer rows.Close()
	for rows.Next() {
		var s string
		require.NoError(tb, rows.Scan(&s))
		all = append(all, s)
	}
	require.NoError(tb, rows.Err())
	return all
}

const (
	storedIDs = `SELECT id FROM orders ORDER BY id`
	unpaidIDs = `SELECT order_id FROM outbox ORDER BY order_id`
	paidIDs   = `SELECT id || ' ' || amount FROM orders WHERE paid ORDER BY id`
	chargeIDs = `SELECT order_id || ' ' || amount FROM charges ORDER BY order_id`
)

// Exactly the acknowledged orders are stored, although workers crash and SIGTERM comes in the
// middle.
func TestSIGTERM(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	p := start(t, "-db", db, "-failures", "0.2", "-debug")
	p.signal(syscall.SIGUSR1)
	select {
	case <-p.trees:
	case <-time.After(time.Minute):
		t.Fatal("no tree after SIGUSR1")
	}
	acknowledged := p.load(300, func() {
		retried := func() bool { return p.logged(`"event":"work_retry"`) > 0 }
		assert.Eventually(t, retried, 20*time.Second, 5*time.Millisecond, "no payment was tried again")
		p.signal(syscall.SIGTERM)
	})
	require.Equal(t, 0, p.wait())
	require.Equal(t, acknowledged, column(t, db, storedIDs))

	require.Equal(t, 1, p.logged(`"event":"drained"`))
	require.Positive(t, p.logged(`"event":"restart"`), "no worker has crashed")
	require.Zero(t, p.logged(`"msg":"/orders/shop/customers/`), "a customer has failed")
	for i, n := range column(t, db, `SELECT max(number) - count(*) FROM orders GROUP BY customer`) {
		require.Equal(t, "0", n, "a gap in the numbers of customer %d", i)
	}
	// Each paid order was charged. An order whose last try has failed may be charged and not paid.
	require.Subset(t, column(t, db+".provider", chargeIDs), column(t, db, paidIDs))
}

// A kill in the middle loses no acknowledged order, and after a new start each order is paid once.
func TestKill9(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders 100%? #1.db") // SQLite's names of files have escapes
	p := start(t, "-db", db, "-failures", "0.3", "-debug")
	acknowledged := p.load(300, func() { p.signal(syscall.SIGKILL) })
	require.Equal(t, -1, p.wait())
	require.FileExists(t, db)

	p = start(t, "-db", db, "-failures", "0.3", "-seed", "2")
	limit := time.Now().Add(40 * time.Second)
	for _, id := range acknowledged {
		for paid := false; !paid; {
			require.True(t, time.Now().Before(limit), "the order %s is still not paid", id)
			var o order
			status, err := p.request("GET", "/orders/"+id, "", &o)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status, "the acknowledged order %s is lost", id)
			paid = o.Paid
		}
	}
	// Orders that were stored but not acknowledged are paid as well.
	for customer := range 20 {
		for a := (account{Unpaid: 1}); a.Unpaid > 0; {
			require.True(t, time.Now().Before(limit), "customer %d has orders that are not paid", customer)
			_, err := p.request("GET", fmt.Sprint("/customers/c", customer), "", &a)
			require.NoError(t, err)
		}
	}
	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.wait())

	name := "file:" + strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(db)
	require.Subset(t, column(t, name, storedIDs), acknowledged)
	require.Empty(t, column(t, name, unpaidIDs))
	require.Equal(t, len(column(t, name, storedIDs)), len(column(t, name, paidIDs)))
	require.Equal(t, column(t, name, paidIDs), column(t, name+".provider", chargeIDs))
	require.NotEmpty(t, column(t, name+".provider", `SELECT order_id FROM charges WHERE calls > 1`),
		"no payment was repeated, so that the test shows nothing")
}

func TestRequests(t *testing.T) {
	p := start(t, "-db", filepath.Join(t.TempDir(), "orders.db"), "-failures", "0")
	for _, c := range []struct {
		method, path, input string
		status              int
		answer              string // a part of it
	}{
		{"POST", "/orders", `{"customer": "ada", "item": "tea", "amount": 250}`, 201, `{"id":"ada-1","customer":"ada","number":1,"item":"tea","amount":250,"paid":false}`},
		{"POST", "/orders", `{"customer": "ada", "item": "tea", "amount": 1000000}`, 409, "credit limit"},
		{"POST", "/orders", `{"customer": "ada", "item": "tea", "amount": 999750}`, 201, `"id":"ada-2"`},
		{"POST", "/orders", `{"customer": "ada", "item": "tea", "amount": 1}`, 409, "credit limit"},
		{"POST", "/orders", `{"customer": "bob", "item": "tea", "amount": 1000001}`, 400, "amount must be 1 to 1000000 cents"},
		{"POST", "/orders", `{"customer": "bob", "item": "tea", "amount": 0}`, 400, "amount must be"},
		{"POST", "/orders", `{"customer": "bob", "item": "", "amount": 1}`, 400, "item must have 1 to 100 bytes"},
		{"POST", "/orders", `{"customer": "a/b\n", "item": "tea", "amount": 1}`, 400, "customer must be"},
		{"POST", "/orders", `{"customer": "bob", "amout": 1}`, 400, `unknown field \"amout\"`},
		{"POST", "/orders", `{"customer": "bob", "item": "tea", "amount": "1"}`, 400, "amount"},
		{"POST", "/orders", `{"customer": "bob", "item": "tea", "amount": 1} {}`, 400, "more than one value"},
		{"POST", "/orders", ``, 400, "EOF"},
		{"POST", "/orders", `{"item": "` + strings.Repeat("x", maxBody) + `"}`, 413, "more than 4096 bytes"},
		{"POST", "/debug/crash-worker", ``, 404, ""}, // without -debug
		{"GET", "/orders/ada-1", "", 200, `"item":"tea"`},
		{"GET", "/debug/tasklets/", "", 200, "Tasklets"},
		{"GET", "/debug/tasklets/api/tree?format=text", "", 200, "payments"},
		{"GET", "/metrics", "", 200, `tasklet_handler_calls_total{kind="customer",system="orders"} `},
		{"GET", "/orders/ada-3", "", 404, "no such order"},
		{"GET", "/customers/ada", "", 200, `"orders":2`},
		{"GET", "/customers/bob", "", 200, `"orders":0`},
	} {
		name := fmt.Sprintf("%s %s %.70s", c.method, c.path, c.input)
		r, err := http.NewRequest(c.method, p.url+c.path, strings.NewReader(c.input))
		require.NoError(t, err)
		resp, err := client.Do(r)
		require.NoError(t, err, name)
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		require.NoError(t, err, name)
		require.Equal(t, c.status, resp.StatusCode, "%s: %s", name, answer)
		require.Contains(t, string(answer), c.answer, name)
	}
	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.wait())
}

// While as many requests as allowed are being handled, others are refused.
func TestOverload(t *testing.T) {
	store, err := openStore(filepath.Join(t.TempDir(), "orders.db"))
	require.NoError(t, err)
	defer store.close()
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { _ = sys.Stop(context.Background()) }()
	a := newAPI(sys, options{}, store, nil, nil, http.NotFoundHandler())
	get := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.handler.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), "GET", "/customers/ada", nil))
		return w
	}
	for range maxRequests {
		a.slots <- struct{}{}
	}
	w := get()
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "1", w.Header().Get("Retry-After"))
	<-a.slots
	require.Equal(t, http.StatusOK, get().Code)
	require.Equal(t, http.StatusOK, get().Code, "the slot was not returned")
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args, text string
		code       int
	}{
		{"-h", "where to listen", 0},
		{"-addr nowhere", "-addr: address nowhere: missing port", 2},
		{"-db=", "-db must not be empty", 2},
		{"-workers 0", "-workers must be 1 to 64, not 0", 2},
		{"-failures NaN", "-failures must be 0 to 1, not NaN", 2},
		{"-seed x", `invalid value "x" for flag -seed`, 2},
		{"more", `there are no arguments, but there is "more"`, 2},
		{"-db /dev/null/orders.db", `open database "/dev/null/orders.db"`, 1},
	} {
		var out bytes.Buffer
		require.Equal(t, c.code, run(strings.Fields(c.args), &out), c.args)
		require.Contains(t, out.String(), c.text)
	}
}

// An order whose answer was lost can be sent again with its key, also after a crash.
func TestIdempotencyKey(t *testing.T) {
	db := filepath.Join(t.TempDir(), "orders.db")
	p := start(t, "-db", db, "-failures", "0")
	post := func(input, key string) (status int, answer string) {
		r, err := http.NewRequest("POST", p.url+"/orders", strings.NewReader(input))
		require.NoError(t, err)
		if key != "" {
			r.Header.Set("Idempotency-Key", key)
		}
		resp, err := client.Do(r)
		require.NoError(t, err)
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(all)
	}
	expect := func(input, key string, status int, part string) {
		t.Helper()
		got, answer := post(input, key)
		require.Equal(t, status, got, answer)
		require.Contains(t, answer, part)
	}
	const tea = `{"customer": "ada", "item": "tea", "amount": 250}`
	expect(tea, "k-1", 201, `"id":"ada-1"`)
	expect(tea, "k-1", 201, `"id":"ada-1"`)
	expect(tea, "k-2", 201, `"id":"ada-2"`)
	expect(tea, "", 201, `"id":"ada-3"`)
	expect(tea, "", 201, `"id":"ada-4"`)
	require.NoError(t, p.cmd.Process.Kill())
	<-p.ended

	p = start(t, "-db", db, "-failures", "0")
	expect(tea, "k-2", 201, `"id":"ada-2"`)
	expect(`{"customer": "ada", "item": "tea", "amount": 251}`, "k-2", 409, "belongs to an order of something else")
	expect(`{"customer": "bob", "item": "tea", "amount": 251}`, "k-2", 201, `"id":"bob-1"`)
	expect(tea, strings.Repeat("k", maxKey+1), 400, "at most 64 visible ASCII characters")
	expect(tea, "k 2", 400, "visible ASCII")
	expect(tea, "k-3", 201, `"id":"ada-5"`)
	p.signal(syscall.SIGTERM)
	require.Equal(t, 0, p.wait())
}

// Each error has its status, and the overload of each part tells the client when to come back.
func TestStatusOfErrors(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		retry  string
		text   string
	}{
		{errCredit, 409, "", "credit limit"},
		{errKey, 409, "", "Idempotency-Key"},
		{errUnpaid, 503, "1", "overloaded"},
		{mailbox.ErrFull, 503, "1", "overloaded"},
		{&entity.FullError{Set: "customers", Limit: 1000}, 503, "1", "overloaded"},
		{&entity.FailedError{Name: "ada", Cause: errors.New("no disk"), Until: time.Now().Add(90 * time.Second)}, 503, "90", "no disk"},
		{mailbox.ErrClosed, 503, "1", "the program ends"},
		{actor.ErrTimeout, 504, "", "it is unknown"},
		{sql.ErrNoRows, 404, "", "no such order"},
		{errors.New("boom"), 500, "", "boom"},
	} {
		w := httptest.NewRecorder()
		writeError(w, fmt.Errorf("wrapped: %w", c.err))
		require.Equal(t, c.status, w.Code, "%v", c.err)
		require.Equal(t, c.retry, w.Header().Get("Retry-After"), "%v", c.err)
		require.Contains(t, w.Body.String(), c.text)
	}
}
