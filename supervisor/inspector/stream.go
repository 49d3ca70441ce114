package inspector

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gotasklet/tasklet/internal/guard"
)

// A stream of server-sent events has the views that a browser shows, in all of its tabs: for each
// view a snapshot, and after that only what has changed. The views with the same query share a
// channel, which makes each change once for all streams. A channel keeps its last changes, so that
// a browser whose connection was cut gets what it has missed, and needs no new snapshot. A stream
// that is slow needs no queue: it asks its channels for what has happened since it last asked, and
// gets a snapshot if that is no longer kept.
//
// Rejected: a goroutine that surveys for all streams. Each stream wakes at every tick and asks its
// channels; the first one surveys, and the others share that. So nothing runs when there is no
// stream, and nothing has to be started and stopped with them.
const (
	maxStreams = 8
	maxViews   = 8 // of a stream
	// maxChannels is the number of channels that are kept, with those that no stream uses.
	maxChannels = maxStreams*maxViews + 16
	// maxChanges is the number of changes that a channel keeps, and maxKept their size in bytes.
	maxChanges = 32
	maxKept    = 1 << 20
	// tick is the time between two changes of a stream.
	tick = 500 * time.Millisecond
	// quiet is the time after which a stream that has nothing to say writes an empty line.
	quiet = 10 * time.Second
	// writeLimit is how long a write to a browser may take.
	writeLimit = 10 * time.Second
)

// hub has the streams of a handler.
type hub struct {
	h    *handler // set in init, then read-only
	boot string   // distinguishes the versions of this hub from those of another process

	// mu protects the following.
	mu       sync.Mutex
	streams  int
	channels map[string]*channel
	clock    uint64 // counts uses of channels
	servers  map[*http.Server]*closing
}

// closing is what a server needs to end its streams when it shuts down.
type closing struct {
	done chan struct{}
	once sync.Once
}

func (b *hub) init(h *handler) {
	b.h, b.boot = h, rand.Text()[:8]
	b.channels = make(map[string]*channel)
	b.servers = make(map[*http.Server]*closing)
}

// channel makes the changes of one view.
type channel struct {
	query string // "tree?q=x"
	name  string
	arg   string
	q     url.Values
	birth uint64 // hub.clock when it was made; no two channels of a hub have the same
	used  uint64 // hub.mu protects it

	// mu protects the following. It is held while the view is made.
	mu      sync.Mutex
	over    *problem // why the view will never be made again, or nil
	version uint64   // of last; 0 if there is none
	last    *result
	made    time.Time
	changes []change // the newest is at the end
	size    int      // of changes, in bytes
}

// change leads to a version from the one before.
type change struct {
	version uint64
	data    []byte
}

// channel returns the channel for a query. If the query is wrong, that is all that it has.
func (b *hub) channel(query string) *channel {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.clock++
	c := b.channels[query]
	if c == nil {
		if len(b.channels) >= maxChannels {
			var old *channel
			for _, other := range b.channels {
				if old == nil || other.used < old.used {
					old = other
				}
			}
			delete(b.channels, old.query) // a stream that uses it keeps it
		}
		c = &channel{query: query, birth: b.clock}
		c.parse()
		b.channels[query] = c
	}
	c.used = b.clock
	return c
}

// parse sets what the query says, before c is used.
func (c *channel) parse() {
	path, raw, _ := strings.Cut(c.query, "?")
	q, err := url.ParseQuery(raw)
	c.name, c.arg, _ = strings.Cut(path, "/")
	c.q = q
	switch {
	case err != nil:
		c.over = problemf(http.StatusBadRequest, "the query of a view is wrong")
	case q.Get("format") != "" || c.name == "event":
		c.over = problemf(http.StatusBadRequest, "there is no such view")
	}
}

// since returns what a stream with a version must write, and the version that it then has. The
// names of the events are change and snapshot.
func (c *channel) since(h *handler, version uint64) (event string, data [][]byte, now uint64, bad *problem) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if bad := c.renew(h); bad != nil {
		return "", nil, 0, bad
	}
	if version == c.version {
		return "", nil, version, nil
	}
	if version > 0 && version < c.version && c.version-version <= uint64(len(c.changes)) {
		for _, d := range c.changes[uint64(len(c.changes))-(c.version-version):] {
			data = append(data, d.data)
		}
		return "change", data, c.version, nil
	}
	all := c.last.whole()
	all["view"] = c.query
	all["now"] = h.sys.Now().UnixMilli()
	return "snapshot", [][]byte{encode(all)}, c.version, nil
}

// renew makes the view again, unless another stream has done so a moment ago. mu must be held.
func (c *channel) renew(h *handler) *problem {
	if c.over != nil {
		if c.last == nil {
			return c.over
		}
		return nil
	}
	if c.last != nil && !h.sys.Virtual() && time.Since(c.made) < tick/2 {
		return nil
	}
	r, bad := h.view(c.name, c.arg, c.q)
	if bad != nil {
		if bad.code == http.StatusNotFound && c.name == "tasklet" {
			c.over = bad // an ID is used once, and to search for it takes a survey each time
		}
		if c.last != nil && bad.code == http.StatusNotFound {
			// It has ended while somebody looks at it.
			r = &result{head: map[string]any{"gone": bad.text}}
			for _, l := range c.last.lists {
				r.add(l.name, l.rows)
			}
			for k, v := range c.last.head {
				if k != "gone" {
					r.head[k] = v
				}
			}
		} else {
			return bad
		}
	}
	now := h.sys.Now()
	c.made = time.Now()
	if bad == nil {
		r = r.fixed(c.last, now)
	}
	if c.last == nil {
		c.last, c.version = r, 1
		return nil
	}
	diff := r.since(c.last)
	c.last = r
	if diff == nil {
		return nil
	}
	c.version++
	diff["view"] = c.query
	data := encode(diff)
	c.changes = append(c.changes, change{c.version, data})
	c.size += len(data)
	for len(c.changes) > maxChanges || c.size > maxKept && len(c.changes) > 0 {
		c.size -= len(c.changes[0].data)
		c.changes = slices.Delete(c.changes, 0, 1)
	}
	return nil
}

// forget drops the channels if there is no stream.
func (b *hub) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == 0 {
		clear(b.channels)
	}
}

// subscription is a view of a stream.
type subscription struct {
	c       *channel
	version uint64 // that the browser has; 0 if it has nothing
	problem string // that the browser was told last; "" if there is none
}

// serve answers a GET of stream with views.
func (b *hub) serve(w http.ResponseWriter, r *http.Request, queries []string) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", "GET")
		fail(w, http.StatusMethodNotAllowed, "the method of a stream must be GET")
		return
	}
	if len(queries) == 0 || len(queries) > maxViews {
		fail(w, http.StatusBadRequest, fmt.Sprintf("a stream must have 1 to %d views", maxViews))
		return
	}
	end, leave := b.join(b.server(r))
	if leave == nil {
		w.Header().Set("Retry-After", "5")
		fail(w, http.StatusServiceUnavailable, fmt.Sprintf("%d streams are open; close a page elsewhere", maxStreams))
		return
	}
	defer leave()
	// A view that cannot be made does not end the stream: its other views are of other pages.
	subs := make([]*subscription, len(queries))
	for i, q := range queries {
		subs[i] = &subscription{c: b.channel(q)}
	}
	b.resume(subs, r.Header.Get("Last-Event-ID"))

	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // for nginx
	s := &stream{b: b, subs: subs, to: http.NewResponseController(w), w: w}
	if err := s.to.Flush(); guard.Is(err, http.ErrNotSupported) {
		fail(w, http.StatusInternalServerError, "a handler around the inspector's has a ResponseWriter that cannot flush")
		return
	}
	if !s.write("retry: 2000\n\n") {
		return
	}
	ticks := time.NewTicker(tick)
	defer ticks.Stop()
	for s.step() {
		select {
		case <-ticks.C:
		case <-r.Context().Done():
			return
		case <-end:
			return
		}
	}
}

// server returns what ends the streams of the server that serves r, or nil if r comes from none. It
// is asked for each request, so that it knows the server before a stream begins.
func (b *hub) server(r *http.Request) *closing {
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.servers[server]
	if c == nil {
		c = &closing{done: make(chan struct{})}
		b.servers[server] = c
		server.RegisterOnShutdown(func() { c.once.Do(func() { close(c.done) }) })
	}
	return c
}

// join counts a stream, and returns a channel that is closed when its server shuts down. leave is
// nil if there are too many streams.
func (b *hub) join(c *closing) (end <-chan struct{}, leave func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams >= maxStreams {
		return nil, nil
	}
	b.streams++
	if c != nil {
		end = c.done
	}
	return end, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.streams--
	}
}

// resume sets the versions that the browser has, as the ID of the last event that it got says:
// "boot-5:3.6:7" for two views, in the order of the request, with the birth of the channel and the
// version of each. The birth tells a channel from an earlier one with the same query, which had
// other versions.
func (b *hub) resume(subs []*subscription, id string) {
	boot, versions, ok := strings.Cut(id, "-")
	parts := strings.Split(versions, ".")
	if !ok || boot != b.boot || len(parts) != len(subs) {
		return
	}
	for i, s := range subs {
		birth, version, _ := strings.Cut(parts[i], ":")
		if n, err := strconv.ParseUint(version, 10, 64); err == nil && birth == strconv.FormatUint(s.c.birth, 10) {
			s.version = n
		}
	}
}

// stream is a stream being written.
type stream struct {
	b    *hub
	subs []*subscription
	w    http.ResponseWriter
	to   *http.ResponseController
	said time.Time // the last write
}

// step writes what has happened since the last step. It returns false if the browser has gone.
func (s *stream) step() bool {
	for _, sub := range s.subs {
		event, data, now, bad := sub.c.since(s.b.h, sub.version)
		switch {
		case bad == nil:
			sub.problem = ""
		case bad.text != sub.problem:
			sub.problem = bad.text
			event, data = "problem", [][]byte{encode(map[string]any{"view": sub.c.query, "error": bad.text})}
		}
		for i, d := range data {
			if bad == nil {
				sub.version = now - uint64(len(data)-1-i)
			}
			if !s.write("id: " + s.id() + "\nevent: " + event + "\ndata: " + string(d) + "\n\n") {
				return false
			}
		}
	}
	return time.Since(s.said) < quiet || s.write(":\n\n")
}

// id returns the versions that the browser has after this event.
func (s *stream) id() string {
	var b strings.Builder
	b.WriteString(s.b.boot)
	for i, sub := range s.subs {
		b.WriteByte("-."[min(i, 1)])
		b.WriteString(strconv.FormatUint(sub.c.birth, 10))
		b.WriteByte(':')
		b.WriteString(strconv.FormatUint(sub.version, 10))
	}
	return b.String()
}

// write writes text and flushes. The deadline is set for the write only: a server's WriteTimeout
// would end the stream, and a deadline that passes between two writes would end one of HTTP/2.
func (s *stream) write(text string) bool {
	_ = s.to.SetWriteDeadline(time.Now().Add(writeLimit)) // not every writer has one
	_, err := s.w.Write([]byte(text))
	if err == nil {
		err = s.to.Flush()
	}
	_ = s.to.SetWriteDeadline(time.Time{})
	s.said = time.Now()
	return err == nil
}
