package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
)

// lifeText is a notice as a line of text, in which incarnations have the number that ids gives
// them.
func lifeText(ids map[*actor.Tasklet]int, n actor.Life) string {
	switch {
	case n.Over:
		return fmt.Sprint("over ", n.Exit.Kind)
	case n.Ended:
		return fmt.Sprint("end ", ids[n.Tasklet], " ", n.Exit.Kind)
	}
	return fmt.Sprint("start ", ids[n.Tasklet])
}

// crashing is a body that ends in the way that a message says. A negative one is a failing init.
func crashing(ref actor.Ref[int], init func(t *actor.Tasklet) error) actor.Body {
	return actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
		if err := init(t); err != nil {
			return nil, err
		}
		t.Defer(func() { t.Sleep(time.Millisecond) })
		return func(t *actor.Tasklet, n int) error {
			return [...]error{nil, errBoom, actor.ErrStop, actor.ErrShutdown}[n]
		}, nil
	})
}

func initWell(*actor.Tasklet) error { return nil }

// Rule 41: the notices are those of the obvious model, which writes down each start and each end,
// over random ends, on one scheduler and on several.
func TestRule41WatchLineage(t *testing.T) {
	for _, n := range []int{1, 3} {
		across(t, n, func(t *testing.T, t0 *actor.Tasklet) {
			for seed := range uint64(20) {
				r := rand.New(rand.NewPCG(seed, uint64(n)))
				var got []actor.Life
				box := collect(t0, &got, actor.OnScheduler(int(seed)%n))
				ref := actor.NewRef[int](actor.Name(fmt.Sprint("r", seed)))
				var initFails error
				var k *actor.Tasklet
				slot, err := actor.NewSlot(t0, crashing(ref, func(t *actor.Tasklet) error { k = t; return initFails }), nil,
					actor.OnScheduler((int(seed)/2)%n))
				require.NoError(t, err)
				ids := make(map[*actor.Tasklet]int)
				var want []string
				watchAt := r.IntN(3)
				last := reason.Normal
				for i := range 12 {
					if i == watchAt {
						want = nil
						actor.WatchLineage(t0, ref, box, func(n actor.Life) actor.Life { return n })
					}
					how := r.IntN(6)
					initFails = nil
					if how == 5 {
						initFails = errBoom
					}
					_, err := slot.Start(t0)
					require.ErrorIs(t, err, initFails)
					if r.IntN(2) == 0 {
						t0.Sleep(time.Millisecond)
					}
					switch how {
					case 0:
						k.Kill()
					case 1, 2, 3:
						require.NoError(t, ref.Send(t0, how))
					case 4:
						ref.Close()
					}
					_ = k.Join(t0)
					exit, _ := k.Exit()
					last = exit.Kind
					ids[k] = i
					want = append(want, fmt.Sprint("start ", i), fmt.Sprint("end ", i, " ", last))
					t0.Sleep(time.Millisecond) // the slot may hear of it later
				}
				slot.Retire()
				want = append(want, fmt.Sprint("over ", last))
				t0.Sleep(time.Second)
				require.NoError(t, drain(t0, box))
				var text []string
				for _, n := range got {
					require.Zero(t, n.Missed)
					text = append(text, lifeText(ids, n))
				}
				require.Equal(t, want, text)
			}
		})
	}
}

// A watcher that is slow misses the oldest notices that wait, knows how many, and hears of the end.
func TestWatchLineageSlowWatcher(t *testing.T) {
	for _, n := range []int{1, 3} {
		across(t, n, func(t *testing.T, t0 *actor.Tasklet) {
			for _, lives := range []int{0, 1, 8, 9, 100} {
				var got []actor.Life
				box := actor.Receiver(t0, func(t *actor.Tasklet, n actor.Life) error {
					if len(got) == 0 {
						t.Sleep(time.Hour)
					}
					got = append(got, n)
					return nil
				}, actor.MailboxLen(1), actor.OnScheduler(n-1))
				ref := actor.NewRef[int]()
				slot, start := starter(t, t0, crashing(ref, initWell), nil, actor.OnScheduler(n/2))
				actor.WatchLineage(t0, ref, box, func(n actor.Life) actor.Life { return n })
				var order []*actor.Tasklet
				for range lives {
					k := start()
					order = append(order, k, k)
					require.NoError(t, k.Started(t0))
					k.Kill()
					_ = k.Join(t0)
					t0.Sleep(time.Millisecond)
				}
				slot.Retire()
				t0.Sleep(2 * time.Hour)
				require.NoError(t, drain(t0, box))
				at := 0
				for _, n := range got {
					at += n.Missed
					if n.Over {
						require.Equal(t, 2*lives, at)
						at++
						continue
					}
					require.Same(t, order[at], n.Tasklet)
					require.Equal(t, at%2 == 1, n.Ended)
					at++
				}
				require.Equal(t, 2*lives+1, at, "each notice was sent or counted")
				require.LessOrEqual(t, len(got), 19)
				require.True(t, got[len(got)-1].Over)
			}
		})
	}
}

// The notice of the end comes before the last one for a ref without a supervisor too, in each order
// of the tasklets, also if the watch begins in the middle or after the end, and nobody is missed.
func TestWatchLineageOfUnsupervised(t *testing.T) {
	actortest.Explore(t, runs(200), func(t0 *actor.Tasklet) {
		tb := actortest.TB(t0)
		ref := actor.NewRef[int]()
		var got []string
		box := collect(t0, &got)
		watch := func(name string) {
			actor.Go(t0, func(t *actor.Tasklet) error {
				actor.WatchLineage(t, ref, box, func(n actor.Life) string { return name + " " + lifeText(nil, n) })
				t.Sleep(time.Hour)
				return nil
			})
		}
		watch("a")
		k := actor.StartTasklet(t0, crashing(ref, initWell), actor.OnFailure(actor.End))
		watch("b")
		actor.Go(t0, func(t *actor.Tasklet) error { k.Kill(); return nil })
		_ = k.Join(t0)
		watch("late")
		t0.Sleep(time.Second)
		byName := map[byte][]string{}
		for _, s := range got {
			byName[s[0]] = append(byName[s[0]], s)
		}
		all := func(name string) []string {
			return []string{name + " start 0", name + " end 0 killed", name + " over killed"}
		}
		for _, name := range []string{"a", "b"} {
			if got := byName[name[0]]; len(got) != 1 {
				require.Equal(tb, all(name), got)
			} else {
				require.Equal(tb, []string{name + " over killed"}, got) // it began after the end
			}
		}
		require.Equal(tb, []string{"late over killed"}, byName['l'])
	})
}

// An incarnation that was left behind counts as killed, at the next start or with the lineage.
func TestWatchLineageOfLeaked(t *testing.T) {
	for _, again := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			var got []string
			_ = actor.Run(t.Context(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
				box := collect(t0, &got)
				ref := actor.NewRef[int](actor.Name("r"))
				stuck := true
				slot, start := starter(t, t0, actor.SpawnBody(ref, func(t *actor.Tasklet, _ *mailbox.Mailbox[int]) error {
					if stuck {
						_, _ = actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
					}
					return nil
				}), nil)
				actor.WatchLineage(t0, ref, box, func(n actor.Life) string { return lifeText(nil, n) })
				start()
				t0.Sleep(time.Millisecond)
				_ = slot.Stop(t0) // it is left behind
				stuck = false
				t0.Sleep(time.Millisecond)
				require.Equal(t, []string{"start 0"}, got)
				if again {
					start()
					t0.Sleep(time.Millisecond)
					require.Equal(t, []string{"start 0", "end 0 killed", "start 0", "end 0 normal"}, got)
				}
				got = nil
				actor.WatchLineage(t0, ref, box, func(n actor.Life) string { return "late " + lifeText(nil, n) })
				close(release) // the end of the one that was left behind is no news
				t0.Sleep(time.Millisecond)
				slot.Retire()
				t0.Sleep(time.Millisecond)
				return drain(t0, box)
			})
			if again {
				require.Equal(t, []string{"over normal", "late over normal"}, got)
			} else {
				require.Equal(t, []string{"end 0 killed", "over killed", "late over killed"}, got)
			}
		})
	}
}

// Cancel ends the notices, and says whether the last one was not sent; so does the end of the
// watcher. Nothing stays behind.
func TestWatchLineageCancel(t *testing.T) {
	across(t, 2, func(t *testing.T, t0 *actor.Tasklet) {
		var got []string
		box := collect(t0, &got)
		ref := actor.NewRef[int]()
		slot, start := starter(t, t0, crashing(ref, initWell), nil, actor.OnScheduler(1))
		text := func(n actor.Life) string { return lifeText(nil, n) }
		owned := actor.Owned(t0)
		cancel := actor.WatchLineage(t0, ref, box, text)
		full := actor.NewRef[string](actor.MailboxLen(1))
		stands := actor.WatchLineage(t0, ref, full, text)
		kept := actor.WatchLineage(t0, ref, actor.NewRef[string](), text)
		w := actor.Go(t0, func(t *actor.Tasklet) error { actor.WatchLineage(t, ref, box, text); return nil })
		require.NoError(t, w.Join(t0))
		k := start()
		t0.Sleep(time.Second)
		require.Equal(t, []string{"start 0"}, got)
		require.True(t, cancel())
		require.False(t, cancel())
		k.Kill()
		_ = k.Join(t0)
		t0.Sleep(time.Second)
		slot.Retire()
		t0.Sleep(time.Second)
		require.Equal(t, []string{"start 0"}, got)
		require.True(t, stands(), "the last notice stands in line or is pending")
		require.False(t, kept(), "the last notice was sent")
		require.False(t, kept())
		require.Equal(t, owned, actor.Owned(t0))
	})
}

// Misuse is named, and a function that panics is a failure of its tasklet.
func TestWatchLineageMisuse(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref, box := actor.NewRef[int](), actor.NewRef[string]()
		require.Equal(t, "actor: WatchLineage with a nil function", recovering(func() { actor.WatchLineage[int, string](t0, ref, box, nil) }))
		require.Contains(t, recovering(func() { actor.WatchLineage(t0, actor.Ref[int]{}, box, func(actor.Life) string { return "" }) }), "zero Ref")
		var got []string
		panics := true
		actor.WatchLineage(t0, ref, collect(t0, &got), func(n actor.Life) string {
			if panics {
				panics = false
				panic("user code")
			}
			return lifeText(nil, n)
		})
		k := actor.StartTasklet(t0, crashing(ref, initWell))
		k.Kill()
		_ = k.Join(t0)
		t0.Sleep(time.Second)
		require.Equal(t, []string{"end 0 killed", "over killed"}, got)
		return nil
	})
}

func ExampleWatchLineage() {
	_ = actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		log := actor.Receiver(t, func(_ *actor.Tasklet, line string) error { fmt.Println(line); return nil })
		jobs := actor.NewRef[string](actor.Name("jobs"))
		actor.WatchLineage(t, jobs, log, func(n actor.Life) string {
			switch {
			case n.Over:
				return "jobs is dead"
			case n.Ended:
				return fmt.Sprint("ended: ", n.Exit.Err)
			}
			return "started"
		})
		k := actor.StartTasklet(t, actor.ReceiverBody(jobs, func(*actor.Tasklet, string) error { return errors.New("no paper") }),
			actor.OnFailure(actor.End))
		_ = jobs.Send(t, "print")
		_ = k.Join(t)
		log.Close()
		return log.Join(t)
	})
	// Output:
	// started
	// ended: no paper
	// jobs is dead
}
