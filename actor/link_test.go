package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/scheduler"
)

// linked links a and b, which must be possible.
func linked(t testing.TB, a, b actor.Watchable) (unlink func() bool) {
	t.Helper()
	unlink, err := actor.Link(a, b)
	require.NoError(t, err)
	return unlink
}

// mustLive checks that nothing has happened to the tasklets.
func mustLive(t testing.TB, tasklets ...*actor.Tasklet) {
	t.Helper()
	for _, k := range tasklets {
		require.False(t, k.HasFinished(), "%s", k.Path())
		require.Nil(t, k.Killed(), "%s", k.Path())
	}
}

// endedByLink checks that k has ended because first failed, and returns the error.
func endedByLink(t testing.TB, k, first *actor.Tasklet) *actor.LinkError {
	t.Helper()
	exit, ok := k.Exit()
	require.True(t, ok, "%s", k.Path())
	require.Equal(t, reason.Error, exit.Kind)
	require.IsType(t, &actor.LinkError{}, exit.Err)
	e := exit.Err.(*actor.LinkError)
	require.Same(t, first, e.Tasklet)
	cause, _ := first.Exit()
	require.Equal(t, cause.Err, e.Cause)
	return e
}

// Rule 42: a failure of one side kills the other, and an end without failure does not. The link is
// the same in both directions, and one that has ended leaves nothing behind.
func TestRule42Link(t *testing.T) {
	for _, c := range []struct {
		name string
		body func(*actor.Tasklet) error
		want string // the error of the other, or "" if it lives
	}{
		{"normal", func(*actor.Tasklet) error { return nil }, ""},
		{"ErrStop", func(*actor.Tasklet) error { return fmt.Errorf("done: %w", actor.ErrStop) }, ""},
		{"shutdown", func(*actor.Tasklet) error { return actor.ErrShutdown }, ""},
		{"error", func(*actor.Tasklet) error { return errTest }, "linked to /tasklet/x: test"},
		{"panic", func(*actor.Tasklet) error { panic("oh") }, "linked to /tasklet/x: panic: oh"},
		{"killed", func(t *actor.Tasklet) error { t.Kill(); t.Sleep(time.Hour); return nil }, "linked to /tasklet/x: actor: killed"},
		{"Goexit", func(*actor.Tasklet) error { runtime.Goexit(); return nil }, "linked to /tasklet/x: actor: body called runtime.Goexit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
				for at := range 4 {
					x := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return c.body(t) }, actor.Name("x"), actor.OnScheduler(at%2))
					other := sleeper(t0, "other")
					a, b := actor.Watchable(x), actor.Watchable(other)
					if at >= 2 {
						a, b = b, a
					}
					unlink := linked(t, a, b)
					require.Equal(t, 1, actor.Watchers(x))
					require.Equal(t, 1, actor.Watchers(other))
					_ = x.Join(t0)
					t0.Sleep(time.Second)
					require.False(t, unlink())
					require.Zero(t, actor.Watchers(x))
					require.Zero(t, actor.Watchers(other))
					if c.want == "" {
						mustLive(t, other)
						other.Kill()
						continue
					}
					require.EqualError(t, endedByLink(t, other, x), c.want)
					require.EqualError(t, other.Join(t0), "/tasklet/other: "+c.want)
				}
			})
		})
	}
}

// Rule 42: through a chain and around a ring the error passes unchanged, however long they are.
func TestRule42ChainOfLinks(t *testing.T) {
	for _, ring := range []bool{false, true} {
		for _, first := range []int{0, 7, 99} {
			across(t, 3, func(t *testing.T, t0 *actor.Tasklet) {
				const n = 100
				var all [n]*actor.Tasklet
				for i := range all {
					all[i] = actor.Go(t0, func(t *actor.Tasklet) error {
						t.Sleep(time.Second)
						if i == first {
							return errTest
						}
						t.Sleep(time.Hour)
						return nil
					}, actor.OnScheduler(i%3))
				}
				for i := range n - 1 {
					linked(t, all[i], all[i+1])
				}
				if ring {
					linked(t, all[n-1], all[0])
				}
				_, _ = actor.JoinEach(t0, all[:]...)
				passed := map[*actor.LinkError]bool{} // each link of the first has made one
				for i, k := range all {
					require.Zero(t, actor.Watchers(k))
					if i == first {
						require.Equal(t, errTest, errors.Unwrap(k.Join(t0)))
						continue
					}
					passed[endedByLink(t, k, all[first])] = true
					require.LessOrEqual(t, len(passed), 2)
					require.ErrorIs(t, k.Join(t0), errTest)
				}
			})
		}
	}
}

// Rule 42: a link to a tasklet that has failed kills at once, and one to a tasklet that has ended
// well does nothing. One that is ending has not failed until it has finished.
func TestRule42LinkToTheDead(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		for at := range 2 {
			for _, swap := range []bool{false, true} {
				link := func(a, b actor.Watchable) func() bool {
					if swap {
						a, b = b, a
					}
					return linked(t, a, b)
				}
				failed := actor.Go(t0, func(*actor.Tasklet) error { return errTest }, actor.OnScheduler(at))
				well := actor.Go(t0, func(*actor.Tasklet) error { return nil }, actor.OnScheduler(at))
				_, _ = actor.JoinEach(t0, failed, well)

				other := sleeper(t0, "other")
				require.False(t, link(well, other)())
				require.Zero(t, actor.Watchers(other))
				t0.Sleep(time.Second)
				mustLive(t, other)
				require.False(t, link(failed, other)())
				require.Equal(t, errTest, other.Killed().Cause.(*actor.LinkError).Cause, "in the same step")
				_ = other.Join(t0)
				endedByLink(t, other, failed)

				third := sleeper(t0, "third")
				require.False(t, link(other, third)())
				_ = third.Join(t0)
				endedByLink(t, third, failed)
				require.False(t, link(well, failed)(), "both have ended")
				require.False(t, link(third, failed)())

				ending := actor.Go(t0, func(t *actor.Tasklet) error {
					t.Defer(func() { t.Sleep(time.Minute) })
					return errTest
				}, actor.OnScheduler(at))
				t0.Sleep(time.Second)
				other = sleeper(t0, "last")
				link(ending, other)
				t0.Sleep(time.Second)
				mustLive(t, other)
				require.NotPanics(t, func() { link(ending, failed) })
				require.Nil(t, ending.Killed(), "its body has ended")
				_ = ending.Join(t0)
				_ = other.Join(t0)
				endedByLink(t, other, ending)
			}
		}
	})
}

// Rule 42: unlink says whether it was in time. Two links between the same tasklets are independent.
func TestRule42Unlink(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		a, b := sleeper(t0, "a"), sleeper(t0, "b")
		first, second := linked(t, a, b), linked(t, b, a)
		require.Equal(t, 2, actor.Watchers(a))
		require.True(t, first())
		require.False(t, first())
		require.Equal(t, 1, actor.Watchers(a))
		require.Equal(t, 1, actor.Watchers(b))
		a.Kill()
		require.True(t, second(), "a has not ended")
		_ = a.Join(t0)
		t0.Sleep(time.Second)
		mustLive(t, b)

		a = sleeper(t0, "a2")
		first, second = linked(t, a, b), linked(t, a, b)
		require.True(t, first())
		a.Kill()
		_ = a.Join(t0)
		require.False(t, second())
		_ = b.Join(t0)
		endedByLink(t, b, a)
	})
}

// Rule 42: a ref stands for its tasklet at the time of the call. The next incarnation is not
// linked, and where there is none, there is an error.
func TestRule42LinkOfRef(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		ref := actor.NewRef[int](actor.Name("r"))
		slot, start := starter(t, t0, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errTest }), nil)
		other := sleeper(t0, "other")
		nobody := func(a, b actor.Watchable) {
			t.Helper()
			unlink, err := actor.Link(a, b)
			require.Equal(t, actor.ErrNoTasklet, err)
			require.False(t, unlink())
			require.Zero(t, actor.Watchers(other))
		}
		nobody(ref, other)
		nobody(other, ref)
		nobody(other, (*actor.Tasklet)(nil))
		first := start()
		linked(t, ref, other)
		require.Equal(t, 1, actor.Watchers(first))
		require.NoError(t, ref.Send(t0, 1))
		_ = first.Join(t0)
		nobody(other, ref)
		second := start()
		require.Zero(t, actor.Watchers(second))
		_ = other.Join(t0)
		endedByLink(t, other, first)
		t0.Sleep(time.Second)
		mustLive(t, second)

		// In the other direction the supervisor sees a failure like any other.
		friend := sleeper(t0, "friend")
		linked(t, friend, ref)
		friend.Kill()
		_ = second.Join(t0)
		require.Equal(t, endedByLink(t, second, friend), slot.Glance().Last.Err)
		third := start()
		t0.Sleep(time.Second)
		mustLive(t, third)

		// The tasklet of an unsupervised ref stays its tasklet.
		free := actor.Receiver(t0, func(*actor.Tasklet, int) error { return errTest }, actor.OnFailure(actor.End))
		k := free.Tasklet()
		require.NoError(t, free.Send(t0, 1))
		_ = k.Join(t0)
		linked(t, third, free)
		_ = third.Join(t0)
		endedByLink(t, third, k)
	})
}

// Rule 42: a tasklet that is stopped counts as killed, except for the parent that stops it, and in
// a system that stops.
func TestRule42LinksAndStops(t *testing.T) {
	for _, drain := range []bool{false, true} {
		sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
		require.NoError(t, err)
		var all []*actor.Tasklet
		done := make(chan struct{})
		ready := sync.OnceFunc(func() { close(done) })
		actor.Go(sys, func(p *actor.Tasklet) error {
			defer ready()
			slot, start := starter(t, p, actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }), nil)
			k, other := start(), sleeper(p, "other")
			linked(t, k, p)
			linked(t, k, other)
			require.NoError(t, slot.Stop(p))
			_ = other.Join(p)
			endedByLink(t, other, k)

			// The children of a body that ends are stopped in the same way.
			friend := sleeper(p, "friend")
			var child *actor.Tasklet
			scope := actor.Go(p, func(s *actor.Tasklet) error {
				child = sleeper(s, "child")
				linked(t, child, s)
				linked(t, child, friend)
				s.Yield()
				return nil
			})
			require.NoError(t, scope.Join(p))
			_ = friend.Join(p)
			endedByLink(t, friend, child)

			for i := range 10 { // the newest is stopped first
				k := sleeper(p, fmt.Sprint("s", i))
				for _, older := range all {
					linked(t, k, older)
				}
				all = append(all, k)
				linked(t, k, p)
				linked(t, k, sys.Root())
			}
			ready()
			p.OnDrain(p.Kill)
			p.Sleep(time.Hour)
			return nil
		})
		<-done
		if drain {
			ctx, cancel := context.WithCancel(context.Background())
			cancel()
			require.Error(t, sys.Drain(ctx))
		}
		require.NoError(t, sys.Stop(context.Background()))
		require.Len(t, all, 10)
		for _, k := range append(all, sys.Root()) {
			exit, ok := k.Exit()
			require.True(t, ok)
			require.Equal(t, actor.ErrKilled, exit.Err, "%s", k.Path())
		}
	}
}

// Rule 42: a kill by a link is a kill like any other: the first one counts, it can be recovered,
// and it does not cut a drain.
func TestRule42KillByLink(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		fail := func() *actor.Tasklet {
			k := actor.Go(t0, func(*actor.Tasklet) error { return errTest })
			_ = k.Join(t0)
			return k
		}
		for _, kill := range []func(*actor.Tasklet){(*actor.Tasklet).Kill, func(k *actor.Tasklet) { k.KillCause(t0, errQuota) }} {
			k, failed := sleeper(t0, "k"), fail()
			kill(k)
			before := *k.Killed()
			linked(t, k, failed)
			require.Equal(t, before, *k.Killed())
			require.NotErrorIs(t, k.Join(t0), errTest)
		}
		k := sleeper(t0, "k")
		failed, later := fail(), fail()
		linked(t, k, failed)
		linked(t, k, later)
		k.Kill()
		_ = k.Join(t0)
		endedByLink(t, k, failed)

		survivor := actor.Go(t0, func(t *actor.Tasklet) error { survive(t); t.Sleep(time.Second); return nil })
		t0.Yield()
		linked(t, survivor, failed)
		t0.Sleep(time.Millisecond)
		mustLive(t, survivor)
		linked(t, survivor, later)
		_ = survivor.Join(t0)
		endedByLink(t, survivor, later)

		// Its children have not drained when the link wants to kill it.
		var did int
		var child actor.Ref[int]
		parent := actor.Go(t0, func(p *actor.Tasklet) error {
			child = actor.Receiver(p, func(t *actor.Tasklet, n int) error { t.Sleep(time.Second); did += n; return nil })
			p.OnDrain(p.Kill)
			p.Sleep(time.Hour)
			return nil
		})
		t0.Yield()
		for range 5 {
			require.NoError(t, child.Send(t0, 1))
		}
		linked(t, parent, sleeperThatFails(t0, 2*time.Second))
		require.ErrorIs(t, parent.Drain(t0), actor.ErrKilled)
		require.Equal(t, 5, did)
		require.NoError(t, parent.Killed().Cause, "the link has not killed it")

		// A body that is killed by a link and returns another error has failed by itself.
		own := actor.Go(t0, func(t *actor.Tasklet) (err error) {
			defer func() { err = fmt.Errorf("saved: %w", recover().(*actor.Killed).Cause) }()
			t.Sleep(time.Hour)
			return nil
		})
		t0.Yield()
		linked(t, own, failed)
		friend := sleeper(t0, "friend")
		linked(t, own, friend)
		_ = friend.Join(t0)
		require.EqualError(t, endedByLink(t, friend, own), "linked to "+own.Path()+": saved: linked to "+failed.Path()+": test")
		require.ErrorIs(t, friend.Join(t0), errTest)
	})
}

// sleeperThatFails fails after d.
func sleeperThatFails(p *actor.Tasklet, d time.Duration) *actor.Tasklet {
	return actor.Go(p, func(t *actor.Tasklet) error { t.Sleep(d); return errTest })
}

// The error of a link is one line, whatever is in it, and tells of another tasklet's end.
func TestLinkError(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		k := actor.Go(t0, func(*actor.Tasklet) error { return fmt.Errorf("a\nb: %w", actor.ErrStop) }, actor.Name("x\ny"))
		e := &actor.LinkError{Tasklet: k, Cause: errors.Join(errTest, errors.New("x\ny"))}
		require.False(t, strings.ContainsAny(e.Error(), "\n\r"), "%q", e.Error())
		for _, cause := range []error{actor.ErrStop, actor.ErrShutdown, actor.ErrKilled, &actor.PanicError{}, nil} {
			require.Equal(t, reason.Error, actor.KindOf(&actor.LinkError{Tasklet: k, Cause: cause}))
		}
		other := sleeper(t0, "other")
		// A mistake of the user's code.
		none := actor.Go(t0, func(*actor.Tasklet) error { return (*actor.LinkError)(nil) })
		_ = none.Join(t0)
		linked(t, other, none)
		_ = other.Join(t0)
		require.Equal(t, reason.Error, func() reason.Kind { e, _ := other.Exit(); return e.Kind }())
	})
}

// A star of links: one failure ends everything around it, and nothing is left.
func TestLinkStar(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		hub := sleeper(t0, "hub")
		rays := make([]*actor.Tasklet, 2000)
		for i := range rays {
			rays[i] = actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
			linked(t, hub, rays[i])
		}
		rays[77].Kill()
		_, _ = actor.JoinEach(t0, rays...)
		for i, k := range rays {
			require.Zero(t, actor.Watchers(k))
			if i != 77 {
				endedByLink(t, k, rays[77])
			}
		}
		endedByLink(t, hub, rays[77])
	})
}

// linkGame has some tasklets that end in different ways, and players that link and unlink and kill
// them. In the end each failure must have come through a link that was not removed in time, and
// none may have been stopped by it that lives.
type linkGame struct {
	mu    sync.Mutex // for the game over schedulers
	links []*playedLink
}

type playedLink struct {
	a, b    *actor.Tasklet
	unlink  func() bool
	removed bool // in time
}

func (g *linkGame) play(t testing.TB, t0 *actor.Tasklet, rng func(n int) int, opts func(i int) []actor.Option) {
	all := make([]*actor.Tasklet, 6)
	for i := range all {
		end := rng(4)
		all[i] = actor.Go(t0, func(k *actor.Tasklet) error {
			k.Sleep(time.Duration(end) * time.Millisecond)
			switch end {
			case 0:
				return nil
			case 1:
				return errTest
			}
			k.Sleep(time.Hour)
			return nil
		}, opts(i)...)
	}
	players := make([]*actor.Tasklet, 4)
	for i := range players {
		moves := make([][3]int, 6)
		for m := range moves {
			moves[m] = [3]int{rng(8), rng(len(all)), rng(len(all) - 1)}
		}
		players[i] = actor.Go(t0, func(k *actor.Tasklet) error {
			for _, m := range moves {
				g.move(m[0], all[m[1]], all[(m[1]+1+m[2])%len(all)])
				k.Yield()
			}
			return nil
		}, opts(i)...)
	}
	_, _ = actor.JoinEach(t0, players...)
	t0.Sleep(time.Second)
	g.check(t, all)
	for _, k := range all {
		k.Kill()
	}
	_, _ = actor.JoinEach(t0, all...)
	for _, k := range all {
		assert.Zero(t, actor.Watchers(k))
	}
}

func (g *linkGame) move(kind int, a, b *actor.Tasklet) {
	switch kind {
	case 0:
		a.Kill()
	case 1, 2:
		g.mu.Lock()
		var l *playedLink
		if n := len(g.links); n > 0 {
			l = g.links[n-1]
		}
		g.mu.Unlock()
		if l == nil {
			return
		}
		if l.unlink() {
			g.mu.Lock()
			l.removed = true
			g.mu.Unlock()
		}
	default:
		unlink, err := actor.Link(a, b)
		if err != nil {
			panic(err)
		}
		g.mu.Lock()
		g.links = append(g.links, &playedLink{a: a, b: b, unlink: unlink})
		g.mu.Unlock()
	}
}

// check compares the ends with the links when all is quiet.
func (g *linkGame) check(t testing.TB, all []*actor.Tasklet) {
	failed := func(k *actor.Tasklet) bool { e, ok := k.Exit(); return ok && e.Kind.Failure() }
	entries := map[*actor.Tasklet]int{}
	killers := map[*actor.Tasklet][]*actor.Tasklet{}
	for _, l := range g.links {
		if l.removed {
			continue
		}
		assert.False(t, failed(l.a) && !l.b.HasFinished(), "%s lives although %s has failed", l.b, l.a)
		assert.False(t, failed(l.b) && !l.a.HasFinished(), "%s lives although %s has failed", l.a, l.b)
		killers[l.a] = append(killers[l.a], l.b)
		killers[l.b] = append(killers[l.b], l.a)
		if !l.a.HasFinished() && !l.b.HasFinished() {
			entries[l.a]++
			entries[l.b]++
		}
	}
	for _, k := range all {
		assert.Equal(t, entries[k], actor.Watchers(k), "entries of %s", k)
		exit, _ := k.Exit()
		e, byLink := exit.Err.(*actor.LinkError)
		if !byLink {
			continue
		}
		through := false
		for _, other := range killers[k] {
			by, _ := other.Exit()
			through = through || other == e.Tasklet && by.Err == e.Cause || by.Err == error(e)
		}
		assert.True(t, through, "%s has ended with %v, which came through no link", k, e)
		first, ok := e.Tasklet.Exit()
		assert.True(t, ok && first.Err == e.Cause)
	}
}

// Links, unlinks, kills and ends in every order, on one scheduler.
func TestExploreLinks(t *testing.T) {
	actortest.Explore(t, runs(500), func(t0 *actor.Tasklet) {
		r := t0.System().Rand()
		(&linkGame{}).play(actortest.TB(t0), t0, r.IntN, func(int) []actor.Option { return nil })
	})
}

// The same on three schedulers, where the order is that of the machine.
func TestLinksOverSchedulers(t *testing.T) {
	for seed := range uint64(runs(300)) {
		r := rand.New(rand.NewPCG(seed, 42))
		cfg := actor.Config{Schedulers: 3, Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{})}
		require.NoError(t, actor.Run(t.Context(), cfg, func(t0 *actor.Tasklet) error {
			(&linkGame{}).play(t, t0, r.IntN, func(i int) []actor.Option { return []actor.Option{actor.OnScheduler(i % 3)} })
			return nil
		}))
	}
}

// Goroutines that belong to no tasklet link and unlink while a side ends. One of them, or the end,
// decides about a link.
func TestLinkFromGoroutines(t *testing.T) {
	sys, err := actor.Start(actor.Config{Schedulers: 2, Logger: zap.NewNop()})
	require.NoError(t, err)
	hold := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
	for round := range 1000 {
		a := actor.Go(sys, hold, actor.OnScheduler(0))
		b := actor.Go(sys, hold, actor.OnScheduler(1))
		kept := round%2 == 0 // there is a link that nobody removes
		if kept {
			linked(t, a, b)
		}
		removed, all := atomic.Int64{}, sync.WaitGroup{}
		unlink := linked(t, b, a)
		for g := range 4 {
			all.Go(func() {
				if g == 0 && round%4 < 2 {
					a.Kill()
				}
				if unlink() {
					removed.Add(1)
				}
			})
		}
		all.Wait()
		a.Kill()
		require.ErrorIs(t, a.Join(context.Background()), actor.ErrKilled)
		require.LessOrEqual(t, removed.Load(), int64(1))
		if !kept && removed.Load() == 1 {
			mustLive(t, b)
			b.Kill()
			_ = b.Join(context.Background())
		} else {
			_ = b.Join(context.Background())
			endedByLink(t, b, a)
		}
		require.Zero(t, actor.Watchers(a))
		require.Zero(t, actor.Watchers(b))
	}
	require.NoError(t, sys.Stop(context.Background()))
}

// The two halves of a connection end together.
func ExampleLink() {
	simulate(func(t *actor.Tasklet) error {
		reader := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Minute); return errors.New("connection reset") }, actor.Name("reader"))
		writer := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("writer"))
		if _, err := actor.Link(reader, writer); err != nil {
			return err
		}
		fmt.Println(writer.Join(t))
		return nil
	})
	// Output: /tasklet/writer: linked to /tasklet/reader: connection reset
}
