package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/supervisor/tree"
)

// demo has the clients of the demo, and what they know.
type demo struct {
	clients, requests int
	away              float64

	url    string
	client *http.Client

	// mu protects the following.
	mu       sync.Mutex
	answers  map[int]int       // by status
	gone     int               // requests that their clients abandoned
	failed   map[string]error  // requests that failed for another reason
	acked    map[string]money  // requests answered with 200, by id
	unknown  map[string]*asked // requests with unknown results: gone, 500, 504
	settling int               // requests that it took to settle those
}

// asked is a request.
type asked struct {
	path string // "" for the balance of m.From
	m    money  // with From or To even where the path names the account
}

// people is the number of accounts. Lower numbers are drawn more often.
const people = 40

func (d *demo) check() error {
	switch {
	case d.clients < 1:
		return errors.New("-clients must be 1 or more")
	case d.requests < 0:
		return errors.New("-requests must not be negative")
	case !(d.away >= 0 && d.away <= 1):
		return errors.New("-away must be 0 to 1")
	}
	return nil
}

// quiet returns a logger that writes nothing, since crashes are intended here, and counted.
func quiet() *zap.Logger { return zap.NewNop() }

func (d *demo) init(url string) {
	d.url = url
	d.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: d.clients}}
	d.answers, d.failed = make(map[int]int), make(map[string]error)
	d.acked, d.unknown = make(map[string]money), make(map[string]*asked)
}

// run is the program with -demo.
func (d *demo) run(ctx context.Context, listener net.Listener, o options, w io.Writer) error {
	s, err := start(ctx, listener, o)
	if err != nil {
		return err
	}
	ctx = s.broken
	d.init("http://" + listener.Addr().String())
	begin := time.Now()
	d.drive(ctx, o.write)
	d.report(w, time.Since(begin))
	d.settle(ctx)
	if ctx.Err() == nil {
		fmt.Fprintf(w, "%d more requests, with the ids of those without an answer: now each is known\n", d.settling)
		err = d.compare(ctx)
	}
	_ = tree.Write(w, s.sys.Root(), tree.MaxRows(12))
	d.client.CloseIdleConnections()
	early := ctx.Err() != nil
	err = errors.Join(err, s.close())
	s.summary(w)
	if early {
		fmt.Fprintln(w, "ended early:", context.Cause(ctx))
	}
	if err = errors.Join(err, s.books.check(), d.account(s.books), errors.Join(slices.Collect(maps.Values(d.failed))...)); err == nil {
		fmt.Fprintln(w, "the books and the clients agree")
	}
	return err
}

// drive makes the requests of all clients, at the same time.
func (d *demo) drive(ctx context.Context, patience time.Duration) {
	var all sync.WaitGroup
	for c := range d.clients {
		all.Go(func() {
			for i := range (d.requests + c) / d.clients { // adds up to requests
				if ctx.Err() != nil {
					return
				}
				d.request(ctx, draw(fmt.Sprintf("%d-%d", c, i)), patience)
			}
		})
	}
	all.Wait()
}

// draw returns a random request.
func draw(id string) *asked {
	person := func() string { return fmt.Sprint("p", min(rand.IntN(people), rand.IntN(people))) }
	m := money{ID: id, Amount: 1 + rand.Int64N(100)}
	switch rand.IntN(10) {
	case 0, 1:
		return &asked{"", money{ID: id, From: person()}}
	case 2, 3:
		m.From = person()
		return &asked{"/accounts/" + m.From + "/withdraw", m}
	case 4, 5, 6:
		m.From, m.To = person(), person()
		for m.To == m.From {
			m.To = person()
		}
		return &asked{"/transfers", m}
	}
	m.To = person()
	return &asked{"/accounts/" + m.To + "/deposit", m}
}

// request makes a request once, and records its result.
func (d *demo) request(ctx context.Context, a *asked, patience time.Duration) {
	limit := ctx
	if rand.Float64() < d.away {
		var cancel context.CancelFunc
		limit, cancel = context.WithTimeout(ctx, time.Duration(rand.Int64N(int64(4*patience)+1)))
		defer cancel()
	}
	status, _, err := d.do(limit, a)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case err == nil:
		d.answers[status]++
	case limit.Err() != nil:
		d.gone++
	default:
		d.failed[a.m.ID] = err
	}
	switch {
	case a.path == "":
	case status == http.StatusOK:
		d.acked[a.m.ID] = a.m
	case status == http.StatusConflict, status == http.StatusServiceUnavailable: // not done
	default:
		d.unknown[a.m.ID] = a
	}
}

// do sends a request, and returns the answer.
func (d *demo) do(ctx context.Context, a *asked) (status int, b balance, err error) {
	method, path, m := http.MethodPost, a.path, a.m
	switch path {
	case "":
		method, path = http.MethodGet, "/accounts/"+m.From
	case "/transfers":
	default:
		m.From, m.To = "", ""
	}
	body, err := json.Marshal(m)
	if err != nil {
		return 0, b, err
	}
	r, err := http.NewRequestWithContext(ctx, method, d.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, b, err
	}
	response, err := d.client.Do(r)
	if err != nil {
		return 0, b, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &b)
	}
	if err != nil {
		return 0, b, err
	}
	return response.StatusCode, b, nil
}

// settle repeats the requests whose results clients do not know, with the same ids, until they know
// them.
func (d *demo) settle(ctx context.Context) {
	for id, a := range d.unknown {
		for ctx.Err() == nil {
			status, _, err := d.do(ctx, a)
			d.settling++
			if ctx.Err() != nil {
				break
			}
			if err != nil {
				d.failed[id] = err
				break
			}
			if status == http.StatusOK {
				d.acked[id] = a.m
			}
			if status == http.StatusOK || status == http.StatusConflict {
				delete(d.unknown, id)
				break
			}
		}
	}
}

// compare requests all balances, and compares them with the answers that clients got.
func (d *demo) compare(ctx context.Context) error {
	want := make(map[string]int64)
	for _, m := range d.acked {
		if m.From != "" {
			want[m.From] -= m.Amount
		}
		if m.To != "" {
			want[m.To] += m.Amount
		}
	}
	for i := range people {
		name := fmt.Sprint("p", i)
		for {
			status, b, err := d.do(ctx, &asked{"", money{From: name}})
			if err != nil {
				return err
			}
			if status == http.StatusOK {
				if b.Balance != want[name] {
					return fmt.Errorf("%s has %d, the answers make %d", name, b.Balance, want[name])
				}
				break
			}
		}
	}
	return nil
}

// account compares with the books: they must have all acknowledged requests, and no others except
// those whose results are unknown.
func (d *demo) account(b *books) error {
	var errs []error
	known := make(map[string]bool)
	has := func(id, name string, amount int64) bool {
		p := b.postings[id]
		known[id] = true
		return name == "" || p.account == name && p.amount == amount
	}
	for id, m := range d.acked {
		out, in := id, id
		if m.From != "" && m.To != "" {
			out, in = id+outOf, id+into
		}
		if !has(out, m.From, -m.Amount) || !has(in, m.To, m.Amount) {
			errs = append(errs, fmt.Errorf("%s was acknowledged, and is not in the books", id))
		}
	}
	for id := range d.unknown { // may be in the books
		known[id], known[id+outOf], known[id+into] = true, true, true
	}
	for _, id := range slices.Sorted(maps.Keys(b.postings)) {
		if !known[id] {
			errs = append(errs, fmt.Errorf("%s is in the books, and was not acknowledged", id))
		}
	}
	return errors.Join(errs...)
}

// report prints how the requests ended.
func (d *demo) report(w io.Writer, took time.Duration) {
	n := d.gone + len(d.failed)
	for _, count := range d.answers {
		n += count
	}
	fmt.Fprintf(w, "%d requests of %d clients to %s in %v\n", n, d.clients, d.url, took.Round(time.Millisecond))
	for _, status := range slices.Sorted(maps.Keys(d.answers)) {
		fmt.Fprintf(w, "  %d %-22s %6d\n", status, http.StatusText(status), d.answers[status])
	}
	fmt.Fprintf(w, "  %-26s %6d\n", "went away", d.gone)
	if len(d.failed) > 0 {
		fmt.Fprintf(w, "  %-26s %6d\n", "failed", len(d.failed))
	}
}
