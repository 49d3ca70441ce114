package registry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
)

func group[M any](t testing.TB, r *registry.Registry, name string) *registry.Group[M] {
	t.Helper()
	g, err := registry.NewGroup[M](r, name)
	require.NoError(t, err)
	return g
}

// crowd lets n tasklets join g.
func crowd(t testing.TB, p actor.Spawner, g *registry.Group[int], n int) []actor.Ref[int] {
	t.Helper()
	refs := make([]actor.Ref[int], n)
	for i := range refs {
		refs[i] = idle(p)
		require.NoError(t, g.Join(refs[i]))
	}
	return refs
}

// Join, leave, members in order of joining.
func TestMembers(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		require.Equal(t, "g", g.Name())
		require.Same(t, g, group[int](t, r, "g"))
		require.NotSame(t, g, group[int](t, r, "h"))
		require.Empty(t, g.Members())
		m := crowd(t, t0, g, 4)
		require.Equal(t, m, g.Members())
		require.NoError(t, g.Join(m[0]))
		require.Equal(t, m, g.Members(), "joining again changes nothing")
		g.Leave(m[1])
		g.Leave(m[1])
		g.Leave(idle(t0))
		require.Equal(t, []actor.Ref[int]{m[0], m[2], m[3]}, g.Members())
		require.NoError(t, g.Join(m[1]))
		m[2].Close()
		require.NoError(t, m[2].Join(t0))
		require.Equal(t, []actor.Ref[int]{m[0], m[3], m[1]}, g.Members())
	})
}

// Groups have a type, and names of their own.
func TestGroupOfAnotherType(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		_, err := registry.NewGroup[string](r, "g")
		var wrong *registry.TypeError
		require.ErrorAs(t, err, &wrong)
		require.EqualError(t, err, `registry: "g" takes messages of type int, not string`)
		ref := actor.Receiver(t0, ignore[string])
		require.NoError(t, registry.Register(r, "g", ref))
		require.NoError(t, g.Join(idle(t0)))
		_, err = registry.Lookup[int](r, "g")
		require.EqualError(t, err, `registry: "g" takes messages of type string, not int`)
	})
}

func TestNobody(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		choose := func() (errs []error) {
			_, err1 := g.Next()
			_, err2 := g.LeastLoaded()
			_, err3 := g.ForKey("k")
			return []error{err1, err2, err3}
		}
		for _, err := range choose() {
			require.ErrorIs(t, err, registry.ErrNoMembers)
			require.EqualError(t, err, `registry: group has no members: "g"`)
		}
		sent, err := g.Broadcast(t0, 1)
		require.Zero(t, sent)
		require.NoError(t, err)
		for _, ref := range crowd(t, t0, g, 3) {
			ref.Close() // they are members until they have finished, but nobody to choose
		}
		require.Len(t, g.Members(), 3)
		for _, err := range choose() {
			require.ErrorIs(t, err, registry.ErrNoMembers)
		}
	})
}

// failures gives the members that a broadcast did not reach, with their errors.
func failures(err error) map[actor.Ref[int]]error {
	all := map[actor.Ref[int]]error{}
	if err != nil {
		for _, e := range err.(interface{ Unwrap() []error }).Unwrap() {
			var s *registry.SendError[int]
			if errors.As(e, &s) {
				all[s.Ref] = s.Err
			}
		}
	}
	return all
}

// The account of a broadcast says of each member whether it got the message, and why not.
func TestBroadcast(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
		r := registry.Of(t0.System())
		g := group[int](t, r, "g")
		got := map[string]int{}
		busy := true
		worker := func(name string, opts ...actor.Option) actor.Ref[int] {
			ref := actor.Spawn(t0, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
				for busy {
					t.Sleep(time.Second)
				}
				for range box.Receive() {
					got[name]++
				}
				return nil
			}, append(opts, actor.Name(name))...)
			require.NoError(t, g.Join(ref))
			return ref
		}
		one := actor.MailboxLen(1)
		worker("room")
		fail := worker("fail", one, actor.Overflow(mailbox.Fail))
		block := worker("block", one)
		newest := worker("newest", one, actor.Overflow(mailbox.DropNewest))
		oldest := worker("oldest", one, actor.Overflow(mailbox.DropOldest))
		worker("unbounded", actor.Overflow(mailbox.Unbounded))
		closed := worker("closed")
		closed.Close()
		for _, ref := range []actor.Ref[int]{fail, block, newest, oldest} {
			require.NoError(t, ref.Send(t0, 0))
		}
		start := t0.System().Now()
		ctx, cancel := actor.WithTimeout(t0, time.Minute)
		defer cancel()
		sent, err := g.Broadcast(ctx, 1)
		require.Equal(t, time.Minute, t0.System().Now().Sub(start))
		require.Equal(t, 4, sent)
		require.Equal(t, map[actor.Ref[int]]error{
			fail: mailbox.ErrFull, block: actor.ErrTimeout, closed: mailbox.ErrClosed,
		}, failures(err))
		require.EqualError(t, err, "registry: send to /sys/fail: "+mailbox.ErrFull.Error()+
			"\nregistry: send to /sys/block: "+actor.ErrTimeout.Error()+
			"\nregistry: send to /sys/closed: "+mailbox.ErrClosed.Error())
		require.ErrorIs(t, err, mailbox.ErrFull)
		busy = false
		t0.Sleep(time.Minute)
		require.Equal(t, map[string]int{"room": 1, "fail": 1, "block": 1, "newest": 1, "oldest": 1, "unbounded": 1}, got)
		require.Len(t, j.of(event.DeadLetter), 2, "what two of them dropped")
		require.NotContains(t, g.Members(), closed)
		sent, err = g.Broadcast(ctx, 1) // the time is over, but there is room
		require.Equal(t, 6, sent)
		require.NoError(t, err)
		return nil
	}))
}

// A member that joins during a broadcast does not get the message, one that leaves still does, one
// that ends is in the account.
func TestMembershipDuringBroadcast(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		first := actor.Spawn(t0, func(t *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			t.Sleep(time.Minute)
			for range box.Receive() {
			}
			return nil
		}, actor.MailboxLen(1))
		require.NoError(t, g.Join(first))
		require.NoError(t, first.Send(t0, 0))
		var got []string
		member := func(name string) actor.Ref[int] {
			return actor.Receiver(t0, func(_ *actor.Tasklet, n int) error { got = append(got, name); return nil })
		}
		leaves, ends, stays, joins := member("leaves"), member("ends"), member("stays"), member("joins")
		for _, ref := range []actor.Ref[int]{leaves, ends, stays} {
			require.NoError(t, g.Join(ref))
		}
		actor.Later(t0, time.Second, func(k *actor.Tasklet) error {
			g.Leave(leaves)
			ends.Kill()
			require.ErrorIs(t, ends.Join(k), actor.ErrKilled)
			require.Len(t, g.Members(), 2, "what the broadcast goes over is not changed by that")
			return g.Join(joins)
		})
		sent, err := g.Broadcast(t0, 1)
		require.Equal(t, 3, sent)
		require.Equal(t, map[actor.Ref[int]]error{ends: mailbox.ErrClosed}, failures(err))
		t0.Sleep(time.Second)
		require.Equal(t, []string{"leaves", "stays"}, got)
		require.Equal(t, []actor.Ref[int]{first, stays, joins}, g.Members())
	})
}

// Rule 29: a member that broadcasts to its own full mailbox does not wait for itself for ever; the
// others get the message.
func TestBroadcastToOneself(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		ref := actor.Spawn(t0, func(k *actor.Tasklet, box *mailbox.Mailbox[int]) error {
			sent, err := g.Broadcast(k, 1)
			require.Equal(t, 1, sent)
			var deadlock *actor.DeadlockError
			require.ErrorAs(t, err, &deadlock)
			return nil
		}, actor.MailboxLen(1))
		require.NoError(t, g.Join(ref))
		crowd(t, t0, g, 1)
		require.NoError(t, ref.Send(t0, 1))
		require.NoError(t, ref.Join(t0))
	})
}

// Next: in turn, and in no other order; the ones that are closed are passed over without giving
// their turn to a neighbour.
func TestNext(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		m := crowd(t, t0, g, 5)
		take := func(n int) (order []int) {
			for range n {
				ref, err := g.Next()
				require.NoError(t, err)
				order = append(order, slices.Index(m, ref))
			}
			return order
		}
		require.Equal(t, []int{0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1}, take(12))
		g.Leave(m[0])
		require.Equal(t, []int{2, 3}, take(2), "the turn stays where it is")
		g.Leave(m[4]) // whose turn it is
		require.Equal(t, []int{1, 2}, take(2))
		m = append(m, idle(t0))
		require.NoError(t, g.Join(m[5]))
		require.Equal(t, []int{3, 5, 1, 2, 3, 5}, take(6), "who joins comes last in the round")
		m[2].Close()
		require.Equal(t, []int{1, 3, 5, 1, 3, 5}, take(6))
		require.NoError(t, m[2].Join(t0))
		require.Equal(t, []int{1, 3, 5, 1, 3, 5}, take(6))
	})
}

// Next under changes: while others come and go after every choice, those who stay are chosen
// equally often.
func TestNextIsFairWhileMembersComeAndGo(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		for seed := range uint64(50) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			g := group[int](t, r, fmt.Sprint(seed))
			stay := crowd(t, t0, g, 1+rnd.IntN(5))
			var guests []actor.Ref[int]
			count := map[actor.Ref[int]]int{}
			for range 500 {
				switch rnd.IntN(3) {
				case 0:
					guests = append(guests, crowd(t, t0, g, 1)...)
				case 1:
					if n := len(guests); n > 0 {
						i := rnd.IntN(n)
						g.Leave(guests[i])
						guests = slices.Delete(guests, i, i+1)
					}
				}
				ref, err := g.Next()
				require.NoError(t, err)
				count[ref]++
			}
			least, most := 500, 0
			for _, ref := range stay {
				least, most = min(least, count[ref]), max(most, count[ref])
			}
			require.LessOrEqual(t, most-least, 1, "seed %d: %v", seed, count)
		}
	})
}

// Next from many goroutines: as long as nobody comes or goes, everybody is chosen equally often to
// the last one.
func TestNextIsFairFromManyGoroutines(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		g := group[int](t, r, "g")
		refs := crowd(t, s, g, 7)
		var mu sync.Mutex
		count := map[actor.Ref[int]]int{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				mine := map[actor.Ref[int]]int{}
				for range 700 {
					ref, err := g.Next()
					if err != nil {
						t.Error(err)
						return
					}
					mine[ref]++
				}
				mu.Lock()
				defer mu.Unlock()
				for ref, n := range mine {
					count[ref] += n
				}
			})
		}
		wg.Wait()
		for _, ref := range refs {
			require.Equal(t, 800, count[ref])
		}
	})
}

// LeastLoaded: the shortest mailbox, equals in turn, and none that is closed, though nothing is
// queued there.
func TestLeastLoaded(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		var m []actor.Ref[int]
		for i := range 4 {
			m = append(m, actor.NewRef[int](actor.Name(fmt.Sprint(i)))) // nobody reads them
			require.NoError(t, g.Join(m[i]))
		}
		var order []int
		for range 8 {
			ref, err := g.LeastLoaded()
			require.NoError(t, err)
			order = append(order, slices.Index(m, ref))
			require.NoError(t, ref.Send(t0, 1))
		}
		require.Equal(t, []int{0, 1, 2, 3, 0, 1, 2, 3}, order)
		require.NoError(t, m[0].Send(t0, 1))
		empty := idle(t0)
		require.NoError(t, g.Join(empty))
		ref, err := g.LeastLoaded()
		require.NoError(t, err)
		require.Equal(t, empty, ref)
		empty.Close()
		ref, err = g.LeastLoaded()
		require.NoError(t, err)
		require.Equal(t, m[1], ref)
	})
}

// LeastLoaded: what a member has in hand counts, and what waits in line before a full mailbox, so
// that work is spread evenly: as one sees it who always sends to the member that has the least to
// do.
func TestLeastLoadedSpreads(t *testing.T) {
	handlers := map[string]func(g *registry.Group[int], t *actor.Tasklet, i int, n []int) actor.Ref[int]{
		"receivers": func(_ *registry.Group[int], t *actor.Tasklet, i int, n []int) actor.Ref[int] {
			return actor.Receiver(t, func(t *actor.Tasklet, _ int) error { n[i]++; t.Sleep(time.Second); return nil }, actor.MailboxLen(4))
		},
		"batches": func(_ *registry.Group[int], t *actor.Tasklet, i int, n []int) actor.Ref[int] {
			return actor.BatchReceiver(t, 3, 0, func(t *actor.Tasklet, m []int) error { n[i] += len(m); t.Sleep(time.Second); return nil }, actor.MailboxLen(4))
		},
		"readers": func(_ *registry.Group[int], t *actor.Tasklet, i int, n []int) actor.Ref[int] {
			return actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
				for range in.Receive() {
					n[i]++
					t.Sleep(time.Second)
				}
				return nil
			}, actor.MailboxLen(4))
		},
	}
	for name, member := range handlers {
		for _, pause := range []time.Duration{0, 10 * time.Millisecond} {
			t.Run(fmt.Sprint(name, " ", pause), func(t *testing.T) {
				virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
					g := group[int](t, r, "g")
					n := make([]int, 4)
					for i := range n {
						require.NoError(t, g.Join(member(g, t0, i, n)))
					}
					for range 100 {
						actor.Go(t0, func(t *actor.Tasklet) error {
							ref, err := g.LeastLoaded()
							if err != nil {
								return err
							}
							return ref.Send(t, 1)
						})
						if pause > 0 {
							t0.Sleep(pause)
						}
					}
					t0.Sleep(time.Hour)
					require.Equal(t, []int{25, 25, 25, 25}, n)
					for _, m := range g.Members() {
						require.Zero(t, m.Load())
					}
				})
			})
		}
	}
}

// LeastLoaded: the one with a message less is chosen each time, wherever the others have theirs: in
// hand, or in line before mailboxes that are equally full.
func TestLeastLoadedSeesAll(t *testing.T) {
	for _, each := range []int{1, 2, 3} { // in hand; and one queued; and one in line
		virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
			g := group[int](t, r, "g")
			for i := range 4 {
				ref := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil }, actor.MailboxLen(1))
				require.NoError(t, g.Join(ref))
				n := each
				if i == 2 {
					n--
				}
				for range n {
					actor.Go(t0, func(t *actor.Tasklet) error { return ref.Send(t, 1) })
				}
			}
			t0.Sleep(time.Second)
			for range 8 {
				ref, err := g.LeastLoaded()
				require.NoError(t, err)
				require.Equal(t, g.Members()[2], ref, each)
				require.Equal(t, each-1, ref.Load())
			}
		})
	}
}

// LeastLoaded: few jobs go to those who are idle, in turn; nobody gets a second one while another
// is idle.
func TestLeastLoadedGivesTheIdle(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		var took []int
		for i := range 4 {
			require.NoError(t, g.Join(actor.Receiver(t0, func(t *actor.Tasklet, _ int) error {
				took = append(took, i)
				t.Sleep(time.Second)
				return nil
			})))
		}
		for range 3 { // one job each, and one after the other
			for range 4 {
				ref, err := g.LeastLoaded()
				require.NoError(t, err)
				require.NoError(t, ref.Send(t0, 1))
				t0.Sleep(10 * time.Millisecond)
			}
			t0.Sleep(time.Minute)
		}
		require.Equal(t, []int{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3}, took)
	})
}

// keys is how many are looked at.
var keys = fewer(10_000)

// fewer is n, or a fifth of it under the race detector, which takes ten times as long.
func fewer(n int) int {
	if raceEnabled {
		return n / 5
	}
	return n
}

// owners is who has each key.
func owners(t testing.TB, g *registry.Group[int]) []actor.Ref[int] {
	all := make([]actor.Ref[int], keys)
	for i := range all {
		ref, err := g.ForKey("key" + strconv.Itoa(i))
		require.NoError(t, err)
		all[i] = ref
	}
	return all
}

func counts(of []actor.Ref[int]) map[actor.Ref[int]]int {
	n := map[actor.Ref[int]]int{}
	for _, ref := range of {
		n[ref]++
	}
	return n
}

// ForKey: keys are shared equally; when a member leaves, only its keys move, to all others alike;
// when one joins, it takes an equal share, and no key moves between others. Over many random
// changes.
func TestForKey(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		for seed := range uint64(5) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			g := group[int](t, r, fmt.Sprint(seed))
			m := crowd(t, t0, g, 2+rnd.IntN(10))
			before := owners(t, g)
			equal := func(n, total, of int) {
				t.Helper()
				want := float64(total) / float64(of)
				// Five times the standard deviation of a binomial distribution: one of three
				// millions is farther off.
				require.InDelta(t, want, n, 5*math.Sqrt(want)+1, "seed %d", seed)
			}
			for range 12 {
				if rnd.IntN(2) == 0 && len(m) > 1 {
					i := rnd.IntN(len(m))
					gone := m[i]
					if rnd.IntN(2) == 0 {
						g.Leave(gone)
					} else {
						gone.Kill()
						require.ErrorIs(t, gone.Join(t0), actor.ErrKilled)
					}
					m = slices.Delete(m, i, i+1)
					after := owners(t, g)
					moved := map[actor.Ref[int]]int{}
					for k := range keys {
						if before[k] == gone {
							moved[after[k]]++
						} else {
							require.True(t, before[k] == after[k], "a key of one that stays has moved")
						}
					}
					for _, ref := range m {
						equal(moved[ref], counts(before)[gone], len(m))
					}
					before = after
				} else {
					came := idle(t0)
					require.NoError(t, g.Join(came))
					m = append(m, came)
					after := owners(t, g)
					for k := range keys {
						if before[k] != after[k] {
							require.True(t, came == after[k], "a key has moved between old members")
						}
					}
					before = after
				}
				all := counts(before)
				for _, ref := range m {
					equal(all[ref], keys, len(m))
				}
			}
		}
	})
}

// ForKey is the same in two runs, and in two processes: who joined as which decides, and nothing
// else.
func TestForKeyIsTheSameEverywhere(t *testing.T) {
	var runs [2][]int
	for i := range runs {
		virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
			g := group[int](t, r, fmt.Sprint("g", i))
			m := crowd(t, t0, g, 7)
			g.Leave(m[3])
			for _, ref := range owners(t, g) {
				runs[i] = append(runs[i], slices.Index(m, ref))
			}
		})
	}
	require.Equal(t, runs[0], runs[1])
	require.Equal(t, []int{4, 2, 0, 2, 4, 2, 5, 6, 5, 4}, runs[0][:10], "a change moves the keys of all who use it")
}

// A closed member's keys go to others as if it had left; when it is open again it has them back.
func TestForKeyPassesOverTheClosed(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		g := group[int](t, r, "g")
		m := crowd(t, t0, g, 4)
		m[1].Close()
		closed := owners(t, g)
		require.NoError(t, m[1].Join(t0))
		require.True(t, slices.Equal(closed, owners(t, g)))
		require.Zero(t, counts(closed)[m[1]])
	})
}

// Ten thousand members that come and go, one by one, the first, the last or any first; ten thousand
// groups; one ref in ten thousand groups: each step costs the same. The bound is generous; a square
// of ten thousand would break it.
func TestManyMembers(t *testing.T) {
	n := fewer(10_000)
	bound := 3 * time.Second
	if raceEnabled {
		bound *= 10
	}
	measure := func(what string, f func()) {
		start := time.Now()
		f()
		d := time.Since(start)
		t.Logf("%-44s %v", what, d)
		require.Less(t, d, bound, what)
	}
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		refs := make([]actor.Ref[int], n)
		for i := range refs {
			refs[i] = idle(t0)
		}
		g := group[int](t, r, "g")
		join := func() {
			for _, ref := range refs {
				if err := g.Join(ref); err != nil {
					panic(err)
				}
			}
		}
		leave := func(order []actor.Ref[int]) func() {
			return func() {
				for _, ref := range order {
					g.Leave(ref)
				}
			}
		}
		measure("join", join)
		measure("leave, first first", leave(refs))
		join()
		last := slices.Clone(refs)
		slices.Reverse(last)
		measure("leave, last first", leave(last))
		join()
		rnd := rand.New(rand.NewPCG(1, 1))
		rnd.Shuffle(n, func(i, j int) { last[i], last[j] = last[j], last[i] })
		measure("leave, any", leave(last))
		require.Empty(t, g.Members())
		require.Zero(t, g.Kept())
		measure("join and Next", func() {
			for _, ref := range refs {
				_ = g.Join(ref)
				_, _ = g.Next()
			}
		})
		measure("join as many groups, one each", func() {
			for i, ref := range refs {
				_ = group[int](t, r, fmt.Sprint(i)).Join(ref)
			}
		})
		measure("one ref joins all groups", func() {
			for i := range n {
				_ = group[int](t, r, fmt.Sprint(i)).Join(refs[0])
			}
		})
		measure("one ref gets as many names", func() {
			for i := range n {
				_ = registry.Register(r, fmt.Sprint(i), refs[0])
			}
		})
		measure("end of the one", func() {
			refs[0].Kill()
			_ = refs[0].Join(t0)
		})
		require.Empty(t, r.Names())
		measure("end of all", func() {
			for _, ref := range refs {
				ref.Kill()
			}
			t0.Sleep(time.Second)
		})
		require.Empty(t, g.Members())
		require.Zero(t, r.Holders())
	})
}
