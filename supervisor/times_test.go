package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// Every function and field of the public API that takes a time, with the odd values: each is
// refused, or the effect comes at the right moment on a virtual clock, at once or never. The
// functions are read from the source, so that a new one is not forgotten.

const (
	never   = time.Duration(-1)
	refused = time.Duration(-2)
	// horizon is how long an effect is waited for: longer than the default of Shutdown.
	horizon = 7 * time.Second
)

var oddTimes = []time.Duration{
	0, 1, -1, -2, -3, -time.Second, math.MinInt64, math.MinInt64 + 1, time.Millisecond, 1500 * time.Microsecond, 2 * time.Second,
	time.Hour, math.MaxInt64 / 2, math.MaxInt64/2 + 1, math.MaxInt64 - 1, math.MaxInt64,
}

var oddNumbers = []float64{
	0, math.Copysign(0, -1), -1, math.NaN(), math.Inf(1), math.Inf(-1), -math.MaxFloat64, math.SmallestNonzeroFloat64, 1e-300, 1e-10,
	0.25, 0.5, 1, 3, 64, 1e9, 1e10, 1e18, 1e300, math.MaxFloat64,
}

// timed is a user of a time. do runs in a tasklet and calls done when the effect is there; the
// first call counts. An error says that v was refused, as does a panic that names a rule.
type timed[V any] struct {
	do   func(t *actor.Tasklet, v V, done func()) error
	want func(v V) time.Duration // since the call
}

// tick is when something comes that is due after d: on the next tick, at once if that is past.
func tick(d time.Duration) time.Duration {
	if d > horizon {
		return never
	}
	return max(0, (d+time.Millisecond-1)/time.Millisecond*time.Millisecond)
}

// positive is tick for what refuses any other time.
func positive(d time.Duration) time.Duration {
	if d <= 0 {
		return refused
	}
	return tick(d)
}

// stopping is the moment at which a kill becomes hard.
func stopping(d time.Duration) time.Duration {
	switch {
	case d < actor.Infinity:
		return refused
	case d == actor.Infinity:
		return never
	case d == actor.BrutalKill:
		return 0
	case d == 0:
		return 5 * time.Second
	}
	return tick(d)
}

// atOnce is for what must only not hang or fail.
func atOnce(time.Duration) time.Duration { return 0 }

// stubborn is a body that ends when its kill is hard.
func stubborn(done func()) actor.Body {
	return actor.GoBody(func(t *actor.Tasklet) error {
		defer func() {
			defer done()
			t.Sleep(time.Hour) // raised at once if the kill is hard, else when it becomes hard
		}()
		t.Sleep(24 * time.Hour)
		return nil
	})
}

// failing is a child that fails up after its start has been done, and calls started with how often
// it was started.
func failing(up time.Duration, started func(n int)) []supervisor.Child {
	n := 0
	return []supervisor.Child{{ID: "a", Body: actor.GoBody(func(t *actor.Tasklet) error {
		n++
		started(n)
		if up > 0 {
			t.Sleep(up)
		}
		return errCrash
	})}}
}

// restarting starts a supervisor with this backoff, and calls done at the n-th start of a child
// that fails up after each.
func restarting(t *actor.Tasklet, b supervisor.Backoff, up time.Duration, n int, done func()) error {
	_, err := supervisor.Start(t, supervisor.Spec{
		Intensity: supervisor.Unlimited, Backoff: b,
		Children: failing(up, func(i int) {
			if i == n {
				done()
			} else if i > n {
				t.Sleep(24 * time.Hour) // without a delay no time would pass
			}
		}),
	})
	forever(t, err)
	return err
}

// forever keeps t, and so what it has started, if nothing was refused.
func forever(t *actor.Tasklet, err error) {
	if err == nil {
		t.Sleep(24 * time.Hour)
	}
}

// givesUp calls done when a supervisor or pool ends whose second restart comes 2 s after the first.
func givesUp(t *actor.Tasklet, s interface{ Tasklet() *actor.Tasklet }, err error, done func()) error {
	if err == nil {
		_ = s.Tasklet().Join(t)
		done()
	}
	return err
}

// inWindow is when givesUp does so with this Period.
func inWindow(d time.Duration) time.Duration {
	switch {
	case d < 0:
		return refused
	case d == 0 || d >= 2*time.Second:
		return 4 * time.Second
	}
	return never
}

// batch hands over what is there after wait.
func batch(d time.Duration) time.Duration {
	if d < 0 {
		return never
	}
	return tick(d)
}

func calls(ref actor.Ref[int], t *actor.Tasklet) { _ = ref.Send(t, 1) }

var takesTime = map[string]timed[time.Duration]{
	"core.Task.Sleep": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		core.TaskOf(t).Sleep(d)
		done()
		return nil
	}, tick},
	"actor.Sleep": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		ctx, cancel := actor.WithTimeout(t, math.MaxInt64)
		defer cancel()
		if err := actor.Sleep(ctx, d); err != nil {
			return err
		}
		done()
		return nil
	}, tick},
	"actor.Tasklet.Sleep": {func(t *actor.Tasklet, d time.Duration, done func()) error { t.Sleep(d); done(); return nil }, tick},
	"core.WithTimeout": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		ctx, cancel := core.WithTimeout(t, d)
		return ends(ctx, cancel, done)
	}, tick},
	"actor.WithTimeout": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		ctx, cancel := actor.WithTimeout(t, d)
		return ends(ctx, cancel, done)
	}, tick},
	"core.Scheduler.After": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		s := core.TaskOf(t).Scheduler()
		want := int64(math.MaxInt64)
		if now := s.Nanotime(); int64(d) <= math.MaxInt64-now {
			want = max(now+int64(d), 1)
		}
		if got := s.After(d); got != want {
			panic(fmt.Sprintf("After(%v) is %d, want %d", d, got, want))
		}
		done()
		return nil
	}, atOnce},
	"core.Config.StallAfter": {func(_ *actor.Tasklet, d time.Duration, done func()) error {
		s := core.New(core.Config{StallAfter: d, Hooks: core.Hooks{Stall: func(core.Stall) {}}})
		s.InjectFunc(s.Stop)
		defer done()
		return s.Run()
	}, atOnce},
	"actor.Config.StallAfter": {func(_ *actor.Tasklet, d time.Duration, done func()) error {
		defer done()
		cfg := actor.Config{StallAfter: d, Logger: zap.NewNop()}
		return actor.Run(context.Background(), cfg, func(*actor.Tasklet) error { return nil })
	}, atOnce},
	"core.Hooks.Late": {func(_ *actor.Tasklet, d time.Duration, done func()) error {
		clock := scheduler.NewVirtualClock(time.Time{})
		hooks := core.Hooks{Late: func() time.Duration { return d }}
		s := core.New(core.Config{Clock: clock, Hooks: hooks})
		waits := 0
		var task core.Task
		task.Init(s, 1, runnerFunc(func(t *core.Task) {
			for ; waits < 5; waits++ {
				t.Sleep(time.Millisecond)
			}
			s.Stop()
		}))
		s.InjectFunc(task.Wake)
		defer done()
		return s.Run()
	}, atOnce},
	"actor.Simulation.Late": {func(_ *actor.Tasklet, d time.Duration, done func()) error {
		defer done()
		cfg := actor.Config{
			Seed: 1, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(),
			Simulation: &actor.Simulation{Late: func() time.Duration { return d }},
		}
		return actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
			for range 5 {
				t.Sleep(time.Millisecond)
			}
			return nil
		})
	}, atOnce},
	"mailbox.Mailbox.ReceiveTimeout": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.Spawn(t, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			for _, err := range box.ReceiveTimeout(d) {
				if errors.Is(err, mailbox.ErrTimeout) {
					done()
				}
			}
			return nil
		})
		forever(t, nil)
		return nil
	}, tick},
	"mailbox.Mailbox.ReceiveBatch": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		calls(actor.Spawn(t, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			for range box.ReceiveBatch(2, d) {
				done()
			}
			return nil
		}), t)
		forever(t, nil)
		return nil
	}, batch},
	"actor.BatchReceiverBody": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		ref := actor.NewRef[int]()
		actor.StartTasklet(t, actor.BatchReceiverBody(ref, 2, d, func(*actor.Tasklet, []int) error { done(); return nil }))
		calls(ref, t)
		forever(t, nil)
		return nil
	}, batch},
	"actor.BatchReceiver": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		calls(actor.BatchReceiver(t, 2, d, func(*actor.Tasklet, []int) error { done(); return nil }), t)
		forever(t, nil)
		return nil
	}, batch},
	"actor.IntervalBody": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.StartTasklet(t, actor.IntervalBody(d, func(*actor.Tasklet) error { done(); return nil }))
		forever(t, nil)
		return nil
	}, positive},
	"actor.IdleAfter": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
			actor.IdleAfter(d, func(*actor.Tasklet) error { done(); return nil }))
		forever(t, nil)
		return nil
	}, positive},
	"actor.Tasklet.SetIdle": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		body := actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			t.SetIdle(d, func(*actor.Tasklet) error { done(); return nil })
			return func(*actor.Tasklet, int) error { return nil }, nil
		})
		k := actor.StartTasklet(t, body, actor.IdleAfter(time.Hour, nil))
		t.Sleep(0)
		if err := k.Err(); err != nil {
			return k.Join(t) // refused
		}
		forever(t, nil)
		return nil
	}, positive},
	"actor.Interval": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.Interval(t, d, func(*actor.Tasklet) error { done(); return nil })
		forever(t, nil)
		return nil
	}, positive},
	"actor.LaterBody": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.StartTasklet(t, actor.LaterBody(d, func(*actor.Tasklet) error { done(); return nil }))
		forever(t, nil)
		return nil
	}, tick},
	"actor.Later": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.Later(t, d, func(*actor.Tasklet) error { done(); return nil })
		forever(t, nil)
		return nil
	}, tick},
	"actor.SendAfter": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.SendAfter(t, d, actor.Receiver(t, func(*actor.Tasklet, int) error { done(); return nil }), 1)
		forever(t, nil)
		return nil
	}, tick},
	"actor.Shutdown": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		actor.StartTasklet(t, stubborn(done), actor.Shutdown(d))
		t.Yield()
		return nil // its end stops the child
	}, stopping},
	"actor.Family.StopTogether": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		fam := actor.Family{Kind: "f", StopTogether: d}
		k := actor.StartTasklet(t, actor.Supervise(actor.NewRef[int](), fam, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			actor.StartTasklet(t, stubborn(done))
			t.Yield()
			return func(*actor.Tasklet, int) error { return nil }, nil
		}))
		t.Yield()
		t.Yield()
		k.Kill()
		forever(t, nil)
		return nil
	}, stopping},
	"supervisor.Spec.Period": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		s, err := supervisor.Start(t, supervisor.Spec{Period: d, Children: failing(2*time.Second, func(int) {})})
		return givesUp(t, s, err, done)
	}, inWindow},
	"supervisor.PoolSpec.Period": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		p, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{
			Period: d, Child: func(int) supervisor.Child { return failing(2*time.Second, func(int) {})[0] },
		})
		if err == nil {
			_, err = p.Start(t, 1)
		}
		return givesUp(t, p, err, done)
	}, inWindow},
	"supervisor.Spec.LogEvery": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		treeLogged = done
		_, err := supervisor.Start(t, supervisor.Spec{LogEvery: d})
		forever(t, err)
		return err
	}, func(d time.Duration) time.Duration {
		switch {
		case d < 0:
			return refused
		case d == 0:
			return never
		}
		return tick(d)
	}},
	"supervisor.Child.Shutdown": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		s, err := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{{ID: "a", Body: stubborn(done), Shutdown: d}}})
		if err != nil {
			return err
		}
		t.Yield()
		return s.StopChild(t, "a")
	}, stopping},
	"supervisor.PoolSpec.Shutdown": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		p, err := supervisor.StartPool(t, supervisor.PoolSpec[int]{
			Shutdown: d, Child: func(int) supervisor.Child { return supervisor.Child{Body: stubborn(done)} },
		})
		if err == nil {
			_, err = p.Start(t, 1)
			t.Yield()
		}
		return err // its end stops the pool
	}, stopping},
	"supervisor.Backoff.Min": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		return restarting(t, supervisor.Backoff{Min: d}, 0, 2, done)
	}, func(d time.Duration) time.Duration {
		if d < 0 {
			return refused
		}
		return tick(d)
	}},
	"supervisor.Backoff.Max": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		return restarting(t, supervisor.Backoff{Min: time.Second, Max: d}, 0, 3, done)
	}, func(d time.Duration) time.Duration {
		if d < 0 || d > 0 && d < time.Second {
			return refused
		}
		return 3 * time.Second
	}},
	"supervisor.Backoff.ResetAfter": {func(t *actor.Tasklet, d time.Duration, done func()) error {
		return restarting(t, supervisor.Backoff{Min: time.Second, ResetAfter: d}, 100*time.Millisecond, 3, done)
	}, func(d time.Duration) time.Duration {
		switch {
		case d < 0:
			return refused
		case d > 0 && d <= 100*time.Millisecond:
			return 2200 * time.Millisecond
		}
		return 3200 * time.Millisecond
	}},
}

// ends waits for the end of ctx.
func ends(ctx context.Context, cancel func(), done func()) error {
	defer cancel()
	var never scheduler.Event
	if err := never.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	done()
	return nil
}

type runnerFunc func(t *core.Task)

func (f runnerFunc) Run(t *core.Task) { f(t) }

// takesDeadline are those that take a time of day, given by its distance from now.
var takesDeadline = map[string]func(t *actor.Tasklet, at time.Time, done func()) error{
	"core.WithDeadline": func(t *actor.Tasklet, at time.Time, done func()) error {
		ctx, cancel := core.WithDeadline(t, at)
		return ends(ctx, cancel, done)
	},
	"actor.WithDeadline": func(t *actor.Tasklet, at time.Time, done func()) error {
		ctx, cancel := actor.WithDeadline(t, at)
		return ends(ctx, cancel, done)
	},
}

// takesNanos are those that take a time as a number: that of the scheduler's clock.
var takesNanos = map[string]func(t *actor.Tasklet, ns int64, done func()){
	"core.Scheduler.StartTimer": func(t *actor.Tasklet, ns int64, done func()) {
		var timer core.Timer
		core.TaskOf(t).Scheduler().StartTimer(&timer, ns, expirer(done))
		defer core.TaskOf(t).Scheduler().StopTimer(&timer)
		forever(t, nil)
	},
	"core.Wait.Until": func(t *actor.Tasklet, ns int64, done func()) {
		_ = core.TaskOf(t).Park(core.Wait{Kind: core.InEvent, Until: ns})
		done()
	},
	"core.Task.WakeAt": func(t *actor.Tasklet, ns int64, done func()) {
		var task core.Task
		called := false
		s := core.TaskOf(t).Scheduler()
		task.Init(s, 1<<30, runnerFunc(func(task *core.Task) {
			if called {
				done()
			} else {
				called = true
				task.WakeAt(ns)
			}
		}))
		task.Wake()
		defer task.Finish()
		forever(t, nil)
	},
}

type expirer func()

func (f expirer) Expire() { f() }

var takesNumber = map[string]timed[float64]{
	"actor.RateBody": {func(t *actor.Tasklet, hz float64, done func()) error {
		actor.StartTasklet(t, actor.RateBody(hz, func(*actor.Tasklet, time.Time) error { done(); return nil }))
		forever(t, nil)
		return nil
	}, rate},
	"actor.Rate": {func(t *actor.Tasklet, hz float64, done func()) error {
		actor.Rate(t, hz, func(*actor.Tasklet, time.Time) error { done(); return nil })
		forever(t, nil)
		return nil
	}, rate},
	"supervisor.Backoff.Factor": {func(t *actor.Tasklet, f float64, done func()) error {
		return restarting(t, supervisor.Backoff{Min: time.Second, Max: math.MaxInt64, Factor: f}, 0, 3, done)
	}, func(f float64) time.Duration {
		switch {
		case f == 0:
			return 3 * time.Second
		case !(f >= 1):
			return refused
		case f > 6:
			return never
		}
		return time.Second + tick(time.Duration(f*float64(time.Second)))
	}},
	// With a Jitter of 1 the delay may be any; so the number drawn is not looked at, only that it
	// comes in time.
	"supervisor.Backoff.Jitter": {func(t *actor.Tasklet, j float64, done func()) error {
		begin := t.System().Now()
		return restarting(t, supervisor.Backoff{Min: time.Second, Jitter: j}, 0, 2, func() {
			d := t.System().Now().Sub(begin)
			if d > time.Second || d < time.Duration((1-j)*float64(time.Second)) {
				panic(fmt.Sprintf("the delay is %v", d))
			}
			treeLogged = nil
			done()
		})
	}, func(j float64) time.Duration {
		if !(j >= 0 && j <= 1) {
			return refused
		}
		return anyTime
	}},
}

// anyTime: the effect comes before the horizon.
const anyTime = time.Duration(-3)

// rate is the first call at hz.
func rate(hz float64) time.Duration {
	if !(hz > 0) || math.IsInf(hz, 0) {
		return refused
	}
	if d := 1e9 / hz; d > float64(horizon) {
		return never
	}
	return max(tick(time.Duration(1e9/hz)), time.Millisecond)
}

// told is where the library says a time, and takesElsewhere what has its test in
// another package, which may be imported from here as little as this one from there, or needs a
// test that fails.
var (
	told = []string{
		"core.Stall.For", "core.View.Since", "core.View.Until", "actor.EventRecord.Time", "actor.DeadLetter.Time", "actor.Glance.For",
		"actor.Glance.Until", "actor.Glance.KilledFor", "tree.Row.For", "tree.Row.Until", "tree.Row.Killed", "tree.Row.Over", "tree.Row.Oldest", "tree.Row.Rate", "tree.Row.Busy",
		"tree.Row.LastAgo", "tree.Supervision.Up", "flow.BreakerChange.At", "flow.OpenError.Until", "entity.FailedError.Until", "actor.Slot.Restarting", "actor.SlotGlance.Until", "actor.SlotGlance.LastAt",
		"actor.lineage.MessageWaited",
	}
	// Numbers that are no times.
	counts = []string{
		"scheduler.NewSemaphore", "scheduler.Semaphore.Acquire", "scheduler.Semaphore.Release", "scheduler.Semaphore.TryAcquire",
	}
	takesThere = map[string]string{
		"service.Options.Drain":       "supervisor/service TestOptionsDrain",
		"entity.Spec.Idle":            "supervisor/entity TestOddTimes",
		"entity.Spec.Period":          "supervisor/entity TestOddTimes",
		"entity.Spec.Backoff":         "supervisor/entity TestOddTimes",
		"entity.Spec.Shutdown":        "supervisor/entity TestOddTimes",
		"core.NewVirtualClock":        "internal/core TestVirtualClocksOfAnyStart",
		"scheduler.NewVirtualClock":   "internal/core TestVirtualClocksOfAnyStart",
		"actortest.Limit":             "actor/actortest TestTimesOfTests",
		"actortest.Probe.Within":      "actor/actortest TestTimesOfTests",
		"actortest.Probe.ExpectNone":  "actor/actortest TestTimesOfTests",
		"actortest.Message.Busy":      "actor/actortest TestTimesOfTests",
		"health.Options.Hold":         "supervisor/health TestMisuse",
		"health.Options.Grace":        "supervisor/health TestMisuse",
		"health.Check.Timeout":        "supervisor/health TestCheckTimeout",
		"work.Spec.Shutdown":          "supervisor/work TestOddTimes",
		"work.Batch.Wait":             "supervisor/work TestOddTimes",
		"machine.State.Timeout":       "supervisor/machine TestMisuse",
		"flow.Retry.Min":              "actor/flow TestOddTimesInFlow",
		"flow.Retry.Max":              "actor/flow TestOddTimesInFlow",
		"flow.BreakerConfig.Window":   "actor/flow TestOddTimesInFlow",
		"flow.BreakerConfig.Open":     "actor/flow TestOddTimesInFlow",
		"flow.BreakerConfig.Share":    "actor/flow TestBreakerMisuse",
		"flow.Retry.Factor":           "actor/flow TestRetryMisuse",
		"flow.Retry.Jitter":           "actor/flow TestRetryMisuse",
		"flow.BreakerConfig.Lease":    "actor/flow TestOddTimesInFlow",
		"tree.Supervision.Period":     "supervisor/tree TestOddTimesInATree",
		"tree.Child.Until":            "supervisor/tree TestOddTimesInATree",
		"tree.Child.LastAt":           "supervisor/tree TestOddTimesInATree",
		"netio.link.SetDeadline":      "scheduler/netio TestOddDeadlines",
		"netio.link.SetReadDeadline":  "scheduler/netio TestOddDeadlines",
		"netio.link.SetWriteDeadline": "scheduler/netio TestOddDeadlines",
		"netio.Listener.SetDeadline":  "scheduler/netio TestOddDeadlines",
	}
)

// treeLogged is called when a tree is logged.
var treeLogged func()

type treeCore struct{ zapcore.LevelEnabler }

func (c treeCore) With([]zapcore.Field) zapcore.Core { return c }
func (c treeCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}
func (treeCore) Write(e zapcore.Entry, _ []zapcore.Field) error {
	if treeLogged != nil && strings.HasPrefix(e.Message, "supervision tree") {
		treeLogged()
	}
	return nil
}
func (treeCore) Sync() error { return nil }

// mustComeAt runs do on a clock that shows old, and wants its effect at want.
func mustComeAt(t *testing.T, old, want time.Duration, do func(t *actor.Tasklet, done func()) error) {
	t.Helper()
	var at []time.Duration
	var got error
	finished := false
	over := make(chan error, 1)
	treeLogged = nil
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(treeCore{zap.InfoLevel})}
	go func() {
		over <- actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
			t.Sleep(old)
			begin := t.System().Now()
			var over scheduler.Event
			actor.Go(t, func(t *actor.Tasklet) (err error) {
				defer func() {
					if v := recover(); v != nil {
						if _, killed := v.(*actor.Killed); killed {
							panic(v)
						}
						err = core.NewPanicError(v)
					}
					if err != nil && !finished {
						got = err
						over.Set()
					}
				}()
				return do(t, func() {
					if !finished {
						at = append(at, t.System().Now().Sub(begin))
					}
					over.Set()
				})
			})
			ctx, cancel := actor.WithTimeout(t, horizon)
			defer cancel()
			_ = over.Wait(ctx)
			finished = true // what comes at the end is no effect
			return nil
		})
	}()
	select {
	case err := <-over:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("hangs")
	}
	var p *actor.PanicError
	if errors.As(got, &p) {
		text := fmt.Sprint(p.Value)
		require.Regexp(t, `^(scheduler|mailbox|actor|supervisor): `, text)
		require.NotContains(t, text, "internal error")
	}
	switch want {
	case refused:
		require.Error(t, got)
	case never:
		require.NoError(t, got)
		require.Empty(t, at)
	case anyTime:
		require.NoError(t, got)
		require.NotEmpty(t, at)
	default:
		require.NoError(t, got)
		require.NotEmpty(t, at)
		require.Equal(t, want, at[0])
	}
}

// clockAges are what the clock shows before: with it, a sum can be out of range that was not at the
// start.
var clockAges = []time.Duration{0, 1234567, time.Hour}

func TestTimesOfTheAPI(t *testing.T) {
	for name, c := range takesTime {
		t.Run(name, func(t *testing.T) {
			for _, v := range oddTimes {
				for _, old := range clockAges {
					t.Run(fmt.Sprint(int64(v), " ", old), func(t *testing.T) {
						mustComeAt(t, old, c.want(v), func(t *actor.Tasklet, done func()) error { return c.do(t, v, done) })
					})
				}
			}
		})
	}
	for name, c := range takesNumber {
		t.Run(name, func(t *testing.T) {
			for _, v := range oddNumbers {
				for _, old := range clockAges {
					t.Run(fmt.Sprint(v, " ", old), func(t *testing.T) {
						mustComeAt(t, old, c.want(v), func(t *actor.Tasklet, done func()) error { return c.do(t, v, done) })
					})
				}
			}
		})
	}
	for name, do := range takesDeadline {
		t.Run(name, func(t *testing.T) {
			for _, v := range oddTimes {
				mustComeAt(t, time.Hour, tick(v), func(t *actor.Tasklet, done func()) error { return do(t, t.System().Now().Add(v), done) })
			}
			for at, want := range map[time.Time]time.Duration{
				{}: 0, time.Unix(0, 0): 0, time.Unix(math.MinInt32, 0): 0, time.Unix(-1<<40, 0): 0,
				time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC): never, time.Unix(1<<40, 0): never, time.Unix(1<<62, 0): never,
			} {
				mustComeAt(t, time.Hour, want, func(t *actor.Tasklet, done func()) error { return do(t, at, done) })
			}
		})
	}
	for name, do := range takesNanos {
		t.Run(name, func(t *testing.T) {
			for _, v := range oddTimes {
				want := max(tick(v-time.Hour), time.Millisecond)
				switch {
				case v == 0 && name == "core.Wait.Until", v-time.Hour > horizon && v > 0:
					want = never
				}
				mustComeAt(t, time.Hour, want, func(t *actor.Tasklet, done func()) error { do(t, int64(v), done); return nil })
			}
		})
	}
}

// Whatever exported function, method or field takes a time has a case above.
func TestAllTimesOfTheAPIAreTested(t *testing.T) {
	var found []string
	for _, dir := range []string{"internal/core", "scheduler", "scheduler/netio", "mailbox", "actor", "actor/event", "actor/reason", "actor/flow", "supervisor/machine", "actor/actortest", "registry", "supervisor", "supervisor/tree", "supervisor/work", "supervisor/service", "supervisor/entity", "supervisor/health", "supervisor/inspector"} {
		found = append(found, timesIn(t, filepath.Join("..", dir))...)
	}
	require.Contains(t, found, "actor.SendAfter")
	require.Contains(t, found, "supervisor.Backoff.Min")
	require.Contains(t, found, "actor.Simulation.Late")
	have := map[string]bool{}
	note := func(name string) {
		require.False(t, have[name], "%s is listed twice", name)
		require.Contains(t, found, name, "it is gone")
		have[name] = true
	}
	for name := range takesTime {
		note(name)
	}
	for name := range takesNumber {
		note(name)
	}
	for name := range takesDeadline {
		note(name)
	}
	for name := range takesNanos {
		note(name)
	}
	have["actor.logClock.NewTicker"] = true // zap's interface asks for it; nobody calls it
	for _, name := range slices.Concat(told, counts) {
		note(name)
	}
	for name, test := range takesThere {
		note(name)
		dir, f, _ := strings.Cut(test, " ")
		files, err := fs.Glob(os.DirFS(filepath.Join("..", dir)), "*_test.go")
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(filepath.Join("..", dir, file))
			return err == nil && strings.Contains(string(text), "func "+f+"(")
		}), "%s has no %s", dir, f)
	}
	for _, name := range found {
		require.True(t, have[name], "%s takes a time, and no case tests it", name)
	}
}

// timesIn gives the exported names in the package in dir that take or have a time: a duration, a
// time of day, a floating-point number, 64 bits of nanoseconds, or a function that gives one.
func timesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	pkg := path.Base(filepath.ToSlash(dir))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		require.NoError(t, err)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					// also of a type embedded in an exported one
					name = typeName(d.Recv.List[0].Type) + "." + name
				}
				if d.Name.IsExported() && anyTimeIn(d.Type.Params) {
					names = append(names, pkg+"."+name)
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					typ, ok := s.(*ast.TypeSpec)
					if !ok || !typ.Name.IsExported() {
						continue
					}
					if fields, ok := typ.Type.(*ast.StructType); ok {
						for _, field := range fields.Fields.List {
							for _, n := range field.Names {
								if n.IsExported() && isTime(field.Type) {
									names = append(names, pkg+"."+typ.Name.Name+"."+n.Name)
								}
							}
						}
					}
				}
			}
		}
	}
	return names
}

func anyTimeIn(fields *ast.FieldList) bool {
	return fields != nil && slices.ContainsFunc(fields.List, func(f *ast.Field) bool { return isTime(f.Type) })
}

// isTime reports whether t may be a time. A function given by the user counts if it gives one.
func isTime(t ast.Expr) bool {
	switch t := t.(type) {
	case *ast.SelectorExpr:
		x, ok := t.X.(*ast.Ident)
		return ok && x.Name == "time" && (t.Sel.Name == "Duration" || t.Sel.Name == "Time")
	case *ast.Ident:
		return t.Name == "float64" || t.Name == "float32" || t.Name == "int64"
	case *ast.FuncType:
		return anyTimeIn(t.Results)
	case *ast.Ellipsis:
		return isTime(t.Elt)
	case *ast.ArrayType:
		return isTime(t.Elt)
	case *ast.StarExpr:
		return isTime(t.X)
	}
	return false
}

// typeName is the name of a receiver's type.
func typeName(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.StarExpr:
		return typeName(t.X)
	case *ast.IndexExpr:
		return typeName(t.X)
	case *ast.IndexListExpr:
		return typeName(t.X)
	case *ast.Ident:
		return t.Name
	}
	return ""
}
