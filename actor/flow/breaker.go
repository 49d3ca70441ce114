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
	// Window is the time over which results are counted, by the moments at which the calls ended;
	// 0: 10 s. It is cut into tenths: a result is forgotten after 9 to 10 tenths.
	Window time.Duration
	// Calls is how many results there must be within Window before the breaker can open; 0: 10.
	Calls int
	// Share is the share of failures among them at which it opens, above 0 and up to 1; 0: 0.5.
	Share float64
	// Open is how long it refuses all calls; 0: 5 s. Then it lets probes through.
	Open time.Duration
	// Probes is how many calls in a row must succeed before it closes, one at a time; 0: 1.
	Probes int
	// Lease is how long a probe keeps others waiting; 0: 30 s. After that the probe counts as
	// failed, whatever becomes of it.
	Lease time.Duration
	// Failed reports whether a call that returned err counts as a failure. nil: every error does
	// but the end of the caller's own context. It may be called on several goroutines at a time.
	Failed func(err error) bool
	// Changed, if it is not nil, is sent each change of the state, without waiting: what finds no
	// room is lost, and is counted by the policy of the mailbox.
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
	At       time.Time // on the clock of the system
}

// An OpenError is returned by Breaker.Do for a call that it refused.
type OpenError struct {
	Until time.Time // when it is worth another try: the end of Open, or of the probe's lease
}

// Error says until when calls are refused.
func (e *OpenError) Error() string {
	return "flow: the breaker is open until " + e.Until.Format(time.RFC3339Nano)
}

// A Breaker refuses calls to something that keeps failing, so that neither the callers nor what
// they call spend time on calls that fail. It opens when the share of failures among the calls that
// ended lately is too high, refuses all calls for a time, and closes when a probe succeeds:
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
	era    uint64 // changes of the state: the result of a call from another era is not counted
	window window
	until  time.Time // Open: when it ends. Probing: when the lease of the probe ends
	probe  bool      // one is under way
	passed int       // probes that succeeded in a row
}

// NewBreaker returns a closed breaker that goes by the clock of sys. It returns an error that names
// the field if cfg is wrong.
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

// State returns what the breaker would do with a call now.
func (b *Breaker) State() BreakerState {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.state == Open && !b.sys.Now().Before(b.until) {
		return Probing // the next call is a probe
	}
	return b.state
}

// Do calls f and returns its error, or returns an *[OpenError] without calling it. ctx is handed to
// f; Do itself does not wait.
//
// A call that does not return counts as a failure if it panics or calls runtime.Goexit. If it does
// not return because its tasklet is killed, it counts as neither.
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

// result is what a call says of what was called.
type result uint8

const (
	success result = iota
	failure
	unknown // it says nothing
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

// enter lets a call in, or says why not.
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
		change = b.open(now) // the probe has not come back
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
		return nil // it says how things were before the state changed
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

// change begins an era. Under mu.
func (b *Breaker) change(to BreakerState, now time.Time) *BreakerChange {
	c := &BreakerChange{b.state, to, now}
	b.state, b.probe = to, false
	b.era++
	return c
}

// tell sends a change to the one who wants to know. Not under mu: it runs code of the user's.
func (b *Breaker) tell(ctx context.Context, c *BreakerChange) {
	if c != nil && b.cfg.Changed != nil {
		_ = b.cfg.Changed.TrySend(ctx, *c)
	}
}

// tenths is how many parts a window has.
const tenths = 10

// window counts results of the last time.
type window struct {
	begin time.Time
	tenth time.Duration
	at    int64 // the number of the newest part, counted from begin
	parts [tenths]struct{ n, failed int }
}

// move makes the part of now the newest.
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
