package flow

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// A BreakerConfig configures a Breaker. The zero value is ready to use.
type BreakerConfig struct {
	// Window is the time over which results are counted. A result counts from the end of its call.
	// The window is cut into tenths, so a result is forgotten after nine to ten tenths. 0 means 10
	// s.
	Window time.Duration
	// Calls is the number of results within Window below which the breaker does not open. 0 means
	// 10.
	Calls int
	// Share is the share of failures among them at which the breaker opens, above 0 and at most 1.
	// 0 means 0.5.
	Share float64
	// Open is the time for which the breaker refuses all calls before it allows probes. 0 means 5
	// s.
	Open time.Duration
	// Probes is the number of probes in a row, one at a time, that must succeed before the breaker
	// closes. 0 means 1.
	Probes int
	// Lease is the longest time for which a probe makes the breaker refuse other calls. After that
	// the probe counts as failed, whatever its result. 0 means 30 s.
	Lease time.Duration
	// Failed reports whether a call that returned err counts as a failure. If it is nil, every
	// error counts, except the end of the caller's own context. It may be called on several
	// goroutines at a time.
	Failed func(err error) bool
	// Changed, if it is not nil, gets each change of the state. The breaker does not wait: a change
	// that finds no room is lost, and is counted by the policy of the mailbox.
	Changed actor.Sender[BreakerChange]
}

// A BreakerState is what a Breaker does with calls.
type BreakerState uint8

const (
	Closed  BreakerState = iota // calls go through
	Open                        // calls are refused
	Probing                     // one call at a time goes through, the others are refused
)

// String returns the state in one word: closed, open or probing.
func (s BreakerState) String() string {
	if s > Probing {
		return fmt.Sprintf("BreakerState(%d)", uint8(s))
	}
	return [...]string{"closed", "open", "probing"}[s]
}

// A BreakerChange is a change of a breaker's state.
type BreakerChange struct {
	From, To BreakerState
	At       time.Time // the time of the change, on the clock of the system
}

// OpenError is the error of Breaker.Do for a call that was refused.
type OpenError struct {
	Until time.Time // when to try again: the end of Open, or of the probe's lease
}

// Error returns a text with the time until which calls are refused.
func (e *OpenError) Error() string {
	return "flow: the breaker is open until " + e.Until.Format(time.RFC3339Nano)
}

// A Breaker refuses calls to a service that keeps failing, so that neither the callers nor the
// service spend time on them. It opens when the share of failures among the latest calls is too
// high, refuses all calls for a time, and closes when enough probes succeed:
//
//	        too many failures          Open is over             Probes succeed
//	Closed ───────────────────▶ Open ───────────────▶ Probing ─────────────────▶ Closed
//	                              ▲                     │
//	                              └──── a probe fails ──┘
//
// A Breaker may be used by tasklets of all schedulers of its system, and by ordinary goroutines.
// The circuit breaker is from Nygard, Release It! (2007).
type Breaker struct {
	sys *actor.System
	cfg BreakerConfig

	mu     sync.Mutex // protects the following
	state  BreakerState
	era    uint64 // the number of changes of the state; results from another era do not count
	window window
	until  time.Time // if open, the end of Open; if probing, the end of the probe's lease
	probe  bool      // a probe is running
	passed int       // the number of probes in a row that succeeded
}

// NewBreaker returns a closed breaker that uses the clock of sys. If a field of cfg is invalid, it
// returns an error that names the field.
func NewBreaker(sys *actor.System, cfg BreakerConfig) (*Breaker, error) {
	if sys == nil {
		panic("flow: NewBreaker with a nil *System")
	}
	setDefault(&cfg.Window, 10*time.Second)
	setDefault(&cfg.Calls, 10)
	setDefault(&cfg.Share, 0.5)
	setDefault(&cfg.Open, 5*time.Second)
	setDefault(&cfg.Probes, 1)
	setDefault(&cfg.Lease, 30*time.Second)
	switch {
	case cfg.Window < tenths:
		return nil, fmt.Errorf("flow: BreakerConfig.Window is %v: too short", cfg.Window)
	case cfg.Calls < 0:
		return nil, fmt.Errorf("flow: BreakerConfig.Calls is %d: negative", cfg.Calls)
	case !(cfg.Share > 0 && cfg.Share <= 1):
		return nil, fmt.Errorf("flow: BreakerConfig.Share is %v: must be above 0 and at most 1", cfg.Share)
	case cfg.Open < 0:
		return nil, fmt.Errorf("flow: BreakerConfig.Open is %v: negative", cfg.Open)
	case cfg.Probes < 0:
		return nil, fmt.Errorf("flow: BreakerConfig.Probes is %d: negative", cfg.Probes)
	case cfg.Lease < 0:
		return nil, fmt.Errorf("flow: BreakerConfig.Lease is %v: negative", cfg.Lease)
	}
	return &Breaker{sys: sys, cfg: cfg, window: window{begin: sys.Now(), tenth: cfg.Window / tenths}}, nil
}

func setDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// State returns the state in which a call would find the breaker now.
func (b *Breaker) State() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open && !b.sys.Now().Before(b.until) {
		return Probing // the next call is a probe
	}
	return b.state
}

// Do calls f and returns its error. If the breaker refuses the call, Do returns an *[OpenError] and
// does not call f. ctx is passed to f; Do itself does not wait.
//
// A call that panics or calls runtime.Goexit counts as a failure. A call that does not return
// because its tasklet was killed counts neither as a success nor as a failure.
func (b *Breaker) Do(ctx context.Context, f func(ctx context.Context) error) error {
	era, probe, change, err := b.enter()
	b.tell(ctx, change)
	if err != nil {
		return err
	}
	result, returned := failure, false
	defer func() { b.tell(ctx, b.leave(era, probe, result)) }()
	if t := actor.Current(ctx); t != nil {
		begin := b.sys.Now()
		defer func() {
			if k := t.Glance().KilledFor; !returned && k > 0 && k <= b.sys.Now().Sub(begin)+1 {
				result = unknown // the kill came during the call
			}
		}()
	}
	err = f(ctx)
	returned = true
	result = b.resultOf(ctx, err)
	return err
}

// result is what the end of a call says about its target.
type result uint8

const (
	success result = iota
	failure
	unknown // it says nothing about the target
)

func (b *Breaker) resultOf(ctx context.Context, err error) result {
	switch {
	case err == nil:
		return success
	case b.cfg.Failed != nil:
		if b.cfg.Failed(err) {
			return failure
		}
		return success
	case ctx.Err() != nil:
		return unknown
	}
	return failure
}

// enter admits a call or returns the reason for which it is refused.
func (b *Breaker) enter() (era uint64, probe bool, change *BreakerChange, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.sys.Now()
	switch {
	case b.state == Closed:
		return b.era, false, nil, nil
	case b.state == Open && !now.Before(b.until):
		change = b.change(Probing, now)
		b.passed = 0
	case b.state == Probing && b.probe && !now.Before(b.until):
		change = b.open(now) // the probe has not returned in time
	}
	if b.state == Probing && !b.probe {
		b.probe, b.until = true, now.Add(b.cfg.Lease)
		return b.era, true, change, nil
	}
	return 0, false, change, &OpenError{b.until}
}

// leave counts the result of a call.
func (b *Breaker) leave(era uint64, probe bool, r result) (change *BreakerChange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if era != b.era {
		return nil // the result is about the time before the state changed
	}
	now := b.sys.Now()
	if probe {
		b.probe = false
		switch {
		case r == failure, r == success && !now.Before(b.until): // too late
			return b.open(now)
		case r == success:
			if b.passed++; b.passed == b.cfg.Probes {
				b.window = window{begin: now, tenth: b.window.tenth}
				return b.change(Closed, now)
			}
		}
		return nil
	}
	if r == unknown {
		return nil
	}
	b.window.add(now, r == failure)
	if n, failed := b.window.count(now); n >= b.cfg.Calls && float64(failed) >= b.cfg.Share*float64(n) {
		return b.open(now)
	}
	return nil
}

func (b *Breaker) open(now time.Time) *BreakerChange {
	b.until = now.Add(b.cfg.Open)
	return b.change(Open, now)
}

// change changes the state, and so begins an era. mu must be held.
func (b *Breaker) change(to BreakerState, now time.Time) *BreakerChange {
	c := &BreakerChange{b.state, to, now}
	b.state, b.probe = to, false
	b.era++
	return c
}

// tell sends a change to Changed. mu must not be held, because Changed is user code.
func (b *Breaker) tell(ctx context.Context, c *BreakerChange) {
	if c != nil && b.cfg.Changed != nil {
		_ = b.cfg.Changed.TrySend(ctx, *c)
	}
}

// tenths is the number of parts of a window.
const tenths = 10

// window has the counts of the results within the last Window.
type window struct {
	begin time.Time
	tenth time.Duration
	at    int64 // the number of the newest part, counted from begin
	parts [tenths]struct{ n, failed int }
}

// move makes the part to which now belongs the newest.
func (w *window) move(now time.Time) {
	at := int64(now.Sub(w.begin) / w.tenth)
	for n := min(at-w.at, tenths); n > 0; n-- {
		w.parts[(at-n+1)%tenths] = struct{ n, failed int }{}
	}
	w.at = max(w.at, at)
}

func (w *window) add(now time.Time, failed bool) {
	w.move(now)
	p := &w.parts[w.at%tenths]
	p.n++
	if failed {
		p.failed++
	}
}

func (w *window) count(now time.Time) (n, failed int) {
	w.move(now)
	for _, p := range w.parts {
		n += p.n
		failed += p.failed
	}
	return n, failed
}
