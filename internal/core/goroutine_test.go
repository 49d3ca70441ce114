package core

import (
	"bytes"
	"context"
	"iter"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// labelsHere are the labels of the goroutine that calls, as the goroutine profile shows them; ""
// for none.
//
//go:noinline
func labelsHere() string {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	for group := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(group, "core.labelsHere+") {
			for line := range strings.Lines(group) {
				if labels, ok := strings.CutPrefix(line, "# labels: "); ok {
					return strings.TrimSpace(labels)
				}
			}
		}
	}
	return ""
}

func panicsOnFault() bool {
	v := debug.SetPanicOnFault(false)
	debug.SetPanicOnFault(v)
	return v
}

// What a task does to its goroutine is gone for the next task on it, whether that is on the same
// worker, on one that was made meanwhile, or on the heir of one that was lost. A task that parks
// keeps it.
func TestGoroutineIsCleanForTheNextTask(t *testing.T) {
	base := pprof.WithLabels(context.Background(), pprof.Labels("service", "shop"))
	const want = `{"service":"shop"}`
	dirty := func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(base, pprof.Labels("request", "42")))
		debug.SetPanicOnFault(true)
	}
	for _, end := range []struct {
		name string
		f    func(*Task)
	}{
		{"returns", func(*Task) {}},
		{"goexit", func(*Task) { runtime.Goexit() }},
		{"parks", func(t *Task) {
			t.Sleep(time.Millisecond)
			if got := labelsHere(); !strings.Contains(got, "42") || !panicsOnFault() {
				panic("a task that has parked keeps its labels: " + got)
			}
		}},
		{"in pprof.Do", func(t *Task) {
			pprof.Do(t, pprof.Labels("a", "b"), func(context.Context) { t.Sleep(time.Millisecond) })
		}},
		{"in iter.Pull", func(t *Task) {
			next, stop := iter.Pull(func(yield func(int) bool) { t.Sleep(time.Millisecond); dirty(); yield(1) })
			next()
			stop()
		}},
	} {
		t.Run(end.name, func(t *testing.T) {
			s := New(Config{Labels: base, StallAfter: -1})
			seen := 0
			var look func(n uint64)
			look = func(n uint64) {
				spawn(s, n, func(t *Task) {
					if got := labelsHere(); got != want {
						fail(s, "task %d: labels %q, want %q", n, got, want)
					}
					if panicsOnFault() {
						fail(s, "task %d: SetPanicOnFault is on", n)
					}
					if seen++; n < 8 {
						look(n + 1)
					} else {
						t.Sleep(5 * time.Millisecond)
						s.Stop()
					}
				})
			}
			for i := range 3 {
				spawn(s, uint64(100+i), func(t *Task) { dirty(); end.f(t) })
				look(uint64(1 + 3*i))
			}
			mustEnd(t, s)
			require.Greater(t, seen, 8)
		})
	}
}

// Below so many calls of its own that a profile does not show the scheduler's, and with labels of
// its own, a task that holds the scheduler is found, and its stack is that of no other scheduler.
func TestHogIsKnownByItsFrames(t *testing.T) {
	const schedulers = 5
	var ss []*Scheduler
	release := make(chan struct{})
	ready := make(chan struct{}, schedulers)
	done := make(chan error, schedulers)
	hogs := []func(){hog0, hog1, hog2, hog3, hog4}
	holdOn := func() { ready <- struct{}{}; <-release }
	for i := range schedulers {
		s := New(Config{StallAfter: -1})
		ss = append(ss, s)
		spawn(s, 1, func(t *Task) { t.Sleep(time.Hour) }) // has a stack, and no control
		spawn(s, 2, func(t *Task) {
			pprof.SetGoroutineLabels(context.Background())
			below([]int{0, 10, 40, 200, 1000}[i], hogs[i])
			s.Stop()
		})
	}
	hold = holdOn
	for _, s := range ss {
		go func() { done <- s.Run() }()
	}
	for range ss {
		<-ready
	}
	for i, s := range ss {
		stack := string(s.Hog())
		for j := range ss {
			name := "core.hog" + string(rune('0'+j))
			require.Equal(t, i == j, strings.Contains(stack, name), "%d, %s:\n%s", i, name, stack)
		}
	}
	close(release)
	for range ss {
		require.NoError(t, <-done)
	}
}

var hold func()

//go:noinline
func hog0() { hold() }

//go:noinline
func hog1() { hold() }

//go:noinline
func hog2() { hold() }

//go:noinline
func hog3() { hold() }

//go:noinline
func hog4() { hold() }

// A kill that changes stacks on its way is not recovered: no Recovered, and no second kill is
// raised, while it is under way. One that somebody recovers is seen at the next blocking point,
// wherever that is.
func TestKillThroughOtherStacks(t *testing.T) {
	park := func(t *Task) { t.Sleep(time.Hour) }
	clean := func(t *Task) { t.Sleep(time.Millisecond) }
	pull := func(f func()) (next func() (int, bool), stop func()) {
		return iter.Pull(func(yield func(int) bool) { f(); yield(1) })
	}
	for _, c := range []struct {
		name      string
		recovered bool
		body      func(t *Task)
	}{
		{"plain", false, func(t *Task) { defer clean(t); park(t) }},
		{"iter.Pull", false, func(t *Task) {
			next, stop := pull(func() { park(t) })
			defer stop()
			defer clean(t)
			next()
		}},
		{"iter.Pull2", false, func(t *Task) {
			next, stop := iter.Pull2(func(yield func(int, int) bool) { park(t) })
			defer stop()
			defer clean(t)
			next()
		}},
		{"nested Pulls, each with a deferred call", false, func(t *Task) {
			defer clean(t)
			next, stop := pull(func() {
				defer clean(t)
				inner, stop := pull(func() { defer clean(t); park(t) })
				defer stop()
				inner()
			})
			defer stop()
			next()
		}},
		{"the iterator cleans up in stop", false, func(t *Task) {
			next, stop := iter.Pull(func(yield func(int) bool) {
				defer clean(t)
				for yield(1) {
				}
			})
			defer stop()
			next()
			park(t)
		}},
		{"range over a function", false, func(t *Task) {
			defer clean(t)
			for range func(yield func(int) bool) { defer clean(t); yield(1) } {
				park(t)
			}
		}},
		{"passed on with the same value", false, func(t *Task) {
			defer clean(t)
			v := func() (v any) {
				defer func() { v = recover() }()
				park(t)
				return nil
			}()
			panic(v)
		}},
		{"in a deferred call of an older panic", false, func(t *Task) {
			defer clean(t)
			defer func() {
				_ = recover()
				defer clean(t)
				park(t)
			}()
			panic("older")
		}},
		{"iter.Pull, in a deferred call of an older panic inside", false, func(t *Task) {
			next, stop := pull(func() {
				defer func() {
					_ = recover()
					park(t)
				}()
				panic("older")
			})
			defer stop()
			defer clean(t)
			next()
		}},
		{"recovered", true, func(t *Task) {
			func() {
				defer func() { _ = recover() }()
				park(t)
			}()
			clean(t)
		}},
		{"recovered inside iter.Pull", true, func(t *Task) {
			next, stop := pull(func() {
				func() {
					defer func() { _ = recover() }()
					park(t)
				}()
				clean(t)
			})
			defer stop()
			next()
			clean(t)
		}},
		{"recovered outside of iter.Pull", true, func(t *Task) {
			next, stop := pull(func() { park(t) })
			defer stop()
			func() {
				defer func() { _ = recover() }()
				next()
			}()
			clean(t)
		}},
		{"recovered in a deferred call of an older panic", true, func(t *Task) {
			defer func() {
				_ = recover()
				func() {
					defer func() { _ = recover() }()
					park(t)
				}()
				clean(t)
			}()
			panic("older")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			recovered := 0
			s := New(Config{Clock: NewVirtualClock(time.Time{}), Hooks: Hooks{Recovered: func(*Task) { recovered++ }}})
			k := &Task{}
			k.Init(s, 1, runFunc(func(t *Task) {
				defer func() {
					_ = recover()
					t.TakeKill()
					t.Finish()
				}()
				c.body(t)
			}))
			k.Wake()
			spawn(s, 2, func(t *Task) {
				t.Sleep(time.Second)
				k.Kill(false)
				t.Sleep(time.Minute)
				s.Stop()
			})
			mustEnd(t, s)
			require.Equal(t, c.recovered, recovered > 0, "%d", recovered)
		})
	}
}

// labeller is a Labeller with the label n.
type labeller struct {
	n string
	f func(*Task)
}

func (l *labeller) SetsLabels() {}

func (l *labeller) Run(t *Task) {
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels("n", l.n)))
	l.f(t)
	t.Finish()
}

// What a Labeller leaves on its goroutine is there for nothing but the next Labeller: not for
// another task, for injected work, a timer, or a hook, nor for a task that goes on. A Labeller that
// parks keeps its own.
func TestLabellersLeaveNothing(t *testing.T) {
	seen := map[string]int{}
	for _, seed := range []uint64{0, 1, 2, 3} {
		var s *Scheduler
		parked := 0 // the loop may run on the goroutine of a labeller that is parked
		clean := func(what string) {
			if parked > 0 && !strings.HasPrefix(what, "task") {
				return
			}
			seen[what]++
			if got := labelsHere(); got != "" {
				fail(s, "%s: labels %q", what, got)
			}
			if panicsOnFault() {
				fail(s, "%s: SetPanicOnFault is on", what)
			}
		}
		s = New(Config{StallAfter: -1, Seed: seed, Hooks: Hooks{
			Idle: func() { clean("idle") }, Settled: func() { clean("settled") }, Quiescent: func() { clean("quiescent") },
		}})
		id := uint64(100)
		label := func(f func(t *Task)) {
			id++
			n := strconv.FormatUint(id, 10)
			l := new(Task)
			l.Init(s, id, &labeller{n, func(t *Task) {
				own := `{"n":"` + n + `"}`
				f(t)
				seen["labeller"]++
				if got := labelsHere(); got != own {
					fail(s, "a labeller: labels %q, want %q", got, own)
				}
				debug.SetPanicOnFault(true)
			}})
			l.Wake()
		}
		spawn(s, 1, func(t *Task) {
			for i := range 300 { // in the second half labellers park too
				label(func(t *Task) {})
				switch i % 6 {
				case 0:
					if i < 150 {
						break
					}
					label(func(t *Task) { parked++; t.Sleep(time.Millisecond); parked-- })
				case 1:
					id++
					spawn(s, id, func(t *Task) { clean("task"); t.Yield(); clean("task that goes on") })
				case 2:
					s.InjectFunc(func() { clean("injected") })
				case 3:
					if i < 150 {
						break
					}
					label(func(t *Task) { parked++; t.Yield(); t.Sleep(time.Millisecond); t.Yield(); parked-- })
				case 4:
					label(func(t *Task) { s.InjectFunc(func() { clean("injected") }) })
				case 5:
					t.Sleep(time.Millisecond)
					clean("task that goes on")
				}
			}
			t.Sleep(100 * time.Millisecond) // idle after all others, on a busy machine too
			s.Stop()
		})
		mustEnd(t, s)
	}
	for _, what := range []string{"task", "task that goes on", "injected", "labeller", "idle"} {
		require.NotZero(t, seen[what], what)
	}
}
