package actor_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// across runs main on the first of n schedulers, once on a virtual clock and once on the real one.
func across(t *testing.T, n int, main func(t *testing.T, t0 *actor.Tasklet)) {
	t.Helper()
	for _, clock := range []string{"virtual", "real"} {
		t.Run(clock, func(t *testing.T) {
			cfg := actor.Config{Schedulers: n, Logger: zap.NewNop()}
			body := func(t *testing.T) {
				require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error { main(t, t0); return nil }))
			}
			if clock == "virtual" {
				cfg.Clock = scheduler.NewVirtualClock(time.Time{})
				body(t)
			} else {
				synctest.Test(t, body)
			}
		})
	}
}

// number is that of t's scheduler.
func number(t *actor.Tasklet) int { return t.Info().Scheduler }

// A child runs where its parent runs, unless OnScheduler or Spread says otherwise.
func TestPlacement(t *testing.T) {
	across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
		require.Equal(t, 3, t0.System().Schedulers())
		require.Equal(t, 0, number(t0))
		child := actor.New(t0, func(c *actor.Tasklet) ([]int, error) {
			a := actor.Go(c, wait)
			b := actor.Go(c, wait, actor.OnScheduler(0))
			d := actor.Go(c, wait, actor.Daemon(), actor.OnScheduler(1))
			defer d.Kill()
			return []int{number(c), number(a), number(b), number(d)}, nil
		}, actor.OnScheduler(2))
		got, err := child.Join(t0)
		require.NoError(t, err)
		require.Equal(t, []int{2, 2, 0, 1}, got)
		// From an ordinary goroutine too.
		got2, err := actor.Await(t0, func(ctx context.Context) (int, error) {
			c := actor.New(t0.System(), func(c *actor.Tasklet) (int, error) { return number(c), nil }, actor.OnScheduler(1))
			return c.Join(ctx)
		})
		require.NoError(t, err)
		require.Equal(t, 1, got2)
	})
}

// Spread takes the scheduler with the fewest tasklets: nobody is left out, and those that are full
// get none.
func TestSpread(t *testing.T) {
	across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
		for range 10 {
			actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.OnScheduler(1))
		}
		count := map[int]int{}
		for range 18 {
			r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Spread())
			count[number(r.Tasklet())]++
		}
		// The root and the node of the daemons count too, and what has not arrived yet may be ready
		// for a moment.
		require.Less(t, count[1], 3, "%v", count)
		require.Greater(t, count[0], 6, "%v", count)
		require.Greater(t, count[2], 6, "%v", count)
	})
}

// A lineage stays on its scheduler: without OnScheduler it is found, with another it
// is misuse.
func TestRefNeverMoves(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		ref := actor.NewRef[int]()
		body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return actor.ErrStop })
		// Each life of a supervisor starts it with other options.
		opts := []actor.Option{actor.OnScheduler(1)}
		fam := actor.Family{Kind: "f", Bodies: []actor.Body{body}}
		slot, start := starter(t, t0, actor.Supervise(actor.NewRef[int](), fam, func(p *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			in, err := actor.NewSlot(p, body, nil, opts...)
			if err == nil {
				_, err = in.Start(p)
			}
			return func(*actor.Tasklet, int) error { return nil }, err
		}), nil)
		for _, opts = range [][]actor.Option{opts, {actor.Name("x")}, {actor.Spread()}} {
			start()
			again := ref.Tasklet()
			require.Equal(t, 1, number(again))
			require.NoError(t, ref.Send(t0, 1))
			require.NoError(t, again.Join(t0))
			require.NoError(t, slot.Stop(t0))
		}
		opts = []actor.Option{actor.OnScheduler(0)}
		_, err := slot.Start(t0)
		require.ErrorContains(t, err, "the ref of the body was read on scheduler 1 before, and never moves")
		slot.Retire()
	})
}

// FIFO per sender, the bound, parked senders served in order, nothing lost: in both directions, and
// with ordinary goroutines too.
func TestStreamsBetweenSchedulers(t *testing.T) {
	type msg struct{ from, n int }
	const each = 2000
	for _, length := range []int{1, 2, 64, 1024} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
				last := make([]int, 5)
				over := 0
				var self actor.Ref[msg]
				self = actor.Receiver(t0, func(_ *actor.Tasklet, m msg) error {
					if n := self.Len(); n > length {
						over = n
					}
					if m.n != last[m.from]+1 {
						return fmt.Errorf("from %d: %d after %d", m.from, m.n, last[m.from])
					}
					last[m.from] = m.n
					return nil
				}, actor.MailboxLen(length), actor.OnFailure(actor.End), actor.OnScheduler(1))
				var senders []*actor.Tasklet
				for from := range 4 {
					senders = append(senders, actor.Go(t0, func(s *actor.Tasklet) error {
						for n := 1; n <= each; n++ {
							if err := self.Send(s, msg{from, n}); err != nil {
								return err
							}
							if n%100 == 0 {
								s.Yield()
							}
						}
						return nil
					}, actor.OnScheduler(from%3)))
				}
				_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
					for n := 1; n <= each; n++ {
						if err := self.Send(ctx, msg{4, n}); err != nil {
							return 0, err
						}
					}
					return 0, nil
				})
				require.NoError(t, err)
				for _, s := range senders {
					require.NoError(t, s.Join(t0))
				}
				self.Close()
				require.NoError(t, self.Join(t0))
				require.Equal(t, []int{each, each, each, each, each}, last)
				require.Zero(t, over, "above the bound")
			})
		})
	}
}

// Rule 30, from one scheduler to another: all ways in which a call ends.
func TestCallsBetweenSchedulers(t *testing.T) {
	across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
		type ask struct {
			what string
			r    actor.Reply[string]
		}
		helper := actor.Receiver(t0, func(h *actor.Tasklet, a ask) error {
			if a.what == "die" {
				return errBoom
			}
			return a.r.Send(h, "helped")
		}, actor.OnFailure(actor.End), actor.OnScheduler(2))
		body := func(c *actor.Tasklet, a ask) error {
			switch a.what {
			case "echo":
				return a.r.Send(c, "echo")
			case "fail":
				return a.r.Fail(c, errBoom)
			case "nothing":
				return nil
			case "panic":
				panic("at the disco")
			case "stop":
				return actor.ErrStop
			case "sleep":
				c.Sleep(time.Hour)
				return a.r.Send(c, "late")
			}
			a.r.Delegate(helper.Tasklet())
			return helper.Send(c, a)
		}
		callee := func() actor.Ref[ask] { return actor.Receiver(t0, body, actor.OnScheduler(1)) }
		call := func(ctx context.Context, to actor.Ref[ask], what string) (string, error) {
			return actor.Call(ctx, to, func(r actor.Reply[string]) ask { return ask{what, r} })
		}
		to := callee()
		for range 3 { // the cell is used again
			v, err := call(t0, to, "echo")
			require.NoError(t, err)
			require.Equal(t, "echo", v)
		}
		_, err := call(t0, to, "fail")
		require.Equal(t, errBoom, err)
		_, err = call(t0, to, "nothing")
		require.ErrorIs(t, err, actor.ErrNoReply)
		_, err = call(t0, to, "panic")
		var p *actor.PanicError
		require.ErrorAs(t, err, &p)
		v, err := call(t0, to, "delegate")
		require.NoError(t, err)
		require.Equal(t, "helped", v)
		ctx, cancel := actor.WithTimeout(t0, time.Minute)
		_, err = call(ctx, to, "sleep")
		cancel()
		require.ErrorIs(t, err, actor.ErrTimeout)
		_, err = call(t0, to, "die")
		require.ErrorIs(t, err, errBoom)
		_, err = call(t0, to, "delegate") // to one that has ended
		var j *actor.JoinError
		require.ErrorAs(t, err, &j)
		_, err = call(t0, to, "stop")
		require.ErrorAs(t, err, &j)
		_, err = call(t0, to, "echo")
		require.ErrorIs(t, err, mailbox.ErrClosed)
		// The callee is killed while it has the request in hand, and while the next one is queued.
		to = callee()
		other := actor.New(t0, func(o *actor.Tasklet) (string, error) { return call(o, to, "echo") }, actor.OnScheduler(2))
		slow := actor.New(t0, func(o *actor.Tasklet) (string, error) { return call(o, to, "sleep") })
		t0.Sleep(time.Second)
		to.Kill()
		_, err = slow.Join(t0)
		require.ErrorAs(t, err, &j)
		_, err = other.Join(t0)
		if err != nil { // it came second
			require.ErrorIs(t, err, mailbox.ErrClosed)
		}
	})
}

// Join, kill, close, watch and timed messages, from one scheduler to another.
func TestEndsBetweenSchedulers(t *testing.T) {
	across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
		// Many join one, before and after its end; one gives up, one is killed.
		target := actor.New(t0, func(c *actor.Tasklet) (int, error) { c.Sleep(time.Hour); return 7, errBoom }, actor.OnScheduler(1))
		var joiners []*actor.Task[error]
		for n := range 6 {
			joiners = append(joiners, actor.New(t0, func(j *actor.Tasklet) (error, error) {
				_, err := target.Join(j)
				return err, nil
			}, actor.OnScheduler(n%3)))
		}
		impatient := actor.New(t0, func(j *actor.Tasklet) (error, error) {
			ctx, cancel := actor.WithTimeout(j, time.Minute)
			defer cancel()
			return target.Tasklet().Join(ctx), nil
		}, actor.OnScheduler(2))
		victim := actor.Go(t0, func(j *actor.Tasklet) error { return target.Tasklet().Join(j) }, actor.OnScheduler(2))
		t0.Sleep(time.Second)
		victim.Kill()
		require.ErrorIs(t, victim.Join(t0), actor.ErrKilled)
		v, err := impatient.Join(t0)
		require.NoError(t, err)
		require.ErrorIs(t, v, actor.ErrTimeout)
		got, err := target.Join(t0)
		require.ErrorIs(t, err, errBoom)
		require.Equal(t, 7, got)
		for _, j := range joiners {
			v, err := j.Join(t0)
			require.NoError(t, err)
			require.ErrorIs(t, v, errBoom)
		}

		// Watch: what the target sent before its end comes before the notice (rule 21), also by way
		// of a third scheduler.
		for _, at := range []int{0, 1, 2} {
			var log []string
			box := actor.Receiver(t0, func(b *actor.Tasklet, m string) error {
				log = append(log, m)
				if m == "end" {
					return actor.ErrStop
				}
				return nil
			}, actor.OnScheduler(at), actor.MailboxLen(2))
			begin := actor.Spawn(t0, func(w *actor.Tasklet, in *mailbox.Mailbox[string]) error {
				if _, err := in.Next(w); err != nil {
					return err
				}
				for n := range 5 {
					if err := box.Send(w, fmt.Sprint(n)); err != nil {
						return err
					}
				}
				return errBoom
			}, actor.OnScheduler(1))
			watched := begin.Tasklet()
			actor.Watch(t0, watched, box, func(e actor.Exit) string {
				require.Equal(t, reason.Error, e.Kind)
				require.ErrorIs(t, e.Err, errBoom)
				return "end"
			})
			require.NoError(t, begin.Send(t0, "go"))
			require.NoError(t, box.Join(t0))
			require.Equal(t, []string{"0", "1", "2", "3", "4", "end"}, log)
			// A tasklet that has finished is reported at once.
			told := actor.Receiver(t0, func(_ *actor.Tasklet, e actor.Exit) error { return e.Err }, actor.OnFailure(actor.End), actor.OnScheduler(at))
			actor.Watch(t0, watched, told, func(e actor.Exit) actor.Exit { return e })
			require.ErrorIs(t, told.Join(t0), errBoom)
		}

		// SendAfter and Pipe to another scheduler, into a full mailbox; taken back while they wait,
		// but not by the end of the sender.
		slow := actor.Spawn(t0, func(s *actor.Tasklet, in *mailbox.Mailbox[string]) error {
			s.Sleep(2 * time.Minute)
			var got []string
			for m := range in.Receive() {
				got = append(got, m)
			}
			s.SetLabel("got", fmt.Sprint(got))
			return nil
		}, actor.MailboxLen(1), actor.OnScheduler(1))
		require.NoError(t, slow.Send(t0, "first"))
		actor.SendAfter(t0, time.Second, slow, "second")
		never := actor.SendAfter(t0, 2*time.Second, slow, "never")
		actor.Pipe(t0, func(context.Context) (string, error) { return "piped", nil }, slow, func(s string, _ error) string { return s })
		gone := actor.Go(t0, func(g *actor.Tasklet) error {
			actor.SendAfter(g, time.Second, slow, "gone")
			g.Sleep(time.Minute)
			return nil
		})
		t0.Sleep(time.Minute)
		require.True(t, never.Stop(), "it stands in line")
		require.NoError(t, gone.Join(t0))
		require.Equal(t, 1, slow.Len())
		t0.Sleep(2 * time.Minute)
		tasklet := slow.Tasklet()
		slow.Close()
		require.NoError(t, slow.Join(t0))
		require.Contains(t, []string{"[first second piped gone]", "[first piped second gone]", "[first second gone piped]"}, tasklet.Info().Labels["got"])
	})
}

// A tree over several schedulers is stopped child by child in reverse order of start, each awaited,
// and its deferred calls run after its children have ended.
func TestStopOverSchedulers(t *testing.T) {
	for _, clock := range []bool{true, false} {
		var mu sync.Mutex
		var ends []string
		cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
			if e.Kind == event.Exit {
				mu.Lock()
				ends = append(ends, e.Path)
				mu.Unlock()
			}
		}}
		if clock {
			cfg.Clock = scheduler.NewVirtualClock(time.Time{})
		}
		s, err := actor.Start(cfg)
		require.NoError(t, err)
		var deferred []string
		var grow func(p actor.Spawner, level int)
		grow = func(p actor.Spawner, level int) {
			for n := range 3 {
				name := actor.Name(fmt.Sprint(n))
				where := actor.OnScheduler((n + level) % 3)
				if level == 3 {
					actor.Receiver(p, func(*actor.Tasklet, int) error { return nil }, name, where)
					continue
				}
				_, err := startChild(ctxOf(p), p, actor.ReceiverInitBody(actor.NewRef[int](), func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					grow(c, level+1)
					c.Defer(func() {
						mu.Lock()
						deferred = append(deferred, c.Path())
						mu.Unlock()
						if len(c.Children()) > 0 {
							panic("a deferred call before the end of the children")
						}
					})
					return func(*actor.Tasklet, int) error { return nil }, nil
				}), name, where)
				if err != nil {
					panic(err)
				}
			}
		}
		grow(s, 0)
		require.NoError(t, s.Stop(context.Background()))
		var want, wantDeferred []string
		var walk func(path string, level int)
		walk = func(path string, level int) {
			for n := 2; n >= 0; n-- {
				p := fmt.Sprintf("%s/%d", path, n)
				if level < 3 {
					walk(p, level+1)
					wantDeferred = append(wantDeferred, p)
				}
				want = append(want, p)
			}
		}
		walk("/tasklet", 0)
		require.Equal(t, append(want, "/tasklet"), ends)
		require.Equal(t, wantDeferred, deferred)
	}
}

func ctxOf(p actor.Spawner) context.Context {
	if t, ok := p.(*actor.Tasklet); ok {
		return t
	}
	return context.Background()
}

// Rule 18 over schedulers: the kill becomes hard after the child's time, a second later it is
// detached; the time in which it waits for its children does not count.
func TestShutdownOverSchedulers(t *testing.T) {
	var events []string
	cfg := actor.Config{Schedulers: 2, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.StopTimeout {
			events = append(events, e.Path)
		}
	}}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		elapsed := func() time.Duration { return t0.System().Now().Sub(begin) }
		stubborn := actor.Go(t0, func(c *actor.Tasklet) error {
			for c.Err() == nil {
				func() {
					defer func() { _ = recover() }()
					c.Sleep(time.Hour)
				}()
			}
			return nil
		}, actor.Shutdown(3*time.Second), actor.OnScheduler(1))
		t0.Sleep(time.Second)
		require.NoError(t, actor.StopChild(t0, stubborn, 0))
		require.True(t, stubborn.HasFinished())
		require.Equal(t, 4*time.Second, elapsed())

		// Its own child needs a minute; the parent has no time of its own, and is not hurried.
		begin = t0.System().Now()
		patient := actor.Go(t0, func(c *actor.Tasklet) error {
			actor.Go(c, func(g *actor.Tasklet) error {
				g.Defer(func() { g.Sleep(time.Minute) })
				return wait(g)
			}, actor.Shutdown(actor.Infinity), actor.OnScheduler(0))
			return wait(c)
		}, actor.Shutdown(time.Second), actor.OnScheduler(1))
		t0.Sleep(time.Second)
		require.NoError(t, actor.StopChild(t0, patient, 0))
		require.True(t, patient.HasFinished())
		require.Equal(t, time.Minute+time.Second, elapsed())

		// One that never ends is left behind.
		begin = t0.System().Now()
		leaked := actor.Go(t0, func(c *actor.Tasklet) error {
			for {
				func() {
					defer func() { _ = recover() }()
					c.Sleep(time.Hour)
				}()
			}
		}, actor.Name("leaked"), actor.Shutdown(time.Second), actor.OnScheduler(1))
		t0.Sleep(time.Second)
		require.NoError(t, actor.StopChild(t0, leaked, 0))
		require.False(t, leaked.HasFinished())
		require.Equal(t, 3*time.Second, elapsed())
		return nil
	})
	var stop *actor.StopError
	require.ErrorAs(t, err, &stop)
	require.Equal(t, []string{"/tasklet/leaked"}, events)
}

// Time is one for all: with a virtual clock it goes on only when nobody is ready, in the order of
// all deadlines.
func TestVirtualTimeOverSchedulers(t *testing.T) {
	var mu sync.Mutex
	var log []string
	cfg := actor.Config{Schedulers: 3, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		note := func(who string) {
			mu.Lock()
			defer mu.Unlock()
			log = append(log, fmt.Sprintf("%s %v", who, t0.System().Now().Sub(begin)))
		}
		var all []*actor.Tasklet
		for n, d := range []time.Duration{3 * time.Hour, 2 * time.Hour, 5 * time.Hour} {
			all = append(all, actor.Go(t0, func(c *actor.Tasklet) error {
				for range 3 {
					c.Sleep(d)
					note(fmt.Sprint(n))
				}
				return nil
			}, actor.OnScheduler(n)))
		}
		_, err := actor.JoinEach(t0, all...)
		note("end")
		return err
	})
	require.NoError(t, err)
	want := []string{"1 2h0m0s", "0 3h0m0s", "1 4h0m0s", "2 5h0m0s", "", "", "0 9h0m0s", "2 10h0m0s", "2 15h0m0s", "end 15h0m0s"}
	require.Len(t, log, len(want))
	for i, w := range want {
		if w != "" { // at 6h two are due
			require.Equal(t, w, log[i])
		}
	}
	require.ElementsMatch(t, []string{"0 6h0m0s", "1 6h0m0s"}, log[4:6])
}

// Rule 16 over schedulers: when nobody can go on, and no cycle explains it, main is killed with who
// is parked on whom.
func TestQuiescentOverSchedulers(t *testing.T) {
	cfg := actor.Config{Schedulers: 3, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		b := actor.Go(t0, func(c *actor.Tasklet) error {
			_, _ = scheduler.NewChan[int](0).Receive(c)
			return nil
		}, actor.OnScheduler(2), actor.Name("b"))
		a := actor.Go(t0, func(c *actor.Tasklet) error { return b.Join(c) }, actor.OnScheduler(1), actor.Name("a"))
		return a.Join(t0)
	})
	var d *actor.DeadlockError
	require.ErrorAs(t, err, &d)
	require.True(t, d.Quiescent)
	require.Contains(t, err.Error(), "/tasklet/a in join /tasklet/b")
	require.Contains(t, err.Error(), "/tasklet/b in chan")
}

// Rule 29 on a virtual clock: a cycle over schedulers is found before time goes on to what would
// end one of its waits, or the program.
func TestDeadlockBeforeTimeGoesOn(t *testing.T) {
	type ask struct{ r actor.Reply[int] }
	cfg := actor.Config{Schedulers: 3, Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	for _, limit := range []time.Duration{0, time.Hour} {
		require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			refs := [2]actor.Ref[ask]{actor.NewRef[ask](actor.Name("a")), actor.NewRef[ask](actor.Name("b"))}
			call := func(ctx context.Context, to actor.Ref[ask]) (int, error) {
				return actor.Call(ctx, to, func(r actor.Reply[int]) ask { return ask{r} })
			}
			for i := range refs {
				actor.StartTasklet(t0, actor.ReceiverBody(refs[i], func(c *actor.Tasklet, q ask) error {
					_, err := call(c, refs[1-i])
					return q.r.Fail(c, err)
				}), actor.OnScheduler(1+i))
			}
			var ctx context.Context = t0
			if limit > 0 {
				var cancel context.CancelFunc
				ctx, cancel = actor.WithTimeout(t0, limit)
				defer cancel()
			}
			_, err := call(ctx, refs[0])
			var d *actor.DeadlockError
			require.ErrorAs(t, err, &d)
			require.False(t, d.Quiescent)
			require.Len(t, d.Chain, 2)
			return nil
		}))
	}
}

// Rule 19 over schedulers: who holds a scheduler and outlives the stop is named with its stack; the
// others are stopped normally.
func TestHogOverSchedulers(t *testing.T) {
	for _, at := range []int{0, 1} {
		t.Run(fmt.Sprint("on ", at), func(t *testing.T) {
			defer actor.SetPatience(300 * time.Millisecond)()
			release := make(chan struct{})
			var deferred atomic.Int32
			started := make(chan struct{})
			cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop(), StallAfter: -1}
			s, err := actor.Start(cfg)
			require.NoError(t, err)
			hogs := make(chan struct{})
			actor.Go(s, func(*actor.Tasklet) error { close(hogs); <-release; return nil }, actor.Name("hog"),
				actor.OnScheduler(at), actor.Shutdown(100*time.Millisecond))
			<-hogs
			for n := range 3 {
				if n != at {
					actor.Go(s, func(c *actor.Tasklet) error {
						defer deferred.Add(1)
						started <- struct{}{}
						return wait(c)
					}, actor.OnScheduler(n))
					<-started
				}
			}
			err = s.Stop(context.Background())
			var stop *actor.StopError
			require.ErrorAs(t, err, &stop)
			found := false
			for _, l := range stop.Leaked {
				if l.Path == "/tasklet/hog" {
					found = true
					require.Contains(t, string(l.Stack), "TestHogOverSchedulers")
				}
			}
			require.True(t, found, "%v", err)
			require.Equal(t, int32(2), deferred.Load())
			close(release)
			_ = s.Stop(context.Background()) // it ends at last
		})
	}
}

// The time in which the whole process did not run does not count as time of a tasklet.
func TestHogOfAStoppedProcess(t *testing.T) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	require.NoError(t, err)
	release, holds := make(chan struct{}), make(chan struct{})
	actor.Go(s, func(*actor.Tasklet) error { close(holds); <-release; return nil })
	<-holds
	second := slices.Repeat([]time.Duration{time.Second}, 8)
	require.True(t, actor.HeldAfter(s, 8*time.Second, second...))
	require.False(t, actor.HeldAfter(s, 8*time.Second, second[:7]...))
	require.False(t, actor.HeldAfter(s, 8*time.Second, append(second[:6:6], time.Hour)...))
	close(release)
	require.NoError(t, s.Stop(context.Background()))
}

// A tasklet that holds its scheduler is named with its stack also if its parent, on another one,
// has given it up before.
func TestDetachedHog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, holds := make(chan struct{}), make(chan struct{})
		s, err := actor.Start(actor.Config{Schedulers: 2, Logger: zap.NewNop(), StallAfter: -1})
		require.NoError(t, err)
		actor.Go(s, func(*actor.Tasklet) error { close(holds); <-release; return nil }, actor.Name("hog"),
			actor.OnScheduler(1))
		<-holds
		err = s.Stop(context.Background())
		var stop *actor.StopError
		require.ErrorAs(t, err, &stop)
		require.Len(t, stop.Leaked, 1)
		require.Equal(t, "/tasklet/hog", stop.Leaked[0].Path)
		require.Contains(t, string(stop.Leaked[0].Stack), "TestDetachedHog")
		require.EqualError(t, err, "actor: did not stop: /tasklet/hog (holds its scheduler)")
		close(release)
		_ = s.Stop(context.Background())
	})
}

// Rule 29 over schedulers: a cycle of firm waits is found though others go on working, and the
// youngest wait from one scheduler to another is refused with the whole cycle; where somebody can
// time out it is a warning. Until then nothing is refused.
func TestDeadlockOverSchedulers(t *testing.T) {
	type ask struct {
		soft bool
		r    actor.Reply[int]
	}
	for _, virtual := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var found []actor.EventRecord
			cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
				if e.Kind == event.Deadlock {
					mu.Lock()
					found = append(found, e)
					mu.Unlock()
				}
			}}
			if virtual {
				cfg.Clock = scheduler.NewVirtualClock(time.Time{})
			}
			err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				for n := range 3 { // so that nobody is ever quiescent
					actor.Interval(t0, 100*time.Millisecond, func(*actor.Tasklet) error { return nil }, actor.OnScheduler(n))
				}
				took := func() []actor.EventRecord {
					mu.Lock()
					defer mu.Unlock()
					all := found
					found = nil
					return all
				}
				// A cycle of calls over three schedulers; two of the waits in it are between
				// tasklets of the same one.
				var refs [4]actor.Ref[ask]
				for i := range refs {
					refs[i] = actor.NewRef[ask](actor.Name(string(rune('a' + i))))
				}
				for i := range refs {
					actor.StartTasklet(t0, actor.ReceiverBody(refs[i], func(c *actor.Tasklet, q ask) error {
						var ctx context.Context = c
						if q.soft && i == 2 {
							limit, cancel := actor.WithTimeout(c, time.Minute)
							defer cancel()
							ctx = limit
						}
						c.Sleep(10 * time.Millisecond) // the waits begin one after the other
						v, err := actor.Call(ctx, refs[(i+1)%len(refs)], func(r actor.Reply[int]) ask { return ask{q.soft, r} })
						if err != nil {
							return q.r.Fail(c, err)
						}
						return q.r.Send(c, v)
					}), actor.OnScheduler([]int{0, 1, 1, 2}[i]))
				}
				begin := t0.System().Now()
				_, err := actor.Call(t0, refs[0], func(r actor.Reply[int]) ask { return ask{false, r} })
				var d *actor.DeadlockError
				require.ErrorAs(t, err, &d)
				took1 := took()
				require.Len(t, took1, 1)
				require.False(t, took1[0].Soft)
				require.Equal(t, "deadlock: /tasklet/d in call to /tasklet/a, /tasklet/a in call to /tasklet/b, "+
					"/tasklet/b in call to /tasklet/c, /tasklet/c in call to /tasklet/d", d.Error())
				require.Less(t, t0.System().Now().Sub(begin), 3*time.Second)

				// With a limit somewhere it is only told, once.
				begin = t0.System().Now()
				_, err = actor.Call(t0, refs[0], func(r actor.Reply[int]) ask { return ask{true, r} })
				require.ErrorIs(t, err, actor.ErrTimeout)
				took2 := took()
				require.NotEmpty(t, took2)
				for _, e := range took2 {
					require.True(t, e.Soft, "%v", e.Err)
				}
				require.GreaterOrEqual(t, t0.System().Now().Sub(begin), time.Minute)
				// or the requests that were left over would make the cycle anew
				for _, r := range refs {
					r.Kill()
				}

				// Full mailboxes on both sides.
				var full [2]actor.Ref[int]
				for i := range full {
					full[i] = actor.NewRef[int](actor.Name(fmt.Sprint("full", i)), actor.MailboxLen(1))
				}
				refused := make(chan error, 2)
				for i := range full {
					actor.StartTasklet(t0, actor.ReceiverBody(full[i], func(c *actor.Tasklet, n int) error {
						for range 3 {
							if err := full[1-i].Send(c, n); err != nil {
								refused <- err
								return actor.ErrStop
							}
						}
						return nil
					}), actor.OnScheduler(1+i))
				}
				require.NoError(t, full[0].Send(t0, 1))
				t0.Sleep(5 * time.Second)
				require.ErrorAs(t, <-refused, &d)
				require.Len(t, d.Chain, 2)

				// A long wait is no deadlock.
				took()
				slow := actor.Go(t0, func(c *actor.Tasklet) error { c.Sleep(20 * time.Second); return nil }, actor.OnScheduler(1))
				chain := actor.Go(t0, func(c *actor.Tasklet) error { return slow.Join(c) }, actor.OnScheduler(2))
				require.NoError(t, chain.Join(t0))
				require.Empty(t, took())
				return nil
			})
			require.NoError(t, err)
		})
	}
}
