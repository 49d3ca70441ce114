package core

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// wantPanic runs f, which must panic with this text.
func wantPanic(t *testing.T, text string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if v := fmt.Sprint(recover()); v != text {
			t.Errorf("panic %q, want %q", v, text)
		}
	}()
	f()
}

// sayPanic gives what f panics with.
func sayPanic(f func()) (text string) {
	defer func() { text = fmt.Sprint(recover()) }()
	f()
	return ""
}

type ctxKey string

// inTask runs f as a task, on the virtual clock or in a bubble with the real one.
func inTask(t *testing.T, cfg Config, f func(t *Task)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := New(cfg)
		spawn(s, 1, func(t *Task) {
			f(t)
			s.Stop()
		})
		mustEnd(t, s)
	})
}

func inVirtual(t *testing.T, f func(t *Task)) {
	t.Helper()
	inTask(t, Config{Clock: NewVirtualClock(time.Time{})}, f)
}

// waitUnder parks under ctx and gives the error, and how long it took.
func waitUnder(t *Task, ctx context.Context) (time.Duration, error) {
	_, limit := From(ctx)
	begin := t.s.Nanotime()
	err := t.Park(Wait{Kind: InReceive, Ctx: limit})
	return time.Duration(t.s.Nanotime() - begin), err
}

func TestFrom(t *testing.T) {
	s := virtual()
	var x Task
	x.Init(s, 1, runFunc(park))
	mine := taskContext{&x, nil}
	timed, cancel := WithTimeout(&x, time.Hour)
	defer cancel()
	overMine, cancel2 := WithTimeout(mine, time.Hour)
	defer cancel2()
	value := context.WithValue(timed, ctxKey("k"), 1)
	over, cancel3 := context.WithCancel(&x)
	defer cancel3()
	foreign, cancel4 := context.WithCancel(context.Background())
	defer cancel4()
	for _, test := range []struct {
		name  string
		ctx   context.Context
		task  *Task
		limit context.Context
	}{
		{"task", &x, &x, nil},
		{"its own context", mine, &x, nil},
		{"ours", timed, &x, timed},
		{"ours over its own context", overMine, &x, overMine},
		{"value over ours", value, &x, value},
		{"WithCancel over the task", over, &x, over},
		{"background", context.Background(), nil, context.Background()},
		{"foreign", foreign, nil, foreign},
	} {
		if task, limit := From(test.ctx); task != test.task || limit != test.limit {
			t.Errorf("%s: From gives %v, %v", test.name, task, limit)
		}
	}
}

// taskContext is the own context of a task, as a type around a Task has it.
type taskContext struct {
	context.Context // the task
	done            chan struct{}
}

func (c taskContext) Done() <-chan struct{} { return c.done }

func init() {
	OwnContexts(func(ctx context.Context) *Task {
		if c, ok := ctx.(taskContext); ok {
			return c.Context.(*Task)
		}
		return nil
	})
}

func TestMisuseOfContexts(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Name: func(t *Task) string { return fmt.Sprintf("/t%d", t.id) }}})
	var other *Task
	var none context.Context
	wantPanic(t, "scheduler: Send with a nil context", func() { Caller(none, "Send") })
	wantPanic(t, "scheduler: Send called outside a tasklet: its context belongs to none", func() { Caller(context.Background(), "Send") })
	wantPanic(t, "scheduler: WithTimeout with a nil context", func() { WithTimeout(none, 1) })
	wantPanic(t, "scheduler: WithDeadline with a nil context", func() { WithDeadline(none, time.Time{}) })
	other = spawn(s, 1, park)
	wantPanic(t, "scheduler: Send with the context of /t1, but nothing is running: a context may be used only inside its own tasklet", func() { Caller(other, "Send") })
	spawn(s, 2, func(t *Task) {
		ctx, cancel := WithTimeout(other, time.Hour)
		defer cancel()
		for _, test := range []struct { // rule 12
			f    func()
			want string
		}{
			{func() { Caller(ctx, "Send") }, "Send with the context of /t1, but /t2 is running: a context may be used only inside its own tasklet"},
			{func() { park(other) }, "/t1 blocks while /t2 runs: a context may be used only inside its own tasklet"},
			{other.Yield, "/t1 blocks while /t2 runs: a context may be used only inside its own tasklet"},
		} {
			if got := sayPanic(test.f); got != "scheduler: "+test.want {
				fail(s, "panic %q, want %q", got, test.want)
			}
		}
		s.InjectFunc(func() {
			const want = "scheduler: /t1 blocks while nothing runs: a context may be used only inside its own tasklet"
			if got := sayPanic(func() { other.Sleep(time.Second) }); got != want {
				fail(s, "panic %q, want %q", got, want)
			}
		})
		t.Yield()
		t.Finish()
		for _, block := range []func(){t.Yield, func() { park(t) }, func() { t.Sleep(1) }} {
			if got := sayPanic(block); got != "scheduler: /t2 blocks after it has finished" {
				fail(s, "panic %q", got)
			}
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// Rule 13: what a blocking call returns when its context is done, and what the context itself says.
func TestEndOfAContext(t *testing.T) {
	boom := errors.New("boom")
	type ends struct {
		ctx context.Context
		end func() // called after a second by another task; nil: it ends by itself
	}
	for _, test := range []struct {
		name  string
		make  func(t *Task) ends
		wait  error
		err   error
		cause error
		after time.Duration
		clock string // "virtual", "real"; "": both
	}{
		{"timeout", func(t *Task) ends {
			c, _ := WithTimeout(t, 5*time.Second)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"cancel", func(t *Task) ends {
			c, cancel := WithTimeout(t, 5*time.Second)
			return ends{c, cancel}
		}, context.Canceled, context.Canceled, context.Canceled, time.Second, ""},
		{"deadline", func(t *Task) ends {
			c, _ := WithDeadline(t, t.s.Now().Add(5*time.Second))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"inner is shorter", func(t *Task) ends {
			c, _ := WithTimeout(t, time.Hour)
			c, _ = WithTimeout(c, 5*time.Second)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"outer is shorter", func(t *Task) ends {
			c, _ := WithTimeout(t, 5*time.Second)
			c, _ = WithDeadline(c, t.s.Now().Add(time.Hour))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"outer is cancelled", func(t *Task) ends {
			c, cancel := WithTimeout(t, 5*time.Second)
			c, _ = WithTimeout(c, 4*time.Second)
			c, _ = WithTimeout(c, 3*time.Second)
			return ends{c, cancel}
		}, context.Canceled, context.Canceled, context.Canceled, time.Second, ""},
		{"outer is cancelled, a value in between", func(t *Task) ends {
			c, cancel := WithTimeout(t, 5*time.Second)
			c, _ = WithTimeout(context.WithValue(c, ctxKey("k"), 1), 4*time.Second)
			return ends{context.WithValue(c, ctxKey("k"), 2), cancel}
		}, context.Canceled, context.Canceled, context.Canceled, time.Second, ""},
		{"value over timeout", func(t *Task) ends {
			c, _ := WithTimeout(t, 5*time.Second)
			return ends{context.WithValue(c, ctxKey("k"), 1), nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"WithCancel over the task", func(t *Task) ends {
			c, cancel := context.WithCancelCause(t)
			return ends{c, func() { cancel(boom) }}
		}, boom, context.Canceled, boom, time.Second, "real"},
		{"WithCancel over ours, cancelled", func(t *Task) ends {
			c, _ := WithTimeout(t, 5*time.Second)
			d, cancel := context.WithCancelCause(c)
			return ends{d, func() { cancel(boom) }}
		}, boom, context.Canceled, boom, time.Second, "real"},
		{"WithCancel over ours, which is cancelled", func(t *Task) ends {
			c, cancel := WithTimeout(t, 5*time.Second)
			d := first(context.WithCancelCause(c))
			return ends{d, cancel}
		}, context.Canceled, context.Canceled, context.Canceled, time.Second, "real"},
		{"WithCancel over ours, which expires", func(t *Task) ends {
			c, _ := WithTimeout(t, 5*time.Second)
			d := first(context.WithCancelCause(c))
			return ends{d, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, "real"},
		{"WithTimeoutCause over the task", func(t *Task) ends {
			c := first(context.WithTimeoutCause(t, 5*time.Second, boom))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, boom, 5 * time.Second, "real"},
		{"WithTimeoutCause over ours", func(t *Task) ends {
			c, _ := WithTimeout(t, time.Hour)
			c = first(context.WithTimeoutCause(c, 5*time.Second, boom))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, boom, 5 * time.Second, "real"},
		{"ours over WithTimeoutCause", func(t *Task) ends {
			c := first(context.WithTimeoutCause(t, 5*time.Second, boom))
			c, _ = WithTimeout(c, time.Hour)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, boom, 5 * time.Second, "real"},
		{"ours over WithCancelCause", func(t *Task) ends {
			c, cancel := context.WithCancelCause(t)
			d, _ := WithTimeout(c, 5*time.Second)
			return ends{d, func() { cancel(boom) }}
		}, boom, context.Canceled, boom, time.Second, "real"},
		{"ours over ours over WithCancelCause", func(t *Task) ends {
			c, cancel := context.WithCancelCause(t)
			d, _ := WithTimeout(c, 5*time.Second)
			d, _ = WithTimeout(d, 4*time.Second)
			return ends{d, func() { cancel(boom) }}
		}, boom, context.Canceled, boom, time.Second, "real"},
		{"ours over WithCancel, expiring", func(t *Task) ends {
			c := first(context.WithCancel(t))
			c, _ = WithTimeout(c, 5*time.Second)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, "real"},
		{"ours over WithoutCancel over ours", func(t *Task) ends {
			c, cancel := WithTimeout(t, time.Second)
			cancel()
			c, _ = WithTimeout(context.WithoutCancel(c), 5*time.Second)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, ""},
		{"WithTimeout over WithoutCancel over ours", func(t *Task) ends {
			c, cancel := WithTimeout(t, time.Second)
			cancel()
			c = first(context.WithTimeout(context.WithoutCancel(c), 5*time.Second))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 5 * time.Second, "real"},
		{"no time at all", func(t *Task) ends {
			c, _ := WithTimeout(t, 0)
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 0, ""},
		{"a deadline that has passed", func(t *Task) ends {
			c, _ := WithDeadline(t, t.s.Now().Add(-time.Hour))
			return ends{c, nil}
		}, ErrTimeout, context.DeadlineExceeded, context.DeadlineExceeded, 0, ""},
		{"over one that is over", func(t *Task) ends {
			c, cancel := WithTimeout(t, time.Hour)
			cancel()
			c, _ = WithTimeout(c, time.Hour)
			return ends{c, nil}
		}, context.Canceled, context.Canceled, context.Canceled, 0, ""},
		{"over a foreign one that is over", func(t *Task) ends {
			c, cancel := context.WithCancelCause(t)
			cancel(boom)
			d, _ := WithTimeout(c, time.Hour)
			return ends{d, nil}
		}, boom, context.Canceled, boom, 0, ""},
	} {
		for _, clock := range []string{"virtual", "real"} {
			if test.clock != "" && test.clock != clock {
				continue
			}
			for _, asked := range []bool{false, true} { // for Done, before the wait
				t.Run(fmt.Sprintf("%s, %s clock, asked=%v", test.name, clock, asked), func(t *testing.T) {
					var cfg Config
					if clock == "virtual" {
						cfg.Clock = NewVirtualClock(time.Time{})
					}
					inTask(t, cfg, func(t *Task) {
						e := test.make(t)
						if asked {
							e.ctx.Done()
						}
						if test.after > 0 && (e.ctx.Err() != nil || context.Cause(e.ctx) != nil) {
							fail(t.s, "over before it began: %v, %v", e.ctx.Err(), context.Cause(e.ctx))
						}
						if e.end != nil {
							spawn(t.s, 2, func(t *Task) {
								t.Sleep(time.Second)
								e.end()
							})
						}
						took, err := waitUnder(t, e.ctx)
						if err != test.wait || took != test.after {
							fail(t.s, "the wait ended with %v after %v, want %v after %v", err, took, test.wait, test.after)
						}
						if test.after > 0 {
							// package context ends what it has derived by a goroutine
							t.Sleep(time.Millisecond)
						}
						if err := ContextError(e.ctx); err != test.wait {
							fail(t.s, "ContextError gives %v", err)
						}
						select {
						case <-e.ctx.Done():
						default:
							fail(t.s, "Done is open")
						}
						if e.ctx.Err() != test.err || context.Cause(e.ctx) != test.cause {
							fail(t.s, "Err %v, Cause %v; want %v, %v", e.ctx.Err(), context.Cause(e.ctx), test.err, test.cause)
						}
						if took, err := waitUnder(t, e.ctx); err != test.wait || took != 0 {
							fail(t.s, "the next wait ended with %v after %v", err, took)
						}
						if t.s.outside != 0 {
							fail(t.s, "%d outside are awaited", t.s.outside)
						}
					})
				})
			}
		}
	}
}

// The longest timeout there is does not overflow.
func TestTimeoutForEver(t *testing.T) {
	inVirtual(t, func(t *Task) {
		t.Sleep(time.Second)
		for _, c := range []context.Context{
			first(WithTimeout(t, 1<<63-1)),
			first(WithDeadline(t, t.s.Now().Add(1<<63-1))),
			first(WithTimeout(first(WithTimeout(t, 1<<63-1)), 1<<63-1)),
		} {
			if err := c.Err(); err != nil {
				fail(t.s, "over at once: %v", err)
			}
			c.Done()
		}
	})
}

// first gives the context without its CancelFunc.
func first[F any](c context.Context, _ F) context.Context { return c }

// Rule 13: if the result and the end of the context are both there, the result wins.
func TestResultWinsOverTheEndOfTheContext(t *testing.T) {
	for name, both := range map[string]func(x *Task, cancel func()){
		"result first": func(x *Task, cancel func()) { x.Wake(); cancel() },
		// The end of a context from elsewhere is a piece of work: the wake-up is there first.
		"cancelled first": func(x *Task, cancel func()) { cancel(); x.Wake() },
		"at the deadline": func(x *Task, cancel func()) {
			x.Wake()
			x.s.clock.jump(x.s.clock.since() + int64(time.Hour))
		},
	} {
		for _, asked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, asked=%v", name, asked), func(t *testing.T) {
				s := virtual()
				x := spawn(s, 1, func(t *Task) {
					c, cancel := WithTimeout(t, time.Minute)
					if asked {
						c.Done()
					}
					spawn(s, 2, func(*Task) { both(t, cancel) })
					if _, err := waitUnder(t, c); err != nil {
						fail(s, "the wait ended with %v", err)
					}
					if c.Err() == nil {
						fail(s, "the context is not over")
					}
					s.Stop()
				})
				_ = x
				mustEnd(t, s)
			})
		}
	}
}

// Both a time of the wait's own and a context: the earlier one ends it.
func TestUntilAndContext(t *testing.T) {
	inVirtual(t, func(t *Task) {
		for _, test := range []struct{ until, ctx, want time.Duration }{
			{1 * time.Second, 2 * time.Second, time.Second},
			{2 * time.Second, 1 * time.Second, time.Second},
		} {
			c, cancel := WithTimeout(t, test.ctx)
			begin := elapsed(t.s)
			err := t.Park(Wait{Kind: InReceive, Ctx: c, Until: t.s.After(test.until)})
			if took := elapsed(t.s) - begin; err != ErrTimeout || took != test.want {
				fail(t.s, "%v after %v", err, took)
			}
			cancel()
		}
	})
}

func TestErrTimeout(t *testing.T) {
	var timeout interface{ Timeout() bool }
	if !errors.Is(ErrTimeout, context.DeadlineExceeded) || !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() {
		t.Error("ErrTimeout is no timeout")
	}
	if errors.Is(ErrTimeout, context.Canceled) {
		t.Error("ErrTimeout is a cancellation")
	}
}

// A goroutine outside cancels the context of a wait.
func TestCancelFromAGoroutine(t *testing.T) {
	inVirtual(t, func(t *Task) {
		c, cancel := WithTimeout(t, time.Hour)
		t.s.AwaitOutside(1) // or virtual time would go on meanwhile
		go func() {
			time.Sleep(time.Minute)
			cancel()
		}()
		if took, err := waitUnder(t, c); err != context.Canceled || took != 0 {
			fail(t.s, "%v after %v", err, took)
		}
		t.s.AwaitOutside(-1)
	})
}

// The end of an old wait's context does not end the next wait.
func TestLateEndOfAContextEndsNoOtherWait(t *testing.T) {
	inTask(t, Config{}, func(t *Task) {
		foreign, cancel := context.WithCancel(t)
		mine, cancelMine := WithTimeout(t, time.Hour)
		for _, c := range []struct {
			ctx    context.Context
			cancel func()
		}{{foreign, cancel}, {mine, cancelMine}} {
			spawn(t.s, 2, func(*Task) {
				t.Wake()
				c.cancel()
			})
			if _, err := waitUnder(t, c.ctx); err != nil {
				fail(t.s, "the wait ended with %v", err)
			}
			if err := t.Park(Wait{Kind: InReceive, Until: t.s.After(time.Second)}); err != ErrTimeout {
				fail(t.s, "the next wait ended with %v", err)
			}
		}
	})
}

// What ended a context first stays its reason, also when nobody looked before the cancel: its
// deadline, or its parent.
func TestCancelAfterTheEnd(t *testing.T) {
	inVirtual(t, func(t *Task) {
		late, cancelLate := WithTimeout(t, time.Second)
		parent, cancelParent := context.WithCancelCause(t)
		orphan, cancelOrphan := WithTimeout(parent, time.Hour)
		t.Sleep(time.Second)
		cancelParent(errors.New("the parent"))
		cancelLate()
		cancelOrphan()
		if got := fmt.Sprint(late.Err(), ", ", context.Cause(late), ", ", orphan.Err(), ", ", context.Cause(orphan)); got !=
			"context deadline exceeded, context deadline exceeded, context canceled, the parent" {
			fail(t.s, "%s", got)
		}
	})
}

// Rule 14: with the virtual clock Deadline reports what the wall clock decides and nothing of ours,
// so that context.WithTimeout over ours keeps its own; with the real clock it is always the same
// time.
func TestDeadline(t *testing.T) {
	inVirtual(t, func(t *Task) {
		c, cancel := WithTimeout(t, time.Second)
		defer cancel()
		if at, ok := c.Deadline(); ok {
			fail(t.s, "virtual: Deadline() = %v", at)
		}
		wall := time.Now().Add(time.Hour)
		d, cancel2 := context.WithDeadline(t, wall)
		defer cancel2()
		c, cancel3 := WithTimeout(d, time.Second)
		defer cancel3()
		if at, ok := c.Deadline(); !ok || !at.Equal(wall) {
			fail(t.s, "virtual over foreign: Deadline() = %v, %v", at, ok)
		}
	})
	inTask(t, Config{}, func(t *Task) {
		t.Sleep(time.Minute)
		want := time.Now().Add(time.Hour)
		c, cancel := WithTimeout(t, time.Hour)
		defer cancel()
		for range 3 {
			if at, ok := c.Deadline(); !ok || !at.Equal(want) {
				fail(t.s, "real: Deadline() = %v, want %v", at, want)
			}
			t.Sleep(time.Second)
		}
		d, cancel2 := context.WithDeadline(c, want.Add(-time.Minute))
		defer cancel2()
		c, cancel3 := WithTimeout(d, 2*time.Hour)
		defer cancel3()
		if at, ok := c.Deadline(); !ok || !at.Equal(want.Add(-time.Minute)) {
			fail(t.s, "nested: Deadline() = %v", at)
		}
	})
	// Outside of a bubble the clock runs while one looks.
	s := New(Config{})
	var x Task
	x.Init(s, 1, runFunc(park))
	c, cancel := WithTimeout(&x, time.Hour)
	defer cancel()
	first, _ := c.Deadline()
	for range 1000 {
		if at, _ := c.Deadline(); !at.Equal(first) {
			t.Fatalf("Deadline() = %v, then %v", first, at)
		}
	}
}

// Rule 14: a foreign context never makes virtual time move and counts as the outside, also above or
// below one of ours.
func TestVirtualTimeWaitsForForeignContexts(t *testing.T) {
	for name, derive := range map[string]func(foreign context.Context) context.Context{
		"foreign": func(c context.Context) context.Context { return c },
		"ours over it": func(c context.Context) context.Context {
			return first(WithTimeout(c, time.Second))
		},
		"ours over ours over it": func(c context.Context) context.Context {
			return first(WithTimeout(first(WithTimeout(c, time.Second)), time.Second))
		},
		"value over ours over it": func(c context.Context) context.Context {
			return context.WithValue(first(WithTimeout(c, time.Second)), ctxKey("k"), 1)
		},
		"WithCancel over ours over it": func(c context.Context) context.Context {
			return first(context.WithCancel(first(WithTimeout(c, time.Second))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			inVirtual(t, func(t *Task) {
				foreign, cancel := context.WithCancel(t)
				spawn(t.s, 2, func(t *Task) { t.Sleep(time.Millisecond) })
				go func() {
					time.Sleep(time.Hour) // of the bubble: real time goes on
					cancel()
				}()
				if took, err := waitUnder(t, derive(foreign)); err != context.Canceled || took != 0 {
					fail(t.s, "the wait ended with %v after %v", err, took)
				}
				t.Sleep(time.Second)
				if elapsed(t.s) != time.Second {
					fail(t.s, "time stands still after the wait")
				}
			})
		})
	}
}

// Contexts that add nothing but values to ours, or to the task's own, don't hold virtual time.
func TestValuesDoNotHoldVirtualTime(t *testing.T) {
	own := make(chan struct{})
	s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Context: func(t *Task) context.Context { return taskContext{t, own} }}})
	spawn(s, 1, func(t *Task) {
		value := func(c context.Context) context.Context { return context.WithValue(c, ctxKey("k"), 1) }
		for _, derive := range []func() context.Context{
			func() context.Context { return value(first(WithTimeout(t, time.Second))) },
			func() context.Context { return first(WithTimeout(value(t), time.Second)) },
			func() context.Context { return first(WithTimeout(value(taskContext{t, own}), time.Second)) },
		} {
			if took, err := waitUnder(t, derive()); err != ErrTimeout || took != time.Second {
				fail(s, "the wait ended with %v after %v", err, took)
			}
		}
		_, limit := From(value(taskContext{t, own}))
		if err := t.Park(Wait{Kind: InReceive, Ctx: limit, Until: s.After(time.Second)}); err != ErrTimeout {
			fail(s, "the wait ended with %v", err)
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// The end of a context ends those derived from it in the same step: no goroutine is needed, so with
// a seed it is the same each time.
func TestCancelOfAnOuterContextIsPrompt(t *testing.T) {
	for range 100 {
		s := virtual()
		var x *Task
		var cancel func()
		x = spawn(s, 1, func(t *Task) {
			outer, c := WithTimeout(t, time.Hour)
			cancel = c
			inner, _ := WithTimeout(outer, time.Hour)
			inner, _ = WithTimeout(context.WithValue(inner, ctxKey("k"), 1), time.Hour)
			if took, err := waitUnder(t, inner); err != context.Canceled || took != time.Second {
				fail(s, "the wait ended with %v after %v", err, took)
			}
			s.Stop()
		})
		_ = x
		spawn(s, 2, func(t *Task) {
			t.Sleep(time.Second)
			cancel()
		})
		mustEnd(t, s)
	}
}

// Deriving costs no goroutine and, until somebody asks for Done, no timer.
func TestDerivingStartsNothing(t *testing.T) {
	inVirtual(t, func(t *Task) {
		before := runtime.NumGoroutine()
		c, cancel := WithTimeout(t, time.Hour)
		inner, cancelInner := WithTimeout(c, time.Minute)
		t.Yield()
		if t.s.wheel.n != 0 {
			fail(t.s, "%d timers run though nobody asked for Done", t.s.wheel.n)
		}
		_, cancelStd := context.WithCancel(inner)
		_, cancelStd2 := context.WithTimeout(inner, time.Second)
		stop := context.AfterFunc(inner, func() {})
		over, cancelOver := WithTimeout(first(context.WithCancel(t)), time.Minute)
		spawn(t.s, 2, func(*Task) { t.Wake() })
		for _, ctx := range []context.Context{inner, context.WithValue(inner, ctxKey("k"), 2), over} {
			t.s.InjectFunc(t.Wake)
			if _, err := waitUnder(t, ctx); err != nil {
				fail(t.s, "%v", err)
			}
		}
		if n := runtime.NumGoroutine() - before; n > 1 { // the coroutine of task 2
			fail(t.s, "%d goroutines were started", n)
		}
		cancelStd()
		cancelStd2()
		stop()
		cancelOver()
		cancelInner()
		cancel()
		t.Yield()
		if t.s.wheel.n != 0 {
			fail(t.s, "%d timers are left after the cancel", t.s.wheel.n)
		}
	})
}

// A context that is cancelled leaves its parent, which may live long.
func TestCancelledContextLeavesItsParent(t *testing.T) {
	inVirtual(t, func(t *Task) {
		outer, cancel := WithTimeout(t, time.Hour)
		defer cancel()
		for range 100 {
			_, cancel := WithTimeout(outer, time.Minute)
			cancel()
			context.AfterFunc(outer, func() {})()
		}
		if c := outer.(*timeoutCtx); len(c.children) != 0 || len(c.hooks) != 0 {
			fail(t.s, "%d children and %d hooks are kept", len(c.children), len(c.hooks))
		}
	})
}

// A goroutine outside, given the context, sees it end: by time on the scheduler's clock, or by
// cancel.
func TestDoneForAGoroutine(t *testing.T) {
	for _, clock := range []Clock{nil, NewVirtualClock(time.Time{})} {
		inTask(t, Config{Clock: clock}, func(t *Task) {
			c, cancel := WithTimeout(t, time.Minute)
			defer cancel()
			called := make(chan error, 2)
			context.AfterFunc(c, func() { called <- c.Err() })
			go func() {
				<-c.Done()
				called <- c.Err()
			}()
			t.Sleep(time.Minute)
			for range 2 {
				// blocks the scheduler, for a moment
				if err := <-called; err != context.DeadlineExceeded {
					fail(t.s, "ended with %v", err)
				}
			}
			context.AfterFunc(c, func() { called <- c.Err() }) // it is over already
			if err := <-called; err != context.DeadlineExceeded {
				fail(t.s, "ended with %v", err)
			}
		})
	}
}

// Goroutines ask and cancel while the task waits under the context and derives from it: nothing is
// lost, the detector is content.
func TestContextsFromManyGoroutines(t *testing.T) {
	s := New(Config{})
	spawn(s, 1, func(t *Task) {
		for range 200 {
			c, cancel := WithTimeout(t, time.Hour)
			inner, cancelInner := WithTimeout(c, time.Minute)
			var g sync.WaitGroup
			for i := range 4 {
				g.Go(func() {
					d, cancelD := WithTimeout(inner, time.Second)
					context.AfterFunc(d, func() {})
					_, _ = d.Err(), d.Value(ctxKey("k"))
					d.Deadline()
					if i == 3 {
						cancel()
					}
					<-d.Done()
					<-inner.Done()
					cancelD()
				})
			}
			if _, err := waitUnder(t, inner); err != context.Canceled {
				fail(s, "the wait ended with %v", err)
			}
			cancelInner()
			g.Wait()
		}
		s.Stop()
	})
	mustEnd(t, s)
}

// A context made by Outside belongs to no task, whatever it was derived from, and is the same
// otherwise.
func TestOutside(t *testing.T) {
	s := New(Config{Clock: NewVirtualClock(time.Time{})})
	type key struct{}
	type other struct{}
	spawn(s, 1, func(t *Task) {
		limit, cancel := WithTimeout(t, time.Hour)
		defer cancel()
		parent, cause := context.WithCancelCause(context.WithValue(limit, key{}, 7))
		for _, out := range []context.Context{Outside(parent), context.WithValue(Outside(parent), other{}, 1)} {
			if owner, limit := From(out); owner != nil || limit != out {
				fail(s, "belongs to %v", owner)
			}
			if v := out.Value(key{}); v != 7 {
				fail(s, "value %v", v)
			}
		}
		out := Outside(parent)
		child, stop := context.WithCancel(out)
		defer stop()
		cause(errors.New("enough"))
		if out.Err() != context.Canceled || context.Cause(out).Error() != "enough" || child.Err() != context.Canceled {
			fail(s, "%v, %v, %v", out.Err(), context.Cause(out), child.Err())
		}
		s.Stop()
	})
	mustEnd(t, s)
}
