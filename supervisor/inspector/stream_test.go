package inspector_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// browser is a stream as a browser has it.
type browser struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
	over   chan struct{}

	mu   sync.Mutex
	got  bytes.Buffer
	hold chan struct{} // a write waits until it is closed, if it is not nil
}

func (b *browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	hold := b.hold
	b.mu.Unlock()
	if hold != nil {
		<-hold
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.Write(p)
}

func (b *browser) Flush() {}

// text returns what was written so far, and forgets it.
func (b *browser) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.got.String()
	b.got.Reset()
	return s
}

// message is an event of a stream.
type message struct {
	id, kind string
	data     map[string]any
}

func parse(tb testing.TB, text string) (all []message) {
	for block := range strings.SplitSeq(text, "\n\n") {
		var m message
		for _, line := range strings.Split(block, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "id":
				m.id = value
			case "event":
				m.kind = value
			case "data":
				m.data = object(tb, []byte(value))
			}
		}
		if m.kind != "" {
			all = append(all, m)
		}
	}
	return all
}

// open opens a stream of views.
func open(h http.Handler, last string, views ...string) *browser {
	ctx, cancel := context.WithCancel(context.Background())
	b := &browser{ResponseRecorder: httptest.NewRecorder(), cancel: cancel, over: make(chan struct{})}
	target := mount + "api/stream?"
	for _, v := range views {
		target += "&view=" + url.QueryEscape(v)
	}
	r := request(http.MethodGet, target).WithContext(ctx)
	if last != "" {
		r.Header.Set("Last-Event-ID", last)
	}
	go func() {
		defer close(b.over)
		h.ServeHTTP(b, r)
	}()
	return b
}

func (b *browser) close() {
	b.cancel()
	<-b.over
}

// inBubble runs f with a system and a handler in a bubble, where real time is virtual.
func inBubble(t *testing.T, f func(t *testing.T, sys *actor.System, h http.Handler)) {
	synctest.Test(t, func(t *testing.T) {
		sys, err := actor.Start(actor.Config{Name: "shop", Logger: zap.NewNop(), StallAfter: -1})
		require.NoError(t, err)
		defer sys.Stop(context.Background())
		f(t, sys, inspector.Handler(sys))
	})
}

// page is what a browser has of a view, made of a snapshot and changes.
type page struct {
	head  map[string]any
	order map[string][]string
	rows  map[string]map[string]map[string]any
}

func (p *page) apply(m message) {
	if m.kind == "snapshot" {
		p.head = m.data["head"].(map[string]any)
		p.order, p.rows = map[string][]string{}, map[string]map[string]map[string]any{}
		for name, rows := range m.data["lists"].(map[string]any) {
			p.rows[name], p.order[name] = map[string]map[string]any{}, []string{}
			for _, r := range rows.([]any) {
				key := r.([]any)[0].(string)
				p.order[name] = append(p.order[name], key)
				p.rows[name][key] = r.([]any)[1].(map[string]any)
			}
		}
		return
	}
	merge := func(to map[string]any, from any) {
		changes, _ := from.(map[string]any)
		for k, v := range changes {
			if to[k] = v; v == nil {
				delete(to, k)
			}
		}
	}
	merge(p.head, m.data["head"])
	lists, _ := m.data["lists"].(map[string]any)
	for name, l := range lists {
		set, _ := l.(map[string]any)["set"].(map[string]any)
		for key, changes := range set {
			if p.rows[name][key] == nil {
				p.rows[name][key] = map[string]any{}
			}
			merge(p.rows[name][key], changes)
		}
		if order, ok := l.(map[string]any)["order"].([]any); ok {
			p.order[name] = []string{}
			keep := map[string]map[string]any{}
			for _, k := range order {
				p.order[name] = append(p.order[name], k.(string))
				keep[k.(string)] = p.rows[name][k.(string)]
			}
			p.rows[name] = keep
		}
	}
}

// A stream has a snapshot, then nothing as long as nothing changes, and then only what has changed.
// The page that is made of it is the same as that of a new snapshot.
func TestStream(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		ref := actor.Receiver(sys, func(*actor.Tasklet, int) error { return nil }, actor.Name("counter"))
		for i := range 20 {
			actor.Go(sys, waiting, actor.Name(fmt.Sprint("idle", i)))
		}
		time.Sleep(time.Second)
		b := open(h, "", "tree?rows=100")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		all := parse(t, b.text())
		require.Len(t, all, 1, "nothing changes")
		require.Equal(t, "snapshot", all[0].kind)
		var have page
		have.apply(all[0])
		require.Len(t, have.order["tree"], 22)

		require.NoError(t, ref.Send(context.Background(), 1))
		time.Sleep(2 * time.Second)
		text := b.text()
		all = parse(t, text)
		require.NotEmpty(t, all)
		require.Less(t, len(text), 600, "only one row has changed: %s", text)
		for _, m := range all {
			require.Equal(t, "change", m.kind)
			have.apply(m)
		}

		// Starts, ends and counters, in any order: what is put together is what there is.
		for i := range 30 {
			w := actor.Go(sys, waiting, actor.Name(fmt.Sprint("new", i)))
			_ = ref.Send(context.Background(), i)
			time.Sleep(time.Duration(i*70) * time.Millisecond)
			if i%3 == 0 {
				w.Kill()
			}
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		for _, m := range parse(t, b.text()) {
			require.Equal(t, "change", m.kind)
			have.apply(m)
		}
		other := open(h, "", "tree?rows=100")
		synctest.Wait()
		var want page
		want.apply(parse(t, other.text())[0])
		require.Equal(t, want, have)
		b.close()
		other.close()
	})
}

// A stream that was cut continues where it was, if that is not too long ago, and otherwise begins
// anew.
func TestStreamResumes(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		ref := actor.Receiver(sys, func(*actor.Tasklet, int) error { return nil }, actor.Name("counter"))
		send := func() {
			require.NoError(t, ref.Send(context.Background(), 1))
			time.Sleep(time.Second)
			synctest.Wait()
		}
		views := []string{"tree", "events?level=info"}
		b := open(h, "", views...)
		send()
		send()
		all := parse(t, b.text())
		last := all[len(all)-1].id
		var have page
		for _, m := range all {
			if m.data["view"] == "tree" {
				have.apply(m)
			}
		}
		b.close()
		send() // nobody looks
		b = open(h, last, views...)
		send()
		all = parse(t, b.text())
		require.NotEmpty(t, all)
		for _, m := range all {
			require.Equal(t, "change", m.kind, "%v", m.data)
			have.apply(m)
		}
		handled := 0.0
		for _, r := range have.rows["tree"] {
			if r["path"] == "/shop/counter" {
				handled = r["handled"].(float64)
			}
		}
		require.EqualValues(t, 4, handled)
		last = all[len(all)-1].id

		// Too much has happened since for the changes that are kept.
		for range 40 {
			send()
		}
		b.close()
		b = open(h, last, views...)
		synctest.Wait()
		all = parse(t, b.text())
		require.Equal(t, "snapshot", all[0].kind)
		b.close()
		for _, bad := range []string{"x", "x-1.1", strings.Split(last, "-")[0] + "-1", strings.Split(last, "-")[0] + "-99999.99999", last + ".1", strings.Split(last, "-")[0] + "-x.y"} {
			b = open(h, bad, views...)
			synctest.Wait()
			all = parse(t, b.text())
			require.Equal(t, "snapshot", all[0].kind, bad)
			b.close()
		}
	})
}

// A page of a tasklet that has ended costs no survey for itself.
func TestStreamOfTheEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		var surveys counting
		actor.Go(sys, func(t *actor.Tasklet) error {
			tree.Register(t, &surveys)
			return waiting(t)
		})
		w := actor.Go(sys, waiting)
		w.Kill()
		synctest.Wait()
		b := open(h, "", "tasklet/"+id(w))
		time.Sleep(time.Second)
		synctest.Wait()
		before := surveys.Load()
		require.NotZero(t, before)
		time.Sleep(time.Minute)
		b.close()
		require.Equal(t, before, surveys.Load())
	})
}

// counting counts the surveys that see its tasklet.
type counting struct{ atomic.Int32 }

func (c *counting) Describe(func(tree.Child)) tree.Supervision {
	c.Add(1)
	return tree.Supervision{}
}

// However many pages are open, and however long it takes to make them, the survey behind them is
// renewed.
func TestSurveyIsRenewed(t *testing.T) {
	for name, slow := range map[string]func(sys *actor.System, i int) (view string){
		"the author takes long": func(sys *actor.System, _ int) string {
			w := actor.Go(sys, func(t *actor.Tasklet) error {
				inspector.Publish(t, func() any { time.Sleep(90 * time.Millisecond); return 1 })
				return waiting(t)
			})
			synctest.Wait()
			return "tasklet/" + id(w)
		},
		"a row takes long": func(sys *actor.System, i int) string {
			_, err := supervisor.Start(sys, supervisor.Spec{
				Name: fmt.Sprint("s", i), Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: time.Hour},
				Children: []supervisor.Child{{ID: "f", Body: actor.GoBody(func(*actor.Tasklet) error { return slowError{} })}},
			})
			require.NoError(t, err)
			return fmt.Sprint("tree?under=/shop/s", i)
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
				var all []*browser
				for i := range 7 {
					all = append(all, open(h, "", slow(sys, i)))
				}
				all = append(all, open(h, "", "tasklets?sort=name"))
				for i := range 5 {
					time.Sleep(10 * time.Second)
					all[7].text()
					name := fmt.Sprint("late", i)
					actor.Go(sys, waiting, actor.Name(name))
					time.Sleep(3 * time.Second)
					synctest.Wait()
					require.Contains(t, all[7].text(), name)
				}
				for _, b := range all {
					b.close()
				}
			})
		})
	}
}

type slowError struct{}

func (slowError) Error() string { time.Sleep(90 * time.Millisecond); return "slow" }

// A channel that makes place for others, and is made anew, does not continue a page that has the
// rows of the old one.
func TestStreamResumesOnlyItsChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		emit := func() {
			sys.Emit(actor.EventRecord{Kind: event.TicksMissed, Path: "/x", Count: 1})
			time.Sleep(time.Second)
			synctest.Wait()
		}
		last := func(b *browser) message {
			all := parse(t, b.text())
			require.NotEmpty(t, all)
			return all[len(all)-1]
		}
		b := open(h, "", "events")
		emit()
		id := last(b).id
		b.close()
		for i := range 100 {
			b = open(h, "", fmt.Sprintf("events?rows=%d", i+1))
			synctest.Wait()
			b.close()
		}
		b = open(h, "", "events")
		for range 3 {
			emit()
		}
		b.close()
		b = open(h, id, "events")
		synctest.Wait()
		require.Equal(t, "snapshot", last(b).kind)
		b.close()
	})
}

// A stream that cannot be flushed is refused with the reason, instead of ending again and again.
func TestStreamNeedsFlush(t *testing.T) {
	h := http.TimeoutHandler(inspector.Handler(system(t, actor.Config{})), time.Minute, "")
	require.Contains(t, refused(t, h, request(http.MethodGet, mount+"api/stream?view=tree"), 500), "cannot flush")
}

// There are at most eight streams, and the ninth is told when to come again.
func TestStreamLimit(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *actor.System, h http.Handler) {
		var all []*browser
		for range 8 {
			all = append(all, open(h, "", "tree"))
		}
		synctest.Wait()
		w := do(h, request(http.MethodGet, mount+"api/stream?view=tree"))
		require.Equal(t, 503, w.Code)
		require.Equal(t, "5", w.Header().Get("Retry-After"))
		all[3].close()
		all[3] = open(h, "", "tree")
		synctest.Wait()
		require.Contains(t, all[3].text(), "snapshot")
		for _, b := range all {
			b.close()
		}
	})
}

// A browser that does not read costs no memory: when it reads again it gets what is kept, or a
// snapshot. The others go on.
func TestSlowBrowser(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		slow, fast := open(h, "", "events"), open(h, "", "events")
		synctest.Wait()
		slow.text()
		hold := make(chan struct{})
		slow.mu.Lock()
		slow.hold = hold
		slow.mu.Unlock()
		for i := range 400 {
			sys.Emit(actor.EventRecord{Kind: event.TicksMissed, Path: strings.Repeat("x", 1000), Count: i})
			time.Sleep(1100 * time.Millisecond)
		}
		synctest.Wait()
		require.Greater(t, len(parse(t, fast.text())), 300)
		slow.mu.Lock()
		slow.hold = nil
		slow.mu.Unlock()
		close(hold)
		time.Sleep(time.Second)
		synctest.Wait()
		all := parse(t, slow.text())
		kinds := []string{}
		for _, m := range all {
			kinds = append(kinds, m.kind)
		}
		require.Contains(t, kinds, "snapshot", "what it has missed is no longer kept")
		require.Less(t, len(all), 5)
		slow.close()
		fast.close()
	})
}

// A view that is wrong, or of something that is not there, has its problem and does not hold up the
// other views of the stream. One that ends while somebody looks is shown as ended.
func TestStreamViews(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		for _, bad := range []string{"", "x=1", strings.Repeat("view=tree&", 9)} {
			w := do(h, request(http.MethodGet, mount+"api/stream?"+bad))
			require.Equal(t, 400, w.Code, bad)
		}
		nobody := "tasklet/00000000-0000-0000-0000-000000000000"
		wrong := map[string]string{
			"": "no such endpoint", "nothing": "no such endpoint", "tree?rows=x": "rows must be", "tree?format=text": "no such view",
			"event/1": "no such view", "tasklet/x": "not the ID", nobody: "no tasklet has this ID", "tree?under=/x": "no tasklet has this path",
			"tree?q=%zz": "query of a view is wrong", "tree?a;b": "query of a view is wrong", "tree\n\nevent: snapshot\ndata: {}": "no such endpoint",
		}
		for view, why := range wrong {
			b := open(h, "", view, "events")
			time.Sleep(5 * time.Second)
			synctest.Wait()
			all := parse(t, b.text())
			require.Len(t, all, 2, "%q: it is said once", view)
			require.Equal(t, "problem", all[0].kind, view)
			require.Equal(t, view, all[0].data["view"])
			require.Contains(t, all[0].data["error"], why, view)
			require.Equal(t, "snapshot", all[1].kind, view)
			b.close()
		}
		w := actor.Go(sys, waiting, actor.Name("w"))
		synctest.Wait()
		b := open(h, "", "tasklet/"+id(w), "tree?under=/shop/w")
		synctest.Wait()
		require.Len(t, parse(t, b.text()), 2)
		w.Kill()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		text := b.text()
		require.Contains(t, text, `"gone":"no tasklet has this ID now"`)
		require.Contains(t, text, `"gone":"no tasklet has this path now"`)
		require.Less(t, len(parse(t, text)), 6, "it is said once: %s", text)
		b.close()

		// A path that is not there may come, also if nothing else changes.
		b = open(h, "", "tree?under=/shop/late")
		time.Sleep(3 * time.Second)
		actor.Go(sys, waiting, actor.Name("late"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		all := parse(t, b.text())
		require.Equal(t, "problem", all[0].kind)
		require.Equal(t, "snapshot", all[1].kind)
		b.close()
	})
}

// Nobody looks, so nothing is surveyed: the channel of a stream that has ended makes nothing.
func TestNothingWithoutStreams(t *testing.T) {
	inBubble(t, func(t *testing.T, sys *actor.System, h http.Handler) {
		calls := 0
		w := actor.Go(sys, func(t *actor.Tasklet) error {
			inspector.Publish(t, func() any { calls++; return calls })
			return waiting(t)
		})
		synctest.Wait()
		b := open(h, "", "tasklet/"+id(w))
		time.Sleep(5 * time.Second)
		b.close()
		require.Greater(t, calls, 5)
		before := calls
		time.Sleep(time.Hour)
		require.Equal(t, before, calls)
	})
}

// A stream does not hold up Shutdown of the server that serves it, and those of another server go
// on. ReadTimeout and WriteTimeout do not end it.
func TestShutdown(t *testing.T) {
	h := inspector.Handler(system(t, actor.Config{}))
	serve := func() (*http.Server, string, chan error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		s := &http.Server{Handler: h, ReadTimeout: 300 * time.Millisecond, WriteTimeout: 300 * time.Millisecond}
		over := make(chan error, 1)
		go func() { over <- s.Serve(l) }()
		return s, "http://" + l.Addr().String() + mount, over
	}
	first, url, over := serve()
	second, other, overToo := serve()
	connect := func(url string) (end chan struct{}, resp *http.Response) {
		eventually(t, func() bool { // it is refused if it takes longer than ReadTimeout
			var err error
			resp, err = http.Get(url + "api/stream?view=tree")
			return err == nil
		})
		require.Equal(t, 200, resp.StatusCode)
		end = make(chan struct{})
		go func() {
			defer close(end)
			buf := make([]byte, 1024)
			for {
				if _, err := resp.Body.Read(buf); err != nil {
					return
				}
			}
		}()
		return end, resp
	}
	end, _ := connect(url)
	endToo, resp := connect(other)
	time.Sleep(time.Second)
	for _, e := range []chan struct{}{end, endToo} {
		select {
		case <-e:
			require.Fail(t, "a timeout of the server has ended the stream")
		default:
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, first.Shutdown(ctx))
	require.ErrorIs(t, <-over, http.ErrServerClosed)
	<-end
	select {
	case <-endToo:
		require.Fail(t, "the stream of another server has ended")
	default:
	}
	resp.Body.Close()
	require.NoError(t, second.Close())
	<-overToo
	<-endToo
}
