// Package health answers the probes of an orchestrator such as Kubernetes: is the process alive,
// and is it ready for work? Live and Ready return handlers for a ServeMux:
//
//	mux.Handle("/livez", health.Live(sys, health.Options{}))
//	mux.Handle("/readyz", health.Ready(sys, health.Options{
//		Checks: []health.Check{{Name: "database", Func: db.PingContext}},
//	}))
//
// A handler answers 200 or 503, with the reasons as JSON, or as text if the Accept header asks for
// text/plain:
//
//	{"status":"fail","problems":[{"path":"/shop/feed","problem":"restarting for 12s"}]}
//
// # Live
//
// A system is live until it has stopped, and as long as no tasklet holds a scheduler for longer
// than Options.Hold. A process that is not live should be restarted. A process that drains is live.
//
// # Ready
//
// A system is ready if it is live and does not drain, every child of a supervisor that should run
// is running, no supervisor has given up, and all checks have passed. A process that is not ready
// should get no requests.
//
// A child should run unless it was stopped, or has ended and its supervisor does not restart it. A
// child that starts, is restarted, or was killed and has not ended is a problem after
// Options.Grace. Until a handler has seen all children run for the first time, it allows no grace,
// so that a process is not ready before its tree has started. All children in an actor.Slot count,
// which are those of package supervisor and of supervisor/work.
//
// A supervisor in a slot that gives up is restarted like any child. One that is in no slot, such as
// the result of supervisor.Start, is a problem from then on, until a supervisor with the same path
// is started or its parent ends.
//
// # Cost
//
// The handlers wait for no tasklet. The requests of a handler share one survey of the tree for 100
// ms, or for 10 times as long as the survey took if that is more. They share the results of checks
// in the same way. A check that has not returned is not called again, so a check that blocks keeps
// two goroutines and no more.
//
// # Clocks
//
// Whatever is said about the tree goes by the clock of the system. Timeouts of checks, and the time
// for which a scheduler is held, are real time. A handler must not be called inside a tasklet,
// because checks block its goroutine; without checks it may.
package health

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/internal/vitals"
)

// Options configure a handler. The zero value is ready to use.
type Options struct {
	// Hold is how long a tasklet may hold a scheduler before the system is not live. 0 means 10 s.
	// It must not be negative. It should be longer than whatever a tasklet does at worst, because
	// the process is restarted then.
	Hold time.Duration
	// Grace is how long a child may be starting, restarting, or ending after a kill, before the
	// system is not ready. 0 means 5 s. It must not be negative. Live does not use it.
	Grace time.Duration
	// MaxRows is the largest number of problems in a response, which counts the others. 0 means 20.
	// It must be between 0 and 1000.
	MaxRows int
	// Checks are further conditions for Ready, at most 64. They must be empty for Live, because a
	// restart of the process does not repair a database.
	Checks []Check
}

// A Check is a condition outside the tree, such as a database that answers.
type Check struct {
	// Name identifies the check in responses. It must be unique, and have 1 to 64 bytes of
	// printable text.
	Name string
	// Timeout is the time after which the check has failed, and its context ends. 0 means 1 s. It
	// must not be negative. A request is answered at this time at the latest.
	Timeout time.Duration
	// Func returns nil if the check has passed. It is called on a goroutine of its own, at most
	// once at a time. If it panics or calls runtime.Goexit, the check has failed. The text of the
	// error is a part of the response, up to 256 bytes.
	Func func(ctx context.Context) error
}

const (
	defaultHold    = 10 * time.Second
	defaultGrace   = 5 * time.Second
	defaultTimeout = time.Second
	defaultRows    = 20
	maxRows        = 1000
	maxChecks      = 64
	maxName        = 64
	// fresh is how long the result of a survey or a check is used.
	fresh = 100 * time.Millisecond
	// share is how much longer than a survey takes its result is used at least, so that surveys
	// take at most a tenth of a processor.
	share = 10
)

// Live returns a handler that reports whether sys is live. It panics if sys is nil or opts is
// invalid. The handler may be used by any number of goroutines.
func Live(sys *actor.System, opts Options) http.Handler {
	if len(opts.Checks) > 0 {
		panic("health: Live with Options.Checks: they belong to Ready, because a restart does not repair what they find")
	}
	return newHandler("Live", sys, opts, false)
}

// Ready returns a handler that reports whether sys is ready. It panics if sys is nil or opts is
// invalid. The handler may be used by any number of goroutines. It should be made when the tree has
// started: what main has not started yet is not missed.
func Ready(sys *actor.System, opts Options) http.Handler { return newHandler("Ready", sys, opts, true) }

// handler answers probes.
type handler struct {
	// Set in newHandler, then read-only.
	sys    *actor.System
	opts   Options
	ready  bool
	checks []*check

	// mu protects the following. A request holds it during a survey, and others wait for the
	// result.
	mu     sync.Mutex
	held   []hold // for each scheduler
	survey survey
}

func newHandler(name string, sys *actor.System, opts Options, ready bool) *handler {
	if sys == nil {
		panic("health: " + name + " of a nil *actor.System")
	}
	if rule := opts.broken(); rule != "" {
		panic("health: " + name + " with " + rule)
	}
	opts.Hold, opts.Grace, opts.MaxRows = or(opts.Hold, defaultHold), or(opts.Grace, defaultGrace), or(opts.MaxRows, defaultRows)
	h := &handler{sys: sys, opts: opts, ready: ready, held: make([]hold, sys.Schedulers())}
	for _, c := range opts.Checks {
		c.Timeout = or(c.Timeout, defaultTimeout)
		h.checks = append(h.checks, &check{Check: c})
	}
	return h
}

// or returns v, or other if v is 0.
func or[V comparable](v, other V) V {
	var zero V
	if v == zero {
		return other
	}
	return v
}

// broken returns the option that is invalid with the rule that it breaks, or "".
func (o *Options) broken() string {
	switch {
	case o.Hold < 0:
		return fmt.Sprintf("Options.Hold %v: it is negative", o.Hold)
	case o.Grace < 0:
		return fmt.Sprintf("Options.Grace %v: it is negative", o.Grace)
	case o.MaxRows < 0 || o.MaxRows > maxRows:
		return fmt.Sprintf("Options.MaxRows %d: it is not between 0 and %d", o.MaxRows, maxRows)
	case len(o.Checks) > maxChecks:
		return fmt.Sprintf("%d Options.Checks: there are more than %d", len(o.Checks), maxChecks)
	}
	names := make(map[string]int)
	for i, c := range o.Checks {
		at := fmt.Sprintf("Options.Checks[%d]", i)
		other, twice := names[c.Name]
		names[c.Name] = i
		switch {
		case c.Name == "":
			return at + ".Name: it is empty"
		case len(c.Name) > maxName:
			return fmt.Sprintf("%s.Name %s: it has more than %d bytes", at, quote(c.Name), maxName)
		case !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
			return fmt.Sprintf("%s.Name %s: it has characters that cannot be printed", at, quote(c.Name))
		case twice:
			return fmt.Sprintf("%s.Name %s: Options.Checks[%d] has the same name", at, quote(c.Name), other)
		case c.Timeout < 0:
			return fmt.Sprintf("%s.Timeout %v of %s: it is negative", at, c.Timeout, quote(c.Name))
		case c.Func == nil:
			return fmt.Sprintf("%s.Func of %s: it is nil", at, quote(c.Name))
		}
	}
	return ""
}

func quote(s string) string { return fmt.Sprintf("%q", text.Cut(s, 2*maxName)) }

// hold measures for how long one tasklet has held a scheduler.
type hold struct {
	word  uint64
	since time.Time
	path  string // of the tasklet, once it was needed
}

// look returns for how long a tasklet has held the scheduler, which does what b says now. The
// watchdog knows, unless it is off. Then the requests have to do.
func (k *hold) look(b vitals.Busy, now time.Time) time.Duration {
	if b.Task == 0 || b.Word != k.word {
		*k = hold{word: b.Word, since: now}
	}
	if b.Task == 0 {
		return 0
	}
	return max(b.Stalled, now.Sub(k.since))
}

// problems returns what keeps h from answering that all is well, at most Options.MaxRows problems,
// and the number of the others.
func (h *handler) problems() (ps []problem, more int) {
	switch p := vitals.PhaseOf(h.sys); {
	case p == vitals.Stopped:
		return []problem{{h.root(), "has stopped"}}, 0
	case p == vitals.Stopping && h.ready:
		ps = append(ps, problem{h.root(), "stopping"})
	case p == vitals.Draining && h.ready:
		ps = append(ps, problem{h.root(), "draining"})
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for i := range h.held {
		b := vitals.BusyOf(h.sys, i)
		d := h.held[i].look(b, now)
		if d < h.opts.Hold {
			continue
		}
		if h.held[i].path == "" {
			h.held[i].path = or(vitals.PathOf(h.sys, b.Task), "a tasklet that is no longer in the tree")
		}
		ps = append(ps, problem{clean(h.held[i].path), fmt.Sprintf("has held scheduler %d for %v", i, round(d))})
	}
	if h.ready {
		h.survey.renew(h.sys, h.opts.Grace, h.opts.MaxRows)
		ps, more = append(ps, h.survey.problems...), h.survey.more
	}
	if n := len(ps) - h.opts.MaxRows; n > 0 {
		ps, more = ps[:h.opts.MaxRows], more+n
	}
	return ps, more
}

func (h *handler) root() string { return clean(h.sys.Root().Path()) }

// clean returns a path as it is shown.
func clean(path string) string { return text.Line(text.Cut(path, text.MaxName)) }

// round returns d as precise as a reader needs it.
func round(d time.Duration) time.Duration {
	if d >= time.Second {
		return d.Truncate(time.Second)
	}
	return d.Truncate(time.Millisecond)
}
