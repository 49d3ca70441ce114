package inspector

import (
	"embed"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// EventAction is the event of an action; see [AllowActions]. Its fields are action, who and remote.
var EventAction = event.New("inspector_action", zap.WarnLevel)

// An Option changes what [Handler] allows.
type Option func(*config)

// config is what the options say. It is not changed after Handler has returned.
type config struct {
	authorize func(r *http.Request) (who string, ok bool) // nil admits the loopback interface only
	hosts     []string                                    // lower case
	actions   bool
	level     *zap.AtomicLevel // nil if there is none
}

// Authorize makes the handler ask f about each request, instead of answering the loopback interface
// only. f returns who makes the request, for the log of actions, and whether it is answered; it
// must not read the body. The handler refuses a request with 403, or with 401 and the challenge for
// a password if it has no Authorization header. If f panics or calls runtime.Goexit the request is
// refused too. f is called on a goroutine of its own, by several requests at the same time.
//
// hosts are the host names under which browsers reach the handler, without ports. Requests for
// other names are refused, except for localhost and IP addresses, because a page of another site
// could make them. Authorize panics if f is nil.
func Authorize(f func(r *http.Request) (who string, ok bool), hosts ...string) Option {
	if f == nil {
		misuse("Authorize with a nil function")
	}
	names := make([]string, len(hosts))
	for i, h := range hosts {
		if h == "" || strings.ContainsAny(h, "/:* ") {
			misuse("Authorize: %q is not a host name; it must have no scheme, port or asterisk", h)
		}
		names[i] = strings.ToLower(strings.TrimSuffix(h, "."))
	}
	return func(c *config) { c.authorize, c.hosts = f, names }
}

// AllowActions lets requests kill, drain and restart tasklets. Each action is an event
// [EventAction], with what was done and who did it, and the cause of a kill says the same. Without
// AllowActions such requests get 403.
func AllowActions() Option { return func(c *config) { c.actions = true } }

// LogLevel makes the handler show level, which should be that of the system's logger. With
// [AllowActions] requests can change it.
func LogLevel(level zap.AtomicLevel) Option {
	if level == (zap.AtomicLevel{}) {
		misuse("LogLevel of a zero zap.AtomicLevel")
	}
	return func(c *config) { c.level = &level }
}

func misuse(format string, args ...any) { panic("inspector: " + fmt.Sprintf(format, args...)) }

// Handler returns the handler for the pages and endpoints of sys. Its pattern in a mux ends in a
// slash. It can be served under any path, and by several servers. It registers nothing anywhere
// else. Handler panics if sys is nil. It may be called from any goroutine, and more than once for a
// system; each handler has its own options and streams.
//
// The handler must be served by ordinary goroutines, as net/http does. Streams end when the server
// that serves them shuts down, so that they do not hold up [http.Server.Shutdown].
func Handler(sys *actor.System, opts ...Option) http.Handler {
	if sys == nil {
		misuse("Handler of a nil *actor.System")
	}
	h := &handler{sys: sys, rec: recorderOf(sys), rates: new(tree.Rates)}
	for _, o := range opts {
		if o == nil {
			misuse("Handler with a nil Option")
		}
		o(&h.config)
	}
	h.hub.init(h)
	return h
}

// handler is the handler of a system.
type handler struct {
	config // set in Handler, then read-only
	sys    *actor.System
	rec    *recorder
	hub    hub
	stacks stacks
	doing  doing

	// mu protects the following, and is held during a survey, so that requests wait for the one
	// that surveys and share its result.
	mu    sync.Mutex
	now   *moment     // the last survey, or nil
	rates *tree.Rates // compares the surveys
	drop  *time.Timer // calls forget; nil before the first survey
}

//go:embed web
var files embed.FS

// pages are the files that a browser loads, by name.
var pages = map[string]struct{ file, kind string }{
	"":          {"web/index.html", "text/html; charset=utf-8"},
	"style.css": {"web/style.css", "text/css; charset=utf-8"},
	"app.js":    {"web/app.js", "text/javascript; charset=utf-8"},
	"draw.js":   {"web/draw.js", "text/javascript; charset=utf-8"},
	"worker.js": {"web/worker.js", "text/javascript; charset=utf-8"},
}

// policy is the Content-Security-Policy. A browser loads nothing but the files of the handler, and
// the trusted types make it refuse to take text as markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; worker-src 'self'; " +
	"img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types tasklets"

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	for _, kv := range [...][2]string{
		{"Cache-Control", "no-store"},
		{"Content-Security-Policy", policy},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Referrer-Policy", "no-referrer"},
		{"X-Content-Type-Options", "nosniff"},
		{"X-Frame-Options", "DENY"},
	} {
		header.Set(kv[0], kv[1])
	}
	h.hub.server(r)
	what, isAPI := route(r.URL.Path)
	page, isPage := pages[what]
	who, ok := h.admit(w, r, isPage && what == "")
	switch {
	case !ok:
	case isAPI:
		h.serveAPI(w, r, what, who)
	case !isPage:
		fail(w, http.StatusNotFound, "there is no such page")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		header.Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "the method must be GET or HEAD")
	default:
		body, _ := files.ReadFile(page.file) // it is embedded
		send(w, r, page.kind, body)
	}
}

// route returns the part of a path that names a page, or an endpoint below api/. What stands before
// it is where the handler is mounted, which may be below an api/ too. No endpoint ends as a page.
func route(p string) (what string, isAPI bool) {
	if last := p[strings.LastIndexByte(p, '/')+1:]; pages[last].file != "" {
		return last, false
	}
	if i := strings.LastIndex(p, "/api/"); i >= 0 {
		return p[i+len("/api/"):], true
	}
	if rest, ok := strings.CutPrefix(p, "api/"); ok {
		return rest, true
	}
	return p[strings.LastIndexByte(p, '/')+1:], false
}

// send answers a request that has succeeded.
func send(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	reply(w, r, http.StatusOK, kind, body)
}

func reply(w http.ResponseWriter, r *http.Request, code int, kind string, body []byte) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client has gone if it fails
	}
}

// serveAPI answers a request for what, below api/.
func (h *handler) serveAPI(w http.ResponseWriter, r *http.Request, what, who string) {
	if r.Method == http.MethodPost {
		h.act(w, r, what, who)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD, POST")
		fail(w, http.StatusMethodNotAllowed, "the method must be GET, HEAD or POST")
		return
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		// A part of it would be ignored.
		fail(w, http.StatusBadRequest, "the query is not well-formed")
		return
	}
	if what == "stream" {
		for key := range q {
			if key != "view" {
				fail(w, http.StatusBadRequest, "the query of a stream may have view only")
				return
			}
		}
		h.hub.serve(w, r, q["view"])
		return
	}
	name, arg, _ := strings.Cut(what, "/")
	if strings.HasSuffix(arg, "/stack") && name == "tasklet" {
		h.serveStack(w, r, strings.TrimSuffix(arg, "/stack"))
		return
	}
	res, bad := h.view(name, arg, q)
	switch {
	case bad != nil:
		fail(w, bad.code, bad.text)
	case res.text != nil:
		send(w, r, "text/plain; charset=utf-8", res.text)
	default:
		send(w, r, "application/json", append(res.json(), '\n'))
	}
}

// problem is why a request is not answered.
type problem struct {
	code int
	text string
}

func problemf(code int, format string, args ...any) *problem {
	return &problem{code, fmt.Sprintf(format, args...)}
}

// fail answers with an error, as JSON.
func fail(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(encode(map[string]any{"error": text}), '\n'))
}

// Limits of what is asked for and shown.
const (
	defaultRows = 200
	minRows     = 4
	maxRows     = 1000
	maxQuery    = 4 << 10 // bytes of a query
)

// For how long a survey is used: fresh, or share times as long as it took, with what was computed
// from it.
const (
	fresh = 500 * time.Millisecond
	share = 5
	// keep is how long the last survey, and the changes of streams, are kept when nobody looks any
	// more. A survey holds all tasklets of its moment, also those that have ended.
	keep = time.Minute
)
