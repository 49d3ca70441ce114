package actor_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// The allocations of every row of the table in docs/performance.md are pinned here, in
// TestAllocations, or where pinned says. They do not depend on the machine, as times do.

// allocates requires that f makes want allocations.
func allocates(t *testing.T, name string, want float64, f func()) {
	t.Helper()
	for range 200 {
		f() // rings and pools grow
	}
	require.Equal(t, want, testing.AllocsPerRun(200, f), name)
}

func skipCounts(t *testing.T) {
	if raceEnabled || checked {
		t.Skip("the race detector allocates, and so does a check of the invariants after each step")
	}
}

func TestAllocationsOfMessages(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		const hops = 20
		done := false
		until := func() {
			for !done {
				t0.Yield()
			}
			done = false
		}
		var ping, pong actor.Ref[ball]
		ping = actor.Receiver(t0, func(t *actor.Tasklet, m ball) error {
			if done = m.n == hops; done {
				return nil
			}
			return m.from.Send(t, ball{m.n + 1, ping})
		})
		pong = actor.Receiver(t0, func(t *actor.Tasklet, m ball) error { return m.from.Send(t, ball{m.n, pong}) })
		allocates(t, "receiver to receiver", 0, func() {
			_ = pong.Send(t0, ball{0, ping})
			until()
		})

		for _, size := range []int{2, 100} {
			refs := make([]actor.Ref[int], size)
			for i := range refs {
				refs[i] = actor.Spawn(t0, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
					for n := range in.Receive() {
						if n == 0 {
							done = true
							continue
						}
						_ = refs[(i+1)%size].Send(t, n-1)
					}
					return nil
				})
			}
			allocates(t, "parked to parked", 0, func() {
				_ = refs[0].Send(t0, 3*size)
				until()
			})
		}

		got := 0
		sink := actor.Receiver(t0, func(*actor.Tasklet, int) error {
			if got++; got == 8*hops {
				done, got = true, 0
			}
			return nil
		})
		senders := make([]actor.Ref[int], 8)
		for i := range senders {
			senders[i] = actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
				for range n {
					_ = sink.Send(t, n)
				}
				return nil
			})
		}
		allocates(t, "fan-in", 0, func() {
			for _, s := range senders {
				_ = s.Send(t0, hops)
			}
			until()
		})
		allocates(t, "one way", 0, func() {
			for range 8 * hops {
				_ = sink.Send(t0, 1)
			}
			until()
		})
		return nil
	})
}

func TestAllocationsOfCallsUnderATimeout(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		sq := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { return q.reply.Send(t, q.n*q.n) })
		request := asking(3)
		allocates(t, "call under actor.WithTimeout", 3, func() {
			ctx, cancel := actor.WithTimeout(t0, time.Minute)
			_, _ = actor.Call(ctx, sq, request)
			cancel()
		})
		_, _ = actor.Await(t0, func(ctx context.Context) (int, error) {
			ctx = context.WithoutCancel(ctx)
			wait := func(with func(ctx context.Context)) func() {
				return func() {
					ctx, cancel := context.WithTimeout(ctx, time.Minute)
					with(ctx)
					cancel()
				}
			}
			alone := testing.AllocsPerRun(200, wait(func(ctx context.Context) { _ = ctx.Done() }))
			call := testing.AllocsPerRun(200, wait(func(ctx context.Context) { _, _ = actor.Call(ctx, sq, request) }))
			require.LessOrEqual(t, call, alone, "a call from a goroutine adds nothing to the context and its Done")
			return 0, nil
		})
		return nil
	})
}

func TestAllocationsOfStarts(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		nothing := func(*actor.Tasklet) error { return nil }
		body := actor.GoBody(nothing)
		allocates(t, "StartTasklet and Join", 1, func() { _ = actor.StartTasklet(t0, body).Join(t0) })
		value := func(*actor.Tasklet) (int, error) { return 1, nil }
		allocates(t, "New and Join", 1, func() { _, _ = actor.New(t0, value).Join(t0) })
		handle := func(*actor.Tasklet, int) error { return nil }
		allocates(t, "Receiver, Close and Join", 1, func() {
			r := actor.Receiver(t0, handle)
			r.Close()
			_ = r.Join(t0)
		})
		read := func(_ *actor.Tasklet, in *mailbox.Mailbox[int]) error {
			for range in.Receive() {
			}
			return nil
		}
		allocates(t, "Spawn that parks, Close and Join", 3, func() {
			r := actor.Spawn(t0, read)
			t0.Yield()
			r.Close()
			_ = r.Join(t0)
		})
		tree := func(t *actor.Tasklet) error {
			for range 100 {
				actor.Receiver(t, handle)
			}
			return nil
		}
		allocates(t, "start and stop of a tree of 100 receivers", 101, func() { _ = actor.Go(t0, tree).Join(t0) })
		fails := func(*actor.Tasklet) error { return errTest }
		allocates(t, "Go that fails", 3, func() { _ = actor.Go(t0, fails).Join(t0) })
		panics := func(*actor.Tasklet) error { panic(errTest) }
		allocates(t, "Go that panics, in a flood", 4, func() { _ = actor.Go(t0, panics).Join(t0) })
		allocates(t, "Go that panics", 6, func() {
			_ = actor.Go(t0, panics).Join(t0)
			t0.Sleep(time.Second / 90)
		})
		return nil
	})
}

func TestAllocationsOfFailures(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		r := actor.Receiver(t0, func(_ *actor.Tasklet, panics bool) error {
			if panics {
				panic(errTest)
			}
			return errTest
		})
		fail := func(panics bool, pause time.Duration) func() {
			return func() {
				_ = r.Send(t0, panics)
				t0.Sleep(pause)
			}
		}
		allocates(t, "message that fails", 0, fail(false, 0))
		allocates(t, "message that panics, in a flood", 1, fail(true, 0))
		allocates(t, "message that panics", 3, fail(true, time.Second/90))
		return nil
	})
}

func TestAllocationsOfTimers(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		rounds := 0
		actor.Interval(t0, time.Second, func(*actor.Tasklet) error { rounds++; return nil })
		allocates(t, "round of an interval", 0, func() { t0.Sleep(time.Second) })
		require.Positive(t, rounds)
		r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		allocates(t, "SendAfter that fires", 7, func() {
			actor.SendAfter(t0, time.Millisecond, r, 1)
			t0.Sleep(time.Millisecond)
		})
		allocates(t, "SendAfter and Stop", 7, func() { actor.SendAfter(t0, time.Hour, r, 1).Stop() })
		idle := 0
		quiet := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil },
			actor.IdleAfter(time.Second, func(*actor.Tasklet) error { idle++; return nil }))
		allocates(t, "message and IdleAfter", 0, func() {
			_ = quiet.Send(t0, 1)
			t0.Sleep(2 * time.Second)
		})
		require.Positive(t, idle)
		return nil
	})
}

// Sends and calls from one scheduler to others.
func TestAllocationsBetweenSchedulers(t *testing.T) {
	skipCounts(t)
	const schedulers = 4
	cfg := actor.Config{Logger: zap.NewNop(), Schedulers: schedulers, StallAfter: -1}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		far := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			if q.n == 0 {
				return nil
			}
			return q.reply.Send(t, q.n*q.n)
		}, actor.OnScheduler(1), actor.MailboxLen(1024))
		request := asking(3)
		call := func() {
			if v, err := actor.Call(t0, far, request); v != 9 || err != nil {
				panic(err)
			}
		}
		allocates(t, "call to another scheduler, which is a ping-pong", 0, call)
		allocates(t, "stream to another scheduler", 0, func() {
			for range 100 {
				_ = far.Send(t0, ask{})
			}
			call()
		})
		var done scheduler.Event
		refs := make([]actor.Ref[int], schedulers)
		for i := range refs {
			refs[i] = actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
				if n == 0 {
					done.Set()
					return nil
				}
				return refs[(i+1)%schedulers].Send(t, n-1)
			}, actor.OnScheduler(i))
		}
		allocates(t, "round over four schedulers", 0, func() {
			done.Clear()
			_ = refs[0].Send(t0, 3*schedulers)
			_ = done.Wait(t0)
		})
		return nil
	}))
}

// pinned names the test that pins the allocations of each row of the table, by package and name.
var pinned = map[string]string{
	"receiver to receiver, same scheduler, per message":                                 "actor TestAllocationsOfMessages",
	"one way into a receiver, bound 1024, per message":                                  "actor TestAllocationsOfMessages",
	"parked to parked, ping-pong, per message":                                          "actor TestAllocationsOfMessages",
	"parked to parked, ring of 100, per message":                                        "actor TestAllocationsOfMessages",
	"from a goroutine, streaming, per message":                                          "actor TestAllocations",
	"from another scheduler, streaming, per message":                                    "actor TestAllocationsBetweenSchedulers",
	"ping-pong between two schedulers, per message":                                     "actor TestAllocationsBetweenSchedulers",
	"many to many with 1 us of work, 2 schedulers, per message":                         "actor TestAllocationsBetweenSchedulers",
	"the same with 4 schedulers":                                                        "actor TestAllocationsBetweenSchedulers",
	"call and reply, parked caller":                                                     "actor TestAllocations",
	"start, run and finish a stackless child":                                           "actor TestAllocations",
	"the same for a child that parks once":                                              "actor TestAllocations",
	"idle receiver in a tree of 1,000,000":                                              "actor TestAllocationsOfStarts",
	"idle parked tasklet":                                                               "actor TestAllocationsOfStarts",
	"stop and start a timer among 1,000,000":                                            "internal/core TestWheelAllocatesNothing",
	"crash by an error, restart, next message":                                          "supervisor TestAllocationsOfARestart",
	"stop a tree of 1,000,000 idle receivers":                                           "actor TestAllocationsOfStarts",
	"TCP echo, 1,000 connections, client in another process, 2 schedulers, per message": "scheduler/netio TestAllocations",
	"TCP echo, 1,000 connections, client in another process, 1 scheduler, per message":  "scheduler/netio TestAllocations",
}

// Each row of the table has a test that fails for one allocation more.
func TestEveryRowIsPinned(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "performance.md"))
	require.NoError(t, err)
	_, table, ok := strings.Cut(string(page), "| work | budget | measured, median")
	require.True(t, ok)
	rows := 0
	for line := range strings.Lines(table[strings.Index(table, "\n|---")+1:]) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		row := strings.TrimSpace(strings.Split(line, "|")[1])
		if strings.HasPrefix(row, "---") {
			continue
		}
		rows++
		where, ok := pinned[row]
		require.True(t, ok, "no test pins the allocations of %q", row)
		dir, test, _ := strings.Cut(where, " ")
		files, err := filepath.Glob(filepath.Join("..", dir, "*_test.go"))
		require.NoError(t, err)
		found := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			require.NoError(t, err)
			found = found || strings.Contains(string(text), "func "+test+"(t *testing.T)")
		}
		require.True(t, found, "%s is gone", where)
	}
	require.Greater(t, rows, 15)
}
