package actortest_test

import (
	"context"
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// explored runs Explore, which must fail, and gives the report.
func explored(t *testing.T, n int, f func(t *actor.Tasklet), opts ...actortest.Option) string {
	t.Helper()
	rec := actortest.Recorded(t, func(tb testing.TB) { actortest.Explore(tb, n, f, opts...) })
	require.True(t, rec.Failed(), "no seed of %d fails", n)
	return rec.Text()
}

// command is the line of a report that replays a seed: the whole flag is the first submatch, the
// seed the second, its decisions the third.
var command = regexp.MustCompile(`(?m)^    go test -run '\S+' \./actor/actortest -actortest\.seed=((0x[0-9a-f]+)(?::(\S+))?)$`)

// lostUpdate is a program with a race: two tasklets read a balance, wait, and write it. It goes
// wrong if the second reads before the first has written, and that takes one order among many: the
// audits in between keep them apart.
func lostUpdate(t *actor.Tasklet) {
	balance, audits := 0, 0
	audit := func(t *actor.Tasklet) {
		audits++
		t.Yield()
	}
	deposit := func(t *actor.Tasklet) error {
		was := balance
		audit(t) // the bug: others run here
		balance = was + 1
		return nil
	}
	first := actor.Go(t, deposit, actor.Name("first"))
	second := actor.Go(t, func(t *actor.Tasklet) error {
		for range 3 {
			t.Yield()
		}
		return deposit(t)
	}, actor.Name("second"))
	tb := actortest.TB(t)
	require.NoError(tb, first.Join(t))
	require.NoError(tb, second.Join(t))
	require.Equal(tb, 2, balance, "a deposit was lost")
}

// The plain order does not show the race, Explore finds it; its report has what was wrong and a
// command; the seed fails again, and so does what is left of it, ten times.
func TestExploreFindsARace(t *testing.T) {
	actortest.Run(t, lostUpdate)
	report := explored(t, 200, lostUpdate)
	require.Contains(t, report, "a deposit was lost")
	require.Contains(t, report, "go test -run '^TestExploreFindsARace$' ./actor/actortest -actortest.seed=0x")
	found := command.FindStringSubmatch(report)
	require.NotNil(t, found, report)
	require.NotEmpty(t, found[3], "it was made smaller")
	for range 10 {
		for _, seed := range []string{found[1], found[2]} {
			require.NoError(t, actortest.Replay(t, seed))
			again := explored(t, 1, lostUpdate)
			require.Contains(t, again, "a deposit was lost")
			require.Contains(t, again, "as requested by -actortest.seed")
			require.Equal(t, found[1], command.FindStringSubmatch(again)[1], "it is made as small as before")
		}
	}
}

// Of what is left in the smallest run nothing can be left out.
func TestExploreShrinks(t *testing.T) {
	found := command.FindStringSubmatch(explored(t, 200, lostUpdate))
	decisions := strings.Split(found[3], ",")
	t.Logf("%d decisions", len(decisions))
	for i := range decisions {
		fewer := strings.Join(slices.Delete(slices.Clone(decisions), i, i+1), ",")
		if fewer == "" {
			fewer = "none"
		}
		require.NoError(t, actortest.Replay(t, found[2]+":"+fewer))
		rec := actortest.Recorded(t, func(tb testing.TB) { actortest.Explore(tb, 1, lostUpdate) })
		require.False(t, rec.Failed(), "without decision %s it fails too", decisions[i])
		require.Contains(t, rec.Text(), "does not fail")
	}
}

// What fails in the plain order too, needs no decision.
func TestExplorePlainFailure(t *testing.T) {
	report := explored(t, 5, func(t *actor.Tasklet) {
		for range 5 {
			actor.Go(t, func(t *actor.Tasklet) error { t.Yield(); return nil })
		}
		actortest.TB(t).Fatal("always")
	})
	require.Contains(t, report, "-actortest.seed=0x1:none\n")
	require.Contains(t, report, "and so with every seed")
}

// Explore stops at the first seed that fails, begins with FirstSeed, and a good function is called
// for each seed.
func TestExploreSeeds(t *testing.T) {
	n := 0
	actortest.Explore(t, 7, func(*actor.Tasklet) { n++ })
	require.Equal(t, 7, n)
	n = 0
	report := explored(t, 7, func(t *actor.Tasklet) {
		if n++; n == 3 {
			panic("the third")
		}
	}, actortest.FirstSeed(0x40))
	require.Contains(t, report, "seed 0x42 fails, number 3 of 7")
	require.NoError(t, actortest.Replay(t, "66"))
	n = 0
	actortest.Explore(t, 7, func(*actor.Tasklet) { n++ })
	require.Equal(t, 1, n, "with -actortest.seed only that one is run")
}

// A wrong value of the flag is refused.
func TestReplayFlag(t *testing.T) {
	for _, bad := range []string{"", "0", "x", "0x1:", "0x1:a", "0x1:-1", "0x1:1,,2", "0x10000000000000000"} {
		require.Error(t, actortest.Replay(t, bad), bad)
	}
	for _, good := range []string{"1", "0xffffffffffffffff", "0x1:none", "7:3,1"} {
		require.NoError(t, actortest.Replay(t, good), good)
	}
}

// A function that uses the test's own TB is told so, and stops the search.
func TestExploreForeignTB(t *testing.T) {
	n := 0
	rec := actortest.Recorded(t, func(tb testing.TB) {
		actortest.Explore(tb, 5, func(t *actor.Tasklet) {
			n++
			tb.FailNow()
		})
	})
	require.True(t, rec.Failed())
	require.Equal(t, 1, n)
	require.Contains(t, rec.Text(), "use actortest.TB(t)")
}

// Cleanup, Skip, Name and the like work within a run.
func TestExploreTB(t *testing.T) {
	var log []string
	actortest.Explore(t, 2, func(k *actor.Tasklet) {
		tb := actortest.TB(k)
		require.Equal(tb, t.Name(), tb.Name())
		require.DirExists(tb, tb.TempDir())
		tb.Helper()
		tb.Log("x")
		tb.Cleanup(func() { log = append(log, "first") })
		tb.Cleanup(func() { log = append(log, "last") })
		tb.Skipf("not %s", "now")
	})
	require.Equal(t, []string{"last", "first", "last", "first"}, log)
	require.False(t, t.Skipped())
	for _, f := range []func(tb testing.TB){
		func(tb testing.TB) { tb.Error("it") },
		func(tb testing.TB) { tb.Fail(); tb.Log("it") },
		func(tb testing.TB) { tb.Cleanup(func() { tb.Fatal("it") }) },
		func(tb testing.TB) { tb.Cleanup(func() { panic("it") }) },
	} {
		require.Contains(t, explored(t, 1, func(t *actor.Tasklet) { f(actortest.TB(t)) }), "it")
	}
}

// traceOf gives the trace of a run with a seed.
func traceOf(t *testing.T, seed uint64, f func(t *actor.Tasklet), opts ...actortest.Option) string {
	t.Helper()
	var tr actortest.Trace
	actortest.Explore(t, 1, f, append(slices.Clip(opts), actortest.Record(&tr), actortest.FirstSeed(seed))...)
	return tr.String()
}

// crowd is a program in which much could happen in another order.
func crowd(t *actor.Tasklet) {
	sink := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
		if n%7 == 0 {
			return errors.New("seven")
		}
		if n%3 == 0 {
			t.Sleep(time.Millisecond)
		}
		return nil
	}, actor.Name("sink"), actor.MailboxLen(2))
	for i := range 10 {
		actor.Go(t, func(t *actor.Tasklet) error {
			_, err := actor.Await(t, func(context.Context) (int, error) { runtime.Gosched(); return i, nil })
			for n := range 5 {
				if err := sink.Send(t, 10*n+i); err != nil {
					return err
				}
				actor.Go(t, func(t *actor.Tasklet) error { t.Yield(); return nil }, actor.Name("child "+strconv.Itoa(n)))
			}
			return err
		}, actor.Name("sender "+strconv.Itoa(i)))
	}
	_, _ = t.JoinChildren(actorTimeout(t, time.Second))
}

func actorTimeout(t *actor.Tasklet, d time.Duration) context.Context {
	ctx, cancel := actor.WithTimeout(t, d)
	t.Defer(cancel)
	return ctx
}

// Rule 39: the same seed gives the same trace, byte for byte, with faults too, and however many
// processors there are; another one gives another.
func TestSameSeedSameTrace(t *testing.T) {
	faults := []actortest.Option{actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox, actortest.LateTimer)}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, opts := range [][]actortest.Option{nil, faults} {
		seen := map[string]uint64{}
		for _, seed := range []uint64{1, 2, 3, 4, 5, 0xfeed} {
			want := traceOf(t, seed, crowd, opts...)
			require.Greater(t, strings.Count(want, "\n"), 20)
			require.NotContains(t, want, "0x")
			for n := range 10 {
				runtime.GOMAXPROCS([]int{1, 2, 4}[n%3])
				require.Equal(t, want, traceOf(t, seed, crowd, opts...), "seed %d, run %d", seed, n)
			}
			require.Zero(t, seen[want], "seed %d has the trace of another", seed)
			seen[want] = seed
		}
	}
}

// untilFault explores f until it fails, as it must because of the fault, and gives the report.
func untilFault(t *testing.T, f func(t *actor.Tasklet), k actortest.Fault) string {
	t.Helper()
	actortest.Explore(t, 30, f) // without, nothing is wrong
	return explored(t, 300, f, actortest.Faults(k))
}

// A tasklet that is killed where it waits leaves behind what it had begun.
func TestFaultKill(t *testing.T) {
	report := untilFault(t, func(t *actor.Tasklet) {
		locked := false
		worker := actor.Go(t, func(t *actor.Tasklet) error {
			locked = true
			t.Sleep(time.Second) // the bug: no defer
			locked = false
			return nil
		}, actor.Name("worker"))
		_ = worker.Join(t)
		require.False(actortest.TB(t), locked, "nobody unlocks")
	}, actortest.Kill)
	require.Contains(t, report, "kill /test/worker, parked in sleep")
	require.Contains(t, report, "nobody unlocks")
}

// An idle receiver can be killed as well, the root and probes can't, and Victims says who.
func TestFaultKillVictims(t *testing.T) {
	tree := func(t *actor.Tasklet) {
		p := actortest.NewProbe[string](t)
		idle := actor.Receiver(t, func(t *actor.Tasklet, s string) error { return nil }, actor.Name("idle"))
		spared := actor.Receiver(t, func(t *actor.Tasklet, s string) error { return nil }, actor.Name("spared"))
		for range 5 {
			t.Sleep(time.Second)
		}
		tb := actortest.TB(t)
		require.NoError(tb, p.Ref().Send(t, "there"))
		p.Expect("there")
		require.False(tb, idle.IsDead(), "idle has gone")
		require.False(tb, spared.IsDead(), "spared has gone")
	}
	report := untilFault(t, tree, actortest.Kill)
	require.Contains(t, report, ", idle (decision ")
	only := actortest.Victims(func(t *actor.Tasklet) bool { return t.Name() == "idle" })
	require.Contains(t, explored(t, 100, tree, actortest.Faults(actortest.Kill), only), "idle has gone")
	everybody := actortest.Victims(func(t *actor.Tasklet) bool { return true })
	actortest.Explore(t, 100, func(t *actor.Tasklet) {
		p := actortest.NewProbe[string](t)
		actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		for range 20 {
			t.Sleep(time.Second)
			require.NoError(actortest.TB(t), p.Ref().Send(t, "there"))
			p.Expect("there")
		}
	}, actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox), everybody)
	nobody := actortest.Victims(func(t *actor.Tasklet) bool { return false })
	actortest.Explore(t, 100, tree, actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox), nobody)
}

// Handlers, batches and rounds of all kinds of bodies can be made to panic; the names of the
// tasklets stay as they are.
func TestFaultHandlerPanic(t *testing.T) {
	for name, start := range map[string]func(t *actor.Tasklet, done func()){
		"receiver": func(t *actor.Tasklet, done func()) {
			_ = actor.Receiver(t, func(*actor.Tasklet, int) error { done(); return nil }).Send(t, 1)
		},
		"batch receiver": func(t *actor.Tasklet, done func()) {
			_ = actor.BatchReceiver(t, 3, 0, func(*actor.Tasklet, []int) error { done(); return nil }).Send(t, 1)
		},
		"init": func(t *actor.Tasklet, done func()) {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				return func(*actor.Tasklet, int) error { done(); return nil }, nil
			}))
			_ = ref.Send(t, 1)
		},
		"interval": func(t *actor.Tasklet, done func()) {
			actor.Interval(t, time.Second, func(*actor.Tasklet) error { done(); return actor.ErrStop })
		},
		"rate": func(t *actor.Tasklet, done func()) {
			actor.Rate(t, 1, func(*actor.Tasklet, time.Time) error { done(); return actor.ErrStop })
		},
		"loop": func(t *actor.Tasklet, done func()) {
			actor.Loop(t, func(*actor.Tasklet) error { done(); return actor.ErrStop })
		},
	} {
		t.Run(name, func(t *testing.T) {
			wait := 1500 * time.Millisecond
			if name == "loop" {
				wait = time.Millisecond // it goes on a second after a failure
			}
			report := untilFault(t, func(t *actor.Tasklet) {
				called := 0
				start(t, func() { called++ })
				t.Sleep(wait)
				require.Equal(actortest.TB(t), 1, called, "it was to be called once")
			}, actortest.HandlerPanic)
			require.Contains(t, report, "panic in the handler of /test/TestFaultHandlerPanic.")
			require.Contains(t, report, "it was to be called once")
		})
	}
}

// A send that finds the mailbox full: under each policy it does what it would.
func TestFaultFullMailbox(t *testing.T) {
	sends := func(p mailbox.Policy, check func(tb testing.TB, err error, got []int, alone bool)) func(t *actor.Tasklet) {
		return func(t *actor.Tasklet) {
			var got []int
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error { got = append(got, n); return nil },
				actor.Name("reader"), actor.Overflow(p))
			other := false
			actor.Go(t, func(t *actor.Tasklet) error { other = true; return nil })
			_ = r.Send(t, 1)
			err := r.Send(t, 2)
			alone := !other
			_ = r.Send(t, 3)
			actortest.Settle(t)
			check(actortest.TB(t), err, got, alone)
		}
	}
	for _, c := range []struct {
		p     mailbox.Policy
		check func(tb testing.TB, err error, got []int, alone bool)
	}{
		{mailbox.Block, func(tb testing.TB, err error, got []int, alone bool) {
			require.NoError(tb, err)
			require.Equal(tb, []int{1, 2, 3}, got) // in order all the same
			require.True(tb, alone, "others have run")
		}},
		{mailbox.Fail, func(tb testing.TB, err error, got []int, alone bool) { require.NoError(tb, err) }},
		{mailbox.DropNewest, func(tb testing.TB, err error, got []int, alone bool) { require.Equal(tb, []int{1, 2, 3}, got) }},
		{mailbox.DropOldest, func(tb testing.TB, err error, got []int, alone bool) { require.Equal(tb, []int{1, 2, 3}, got) }},
	} {
		report := untilFault(t, sends(c.p, c.check), actortest.FullMailbox)
		require.Contains(t, report, "the mailbox of /test/reader is full")
		if c.p == mailbox.Block {
			require.Contains(t, report, "others have run")
		}
	}
	never := sends(mailbox.Unbounded, func(tb testing.TB, err error, got []int, alone bool) {
		require.True(tb, alone)
		require.Equal(tb, []int{1, 2, 3}, got)
	})
	actortest.Explore(t, 100, never, actortest.Faults(actortest.FullMailbox))
}

// Messages keep the order of their sender however often a mailbox is full, and close and kill come
// through.
func TestFaultFullMailboxKeepsOrder(t *testing.T) {
	actortest.Explore(t, 200, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		last := map[int]int{}
		r := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
			require.Equal(tb, last[n/100]+1, n%100)
			last[n/100] = n % 100
			return nil
		}, actor.Name("reader"), actor.MailboxLen(3))
		for i := range 3 {
			actor.Go(t, func(t *actor.Tasklet) error {
				for n := range 20 {
					require.NoError(tb, r.Send(t, 100*i+n+1))
				}
				return nil
			})
		}
		_, _ = t.JoinChildren(actorTimeout(t, time.Second))
		r.Close()
		require.NoError(tb, r.Join(t))
		require.Equal(tb, map[int]int{0: 20, 1: 20, 2: 20}, last)
	}, actortest.Faults(actortest.FullMailbox), actortest.Allow(event.Deadlock))
}

// Timers are late, never early, and still in order.
func TestFaultLateTimer(t *testing.T) {
	report := untilFault(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		start := t.System().Now()
		var woken []time.Duration
		for _, d := range []time.Duration{2, 1, 3} {
			actor.Later(t, d*time.Second, func(t *actor.Tasklet) error {
				require.GreaterOrEqual(tb, t.System().Now().Sub(start), d*time.Second, "too early")
				woken = append(woken, d)
				return nil
			})
		}
		t.Sleep(10 * time.Second)
		require.ElementsMatch(tb, []time.Duration{1, 2, 3}, woken)
		require.Equal(tb, 10*time.Second, t.System().Now().Sub(start), "it took longer")
	}, actortest.LateTimer)
	require.Contains(t, report, "it took longer")
	require.Regexp(t, "the clock jumps 1?0*m?s too far", report)
}

// A lost wake-up of an Await is noticed by a test with a time limit; the run can be stopped all the
// same.
func TestFaultLostWakeUp(t *testing.T) {
	answer := func(context.Context) (int, error) { return 7, nil }
	f := func(t *actor.Tasklet) {
		v, err := actor.Await(t, answer)
		require.NoError(actortest.TB(t), err)
		require.Equal(actortest.TB(t), 7, v)
	}
	actortest.Explore(t, 30, f)
	report := explored(t, 100, f, actortest.Faults(actortest.LostWakeUp), actortest.Limit(time.Second))
	require.Contains(t, report, "the result of an Await of /test is lost")
	require.Contains(t, report, "the run is not over after 1s")
	require.Contains(t, report, "/test: parked in await")
	require.NotContains(t, report, "left behind")

	g := func(t *actor.Tasklet) {
		p := actortest.NewProbe[int](t)
		worker := actor.Go(t, func(t *actor.Tasklet) error {
			actor.Pipe(t, answer, p.Ref(), func(n int, err error) int { return n })
			var ev scheduler.Event
			return ev.Wait(t)
		}, actor.Name("worker"))
		p.Expect(7)
		worker.Kill()
		p.ExpectExit(worker, reason.Killed)
	}
	actortest.Explore(t, 30, g)
	report = explored(t, 100, g, actortest.Faults(actortest.LostWakeUp), actortest.Limit(50*time.Millisecond))
	require.Contains(t, report, "the result of an Await of /test/worker is lost")
}

// The names of faults are those of their constants.
func TestFaultString(t *testing.T) {
	var names []string
	for k := actortest.Kill; k <= actortest.LostWakeUp; k++ {
		names = append(names, k.String())
	}
	require.Equal(t, "Kill HandlerPanic FullMailbox LateTimer LostWakeUp", strings.Join(names, " "))
	require.Equal(t, "Fault(9)", actortest.Fault(9).String())
	require.EqualError(t, actortest.Injected{Path: "/a"}, "injected by actortest at /a")
}

// After Calm nothing goes wrong any more.
func TestCalm(t *testing.T) {
	all := actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox, actortest.LateTimer)
	f := func(calm bool) func(t *actor.Tasklet) {
		return func(t *actor.Tasklet) {
			tb := actortest.TB(t)
			if calm {
				actortest.Calm(t)
			}
			n := 0
			r := actor.Receiver(t, func(t *actor.Tasklet, d time.Duration) error { n++; t.Sleep(d); return nil }, actor.MailboxLen(3))
			start := t.System().Now()
			for range 10 {
				require.NoError(tb, r.Send(t, time.Second))
			}
			t.Sleep(time.Minute)
			require.Equal(tb, 10, n)
			require.Equal(tb, 66*time.Second, t.System().Now().Sub(start))
		}
	}
	explored(t, 100, f(false), all)
	actortest.Explore(t, 100, f(true), all)
}

// A smaller run that fails for another reason is not the same failure.
func TestExploreShrinksToTheSameKind(t *testing.T) {
	f := func(t *actor.Tasklet) {
		first := ""
		for _, name := range []string{"a", "b"} {
			actor.Go(t, func(t *actor.Tasklet) error {
				if first == "" {
					first = name
				}
				return nil
			})
		}
		actortest.Settle(t)
		if first == "b" {
			actortest.TB(t).Fatal("b was first")
		}
		panic("a was first") // and so it is in the plain order
	}
	both := 0
	for seed := range uint64(20) {
		if strings.Contains(explored(t, 1, f, actortest.FirstSeed(seed+1)), "b was first") {
			both++
		}
	}
	require.Positive(t, both)
	require.Less(t, both, 20)
}
