package actor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// startChild starts a tasklet and waits until it has started.
func startChild(ctx context.Context, p actor.Spawner, b actor.Body, opts ...actor.Option) (*actor.Tasklet, error) {
	k := actor.StartTasklet(p, b, opts...)
	return k, k.Started(ctx)
}

// starter makes a slot, and gives a function that starts a tasklet in it.
func starter(t testing.TB, p *actor.Tasklet, b actor.Body, onEnd func(actor.Exit), opts ...actor.Option) (*actor.Slot, func() *actor.Tasklet) {
	t.Helper()
	s, err := actor.NewSlot(p, b, onEnd, opts...)
	require.NoError(t, err)
	return s, func() *actor.Tasklet {
		k, err := s.Start(p)
		require.NoError(t, err)
		return k
	}
}

// slotOf makes a slot that must be possible.
func slotOf(t *testing.T, p *actor.Tasklet, b actor.Body, opts ...actor.Option) *actor.Slot {
	t.Helper()
	s, err := actor.NewSlot(p, b, nil, opts...)
	require.NoError(t, err)
	return s
}

// places shows the places among the children of t: a slot in brackets, "-" if it is empty.
func places(t *actor.Tasklet) string {
	var words []string
	for slot, child := range t.Places() {
		switch {
		case child == nil:
			words = append(words, "["+slot.Info().Name+" -]")
		case slot == nil:
			words = append(words, child.Name())
		default:
			words = append(words, "["+child.Name()+"]")
		}
	}
	return strings.Join(words, " ")
}

// Rule 31: a slot keeps its place among the children, with or without a tasklet, whatever is
// started and ends around it; and so its turn when the parent stops its children.
func TestSlotKeepsItsPlace(t *testing.T) {
	for _, schedulers := range []int{1, 2} {
		t.Run(fmt.Sprint(schedulers), func(t *testing.T) {
			var j journal
			cfg := j.config()
			cfg.Schedulers = schedulers
			require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				p := actor.Go(t0, func(p *actor.Tasklet) error {
					slots := map[string]*actor.Slot{}
					for i, name := range []string{"a", "b", "c"} {
						slots[name] = slotOf(t, p, actor.GoBody(forever), actor.Name(name), actor.OnScheduler(i%schedulers))
						actor.Go(p, forever, actor.Name(name+"'"))
					}
					require.Equal(t, "[a -] a' [b -] b' [c -] c'", places(p))
					require.Equal(t, "a' b' c'", names(p.Children()))
					for _, name := range []string{"c", "b", "a"} {
						k, err := slots[name].Start(p)
						require.NoError(t, err)
						require.Same(t, k, slots[name].Tasklet())
					}
					require.Equal(t, "[a] a' [b] b' [c] c'", places(p))
					require.Equal(t, "a a' b b' c c'", names(p.Children()))

					k := slots["b"].Tasklet()
					k.Kill()
					require.ErrorIs(t, k.Join(p), actor.ErrKilled)
					require.Nil(t, slots["b"].Tasklet())
					require.Equal(t, "[a] a' [b -] b' [c] c'", places(p))
					require.NoError(t, slots["a"].Stop(p))
					require.Equal(t, "[a -] a' [b -] b' [c] c'", places(p))
					if schedulers == 1 {
						require.NoError(t, p.System().Check())
					}
					_, err := slots["b"].Start(p)
					require.NoError(t, err)
					slots["c"].Stop(p)
					slots["c"].Retire()
					slots["c"].Retire()
					require.Equal(t, "[a -] a' [b] b' c'", places(p))
					require.NoError(t, slots["a"].Stop(p), "it is empty")
					_, err = slots["a"].Start(p)
					require.NoError(t, err)
					require.NoError(t, slots["a"].Stop(p))
					return nil
				}, actor.Name("p"))
				require.NoError(t, p.Join(t0))
				require.Empty(t, places(p), "nothing is left of a slot")
				return nil
			}))
			var ends []string
			for _, e := range j.of(event.Exit, "") {
				if _, name, ok := strings.Cut(e.Path, "/p/"); ok {
					ends = append(ends, name)
				}
			}
			require.Equal(t, "b a c a c' b' b a'", strings.Join(ends, " "))
		})
	}
}

func names(ts []*actor.Tasklet) string {
	var words []string
	for _, t := range ts {
		words = append(words, t.Name())
	}
	return strings.Join(words, " ")
}

// What is wrong with a specification is an error, and nothing was made.
func TestNewSlotErrors(t *testing.T) {
	handle := func(*actor.Tasklet, int) error { return nil }
	foreign := actor.NewRef[int]()
	other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { _ = other.Stop(context.Background()) }()
	require.NoError(t, actor.Go(other, func(t *actor.Tasklet) error { return foreign.Send(t, 1) }).Join(context.Background()))
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Schedulers: 2}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		dead := actor.NewRef[int]()
		slotOf(t, t0, actor.ReceiverBody(dead, handle)).Retire()
		read := actor.Receiver(t0, handle, actor.Name("reader"))
		taken := actor.NewRef[int]()
		slotOf(t, t0, actor.ReceiverBody(taken, handle), actor.Name("owner"))
		at1 := actor.NewRef[int]()
		s := slotOf(t, t0, actor.ReceiverBody(at1, handle), actor.OnScheduler(1))
		_, err := s.Start(t0)
		require.NoError(t, err)
		before := places(t0)
		for name, c := range map[string]struct {
			body actor.Body
			opts []actor.Option
			is   error
			text string
			only bool // NewSlot sees it, CheckSlot can't
		}{
			"option":          {actor.GoBody(forever), []actor.Option{actor.Immediate()}, nil, "the option Immediate can't be used here", false},
			"retry":           {actor.GoBody(forever), []actor.Option{actor.Retry(1)}, nil, "the option Retry can't be used here", false},
			"daemon":          {actor.GoBody(forever), []actor.Option{actor.Daemon()}, nil, "a daemon has no parent", false},
			"scheduler":       {actor.GoBody(forever), []actor.Option{actor.OnScheduler(7)}, nil, "the system has 2", true},
			"dead":            {actor.ReceiverBody(dead, handle), nil, actor.ErrRefDead, "", false},
			"read":            {actor.ReceiverBody(read, handle), nil, actor.ErrRefTaken, "/tasklet/reader", false},
			"in another slot": {actor.ReceiverBody(taken, handle), nil, actor.ErrRefTaken, "/tasklet/owner", true},
			"foreign":         {actor.ReceiverBody(foreign, handle), nil, nil, "another system", true},
			"runs in a slot":  {actor.ReceiverBody(at1, handle), nil, actor.ErrRefTaken, at1.String(), false},
		} {
			_, err := actor.NewSlot(t0, c.body, nil, c.opts...)
			require.Error(t, err, name)
			require.Contains(t, err.Error(), c.text, name)
			if c.is != nil {
				require.ErrorIs(t, err, c.is, name)
			}
			_, err = actor.CheckSlot(c.body, c.opts...)
			require.Equal(t, c.only, err == nil, "%s: %v", name, err)
		}
		require.Equal(t, before, places(t0))
		// A ref that was read somewhere stays there.
		moved, at := actor.NewRef[int](), 0
		fam := actor.Family{Kind: "f", Bodies: []actor.Body{actor.ReceiverBody(moved, handle)}}
		outer := slotOf(t, t0, actor.Supervise(actor.NewRef[int](), fam, func(p *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			in, err := actor.NewSlot(p, fam.Bodies[0], nil, actor.OnScheduler(at))
			if err != nil {
				return nil, err
			}
			_, err = in.Start(p)
			return handle, err
		}))
		_, err = outer.Start(t0)
		require.NoError(t, err)
		require.NoError(t, outer.Stop(t0))
		at = 1
		_, err = outer.Start(t0)
		require.ErrorContains(t, err, "was read on scheduler 0 before, and never moves")
		return nil
	}))
	ref := actor.NewRef[int]()
	one, err := actor.CheckSlot(actor.ReceiverBody(ref, handle))
	require.NoError(t, err)
	two, err := actor.CheckSlot(actor.BatchReceiverBody(ref, 1, 0, func(*actor.Tasklet, []int) error { return nil }))
	require.NoError(t, err)
	require.Equal(t, one, two)
	none, err := actor.CheckSlot(actor.GoBody(forever))
	require.NoError(t, err)
	require.Nil(t, none)
}

// Rule 4: the ref of a slot is the slot's, until that is retired: also while it is empty, and
// before its first tasklet. Nobody else can read it.
func TestSlotOwnsItsRef(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int]()
		body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil })
		s := slotOf(t, t0, body, actor.Name("mine"))
		refused := func() {
			t.Helper()
			require.Contains(t, recovering(func() { actor.StartTasklet(t0, body) }), "the ref of its body belongs to the slot of /tasklet/mine")
			_, err := actor.NewSlot(t0, body, nil)
			require.ErrorIs(t, err, actor.ErrRefTaken)
		}
		refused()
		require.Nil(t, ref.Tasklet())
		require.NoError(t, ref.Send(t0, 1), "queued for the first")
		k, err := s.Start(t0)
		require.NoError(t, err)
		refused()
		require.Same(t, k, ref.Tasklet())
		require.NoError(t, s.Stop(t0))
		refused()
		s.Close()
		refused()
		_, err = s.Start(t0)
		require.NoError(t, err)
		require.NoError(t, s.Stop(t0))
		require.NoError(t, t0.System().Check())
		s.Retire()
		require.True(t, actor.Finished(ref))
		require.Contains(t, recovering(func() { actor.StartTasklet(t0, body) }), "the ref of its body is dead")
		_, err = actor.NewSlot(t0, body, nil)
		require.ErrorIs(t, err, actor.ErrRefDead)
		return nil
	})
}

func TestSlotMisuse(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		s := slotOf(t, t0, actor.GoBody(forever), actor.Name("s"))
		_, err := s.Start(t0)
		require.NoError(t, err)
		for want, f := range map[string]func(){
			"actor: Slot.Start: /tasklet/s is in the slot":                               func() { _, _ = s.Start(t0) },
			"actor: Slot.Close: /tasklet/s is in the slot":                               func() { s.Close() },
			"actor: Slot.Retire: /tasklet/s is in the slot":                              func() { s.Retire() },
			"scheduler: Slot.Start with a nil context":                                   func() { _, _ = s.Start(noContext) },
			"scheduler: Slot.Stop called outside a tasklet: its context belongs to none": func() { _ = s.Stop(context.Background()) },
			"actor: NewSlot of a nil *Tasklet":                                           func() { _, _ = actor.NewSlot(nil, actor.GoBody(forever), nil) },
			"actor: NewSlot with a nil Body":                                             func() { _, _ = actor.NewSlot(t0, nil, nil) },
			"actor: Supervise with a nil function":                                       func() { actor.Supervise[int](actor.NewRef[int](), actor.Family{Kind: "x"}, nil) },
			"actor: Supervise with an empty name":                                        func() { actor.Supervise(actor.NewRef[int](), actor.Family{}, noInit) },
			"actor: Supervise with a nil Body": func() {
				actor.Supervise(actor.NewRef[int](), actor.Family{Kind: "x", Bodies: []actor.Body{nil}}, noInit)
			},
			"actor: Slot.Stop by another tasklet: only /tasklet may call it": func() {
				require.Panics(t, func() { inside(t0, func(k *actor.Tasklet) { _ = s.Stop(k) }) })
				panic(lastPanic)
			},
			"actor: NewSlot from a deferred call of": func() { require.Panics(t, func() { deferredCall(t0) }); panic(lastPanic) },
		} {
			require.Contains(t, fmt.Sprint(recovering(f)), want)
		}
		require.NoError(t, s.Stop(t0))
		s.Retire()
		s.Close() // nothing is left that could be closed
		require.Contains(t, recovering(func() { _, _ = s.Start(t0) }), "actor: Slot.Start: the slot of /tasklet/s was retired")
		require.Equal(t, "retired", s.Info().State)
		return nil
	})
}

func noInit(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, nil }

var lastPanic any

// inside calls f in a child of t, and keeps and raises the panic's value.
func inside(t *actor.Tasklet, f func(*actor.Tasklet)) {
	_ = actor.Go(t, func(k *actor.Tasklet) error { lastPanic = recovering(func() { f(k) }); return nil }).Join(t)
	panic(lastPanic)
}

func deferredCall(t *actor.Tasklet) {
	_ = actor.Go(t, func(k *actor.Tasklet) error {
		k.Defer(func() {
			lastPanic = recovering(func() { _, _ = actor.NewSlot(k, actor.GoBody(forever), nil) })
		})
		return nil
	}).Join(t)
	panic(lastPanic)
}

// onEnd is called for an end by itself, and for no other.
func TestSlotOnEnd(t *testing.T) {
	for _, at := range []int{0, 1} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Schedulers: at + 1}
			require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
				var ends []string
				var end error
				fails := false
				s, err := actor.NewSlot(t0, actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return end }),
					func(e actor.Exit) { ends = append(ends, fmt.Sprint(e.Kind, " ", e.Path)) }, actor.Name("s"), actor.OnScheduler(at),
					actor.OnStart(func(*actor.Tasklet) error {
						if fails {
							return actor.ErrShutdown
						}
						return nil
					}))
				require.NoError(t, err)
				start := func() *actor.Tasklet {
					k, err := s.Start(t0)
					require.NoError(t, err)
					return k
				}
				for _, end = range []error{nil, errBoom, actor.ErrShutdown} {
					start()
					t0.Sleep(2 * time.Second)
					require.Equal(t, actor.KindOf(end), s.Info().Last.Kind)
				}
				want := []string{"normal /tasklet/s", "error /tasklet/s", "shutdown /tasklet/s"}
				require.Equal(t, want, ends)
				require.Equal(t, "ended", s.Info().State)
				start()
				require.Equal(t, "running", s.Info().State)
				require.NoError(t, s.Stop(t0))
				require.Equal(t, "stopped", s.Info().State)
				start().Kill()
				t0.Sleep(2 * time.Second)
				require.Equal(t, append(want, "killed /tasklet/s"), ends)
				fails = true
				k, err := s.Start(t0)
				require.ErrorIs(t, err, actor.ErrShutdown)
				require.True(t, k.HasFinished())
				require.Equal(t, "ended", s.Info().State)
				require.Equal(t, reason.Shutdown, s.Info().Last.Kind)
				require.Len(t, ends, 4)
				return nil
			}))
		})
	}
}

// What those see who look at the tree.
func TestSlotInfo(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int](actor.MailboxLen(5))
		s := slotOf(t, t0, actor.ReceiverBody(ref, func(_ *actor.Tasklet, n int) error { return errBoom }), actor.Name("s"))
		require.NoError(t, ref.Send(t0, 1))
		var i actor.SlotInfo = s.Info()
		require.Equal(t, []any{"s", "/tasklet/s", "receiver", "stopped", 1, 5, "int"},
			[]any{i.Name, i.Path, i.Kind, i.State, i.Mailbox.Len, i.Mailbox.Cap, i.Message.String()})
		var g actor.SlotGlance = s.Glance()
		require.Equal(t, i.SlotGlance, g)
		require.Nil(t, i.Tasklet)
		require.True(t, i.LastAt.IsZero())
		k, err := s.Start(t0)
		require.NoError(t, err)
		require.Same(t, k, s.Info().Tasklet)
		t0.Sleep(time.Second)
		i = s.Info()
		require.Equal(t, "ended", i.State)
		require.ErrorIs(t, i.Last.Err, errBoom)
		require.Same(t, k, i.Last.Tasklet)
		require.Equal(t, time.Second, t0.System().Now().Sub(i.LastAt))
		at := t0.System().Now().Add(time.Minute)
		s.Restarting(3, at)
		i = s.Info()
		require.Equal(t, []any{"restarting", 3, at}, []any{i.State, i.Restarts, i.Until})
		_, err = s.Start(t0)
		require.NoError(t, err)
		i = s.Info()
		require.Equal(t, []any{"running", 3, time.Time{}}, []any{i.State, i.Restarts, i.Until})
		s.Restarting(4, at) // it is not: it runs
		require.Equal(t, "running", s.Info().State)
		require.NoError(t, s.Stop(t0))
		s.Restarting(5, time.Time{})
		s.Close()
		require.Equal(t, "stopped", s.Info().State)

		derived := slotOf(t, t0, actor.GoBody(forever))
		require.Equal(t, []any{"", "/tasklet/forever", "task"}, []any{derived.Info().Name, derived.Info().Path, derived.Info().Kind})
		k, err = derived.Start(t0)
		require.NoError(t, err)
		require.Equal(t, []any{k.Name(), k.Path()}, []any{derived.Info().Name, derived.Info().Path})
		seen := ""
		starts := slotOf(t, t0, actor.GoBody(forever), actor.OnStart(func(t *actor.Tasklet) error {
			for s, k := range t.Parent().Places() {
				if k == t {
					seen = s.Info().State
				}
			}
			return nil
		}))
		_, err = starts.Start(t0)
		require.NoError(t, err)
		require.Equal(t, "starting", seen)
		return nil
	})
}

// The slots of a tasklet end with it, and so do their refs, whether anybody has ever read them or
// not; also when it was killed, or has no other children.
func TestSlotsEndWithTheirParent(t *testing.T) {
	for _, schedulers := range []int{1, 2} {
		for _, kill := range []bool{false, true} {
			t.Run(fmt.Sprint(schedulers, " ", kill), func(t *testing.T) {
				cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Schedulers: schedulers}
				require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					refs := []actor.Ref[int]{actor.NewRef[int](), actor.NewRef[int](), actor.NewRef[int]()}
					ready, deferred := false, ""
					p := actor.Go(t0, func(p *actor.Tasklet) error {
						for i, ref := range refs {
							s := slotOf(t, p, actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return nil }), actor.OnScheduler(i%schedulers))
							if i > 0 {
								_, err := s.Start(p)
								require.NoError(t, err)
							}
							if i == 2 {
								require.NoError(t, s.Stop(p))
							}
						}
						p.Defer(func() {
							for _, ref := range refs {
								deferred += fmt.Sprint(ref.IsDead(), " ")
							}
						})
						ready = true
						if kill {
							return forever(p)
						}
						return nil
					})
					for !ready {
						t0.Yield()
					}
					if kill {
						p.Kill()
					}
					_ = p.Join(t0)
					require.Equal(t, "false false false ", deferred, "deferred calls come before")
					for _, ref := range refs {
						require.True(t, actor.Finished(ref))
						require.ErrorIs(t, ref.Send(t0, 1), mailbox.ErrClosed)
					}
					return nil
				}))
			})
		}
	}
}

// nestedFamily is a supervisor with one static child and the slots of others, as a child of t0.
type nestedFamily struct {
	outer         *actor.Slot
	ref           actor.Ref[string]
	static, never actor.Ref[int]
	added         actor.Ref[int]
	lives         int
	startsStatic  bool
}

func nest(t *testing.T, t0 *actor.Tasklet) *nestedFamily {
	n := &nestedFamily{ref: actor.NewRef[string](), static: actor.NewRef[int](), never: actor.NewRef[int](), startsStatic: true}
	handle := func(*actor.Tasklet, int) error { return nil }
	fam := actor.Family{Kind: "nest", Bodies: []actor.Body{actor.ReceiverBody(n.static, handle), actor.ReceiverBody(n.never, handle)}}
	n.outer = slotOf(t, t0, actor.Supervise(n.ref, fam, func(p *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
		n.lives++
		slots := map[string]*actor.Slot{}
		if n.startsStatic {
			s, err := actor.NewSlot(p, fam.Bodies[0], nil, actor.Name("static"))
			if err != nil {
				return nil, err
			}
			_, again := actor.NewSlot(p, fam.Bodies[0], nil)
			require.ErrorIs(t, again, actor.ErrRefTaken, "twice in one life")
			if _, err := s.Start(p); err != nil {
				return nil, err
			}
			slots["static"] = s
		}
		n.added = actor.NewRef[int]()
		s := slotOf(t, p, actor.ReceiverBody(n.added, handle), actor.Name("added"))
		if _, err := s.Start(p); err != nil {
			return nil, err
		}
		return func(p *actor.Tasklet, m string) error {
			switch m {
			case "crash":
				return errBoom
			case "end":
				return actor.ErrStop
			}
			return slots[m].Stop(p)
		}, nil
	}))
	return n
}

// What happens to the ref of a supervisor happens to those of its family: they are held with it
// over its restart, closed with it, and end with it, also those that it has never started. A child
// that it has added by itself ends with its life.
func TestFamily(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), j.config(), func(t0 *actor.Tasklet) error {
		n := nest(t, t0)
		k, err := n.outer.Start(t0)
		require.NoError(t, err)
		require.Equal(t, "nest", k.Info().Kind)
		require.Equal(t, "nest#1", k.Name())
		require.Equal(t, "[static] [added]", places(k))
		first, added := n.static.Tasklet(), n.added

		// A crash: held, in the order of the queue, until the next life.
		joiner := actor.Go(t0, func(t *actor.Tasklet) error { return n.static.Join(t) })
		require.NoError(t, n.ref.Send(t0, "crash"))
		require.ErrorIs(t, k.Join(t0), errBoom)
		require.True(t, actor.Finished(added), "it was of that life only")
		require.False(t, n.static.IsClosed())
		require.False(t, n.never.IsClosed())
		require.NoError(t, n.static.Send(t0, 1))
		require.Equal(t, 1, n.static.Len())
		require.Contains(t, recovering(func() {
			actor.StartTasklet(t0, actor.ReceiverBody(n.static, func(*actor.Tasklet, int) error { return nil }))
		}), "belongs to the slot", "also between two lives")
		_, err = n.outer.Start(t0)
		require.NoError(t, err)
		require.NotSame(t, first, n.static.Tasklet())
		t0.Sleep(1)
		require.Zero(t, n.static.Len())
		require.NoError(t, t0.System().Check())

		// A stop by hand closes them, and interrupts.
		require.NoError(t, n.outer.Stop(t0))
		n.outer.Close()
		require.True(t, n.static.IsClosed())
		require.True(t, n.never.IsClosed())
		require.False(t, n.static.IsDead())
		t0.Sleep(1)
		require.False(t, joiner.HasFinished())

		// The next life opens what it starts.
		k, err = n.outer.Start(t0)
		require.NoError(t, err)
		require.False(t, n.static.IsClosed())
		require.NoError(t, n.static.Send(t0, 2))

		// An end by itself, after which it is kept stopped: joiners go on.
		require.NoError(t, n.ref.Send(t0, "end"))
		require.NoError(t, k.Join(t0))
		n.outer.Close()
		require.ErrorIs(t, joiner.Join(t0), actor.ErrKilled, "the result of the last one")

		// A life that does not start the child leaves it as it was.
		n.startsStatic = false
		_, err = n.outer.Start(t0)
		require.NoError(t, err)
		require.NoError(t, n.outer.Stop(t0))
		require.False(t, n.static.IsDead())
		n.startsStatic = true
		_, err = n.outer.Start(t0)
		require.NoError(t, err)
		require.Equal(t, 5, n.lives)
		require.NoError(t, n.outer.Stop(t0))
		n.outer.Retire()
		require.True(t, actor.Finished(n.ref))
		require.True(t, actor.Finished(n.static))
		require.True(t, actor.Finished(n.never))
		return nil
	}))
	require.Empty(t, j.of(event.MessageLost, ""), "a request to a supervisor is no message that is lost")
}

// A family whose supervisor was never started ends with it too; and one whose supervisor is in no
// slot ends with its first life.
func TestFamilyThatEnds(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		n := nest(t, t0)
		n.outer.Close()
		require.True(t, n.static.IsClosed())
		n.outer.Retire()
		require.True(t, actor.Finished(n.static))
		require.True(t, actor.Finished(n.never))

		static, never := actor.NewRef[int](), actor.NewRef[int]()
		handle := func(*actor.Tasklet, int) error { return nil }
		fam := actor.Family{Kind: "top", Bodies: []actor.Body{actor.ReceiverBody(static, handle), actor.ReceiverBody(never, handle)}}
		k := actor.StartTasklet(t0, actor.Supervise(actor.NewRef[int](), fam, func(p *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			_, err := slotOf(t, p, fam.Bodies[0]).Start(p)
			return handle, err
		}), actor.Name("top"))
		t0.Sleep(1)
		require.False(t, static.IsClosed())
		k.Kill()
		_ = k.Join(t0)
		require.True(t, actor.Finished(static))
		require.True(t, actor.Finished(never))
		return nil
	})
}

// A supervisor that was given up leaves the refs of its family to its next life.
func TestFamilyOfOneThatLeaks(t *testing.T) {
	err := actor.Run(context.Background(), actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		static := actor.NewRef[int]()
		stuck := true
		fam := actor.Family{Kind: "f", Bodies: []actor.Body{actor.ReceiverBody(static, func(*actor.Tasklet, int) error { return nil })},
			Options: []actor.Option{actor.Shutdown(time.Second)}}
		s := slotOf(t, t0, actor.Supervise(actor.NewRef[int](), fam, func(p *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			in, err := actor.NewSlot(p, fam.Bodies[0], nil)
			if err != nil {
				return nil, err
			}
			p.Defer(func() {
				for stuck {
					survive(p)
				}
			})
			_, err = in.Start(p)
			return func(*actor.Tasklet, int) error { return nil }, err
		}))
		first, err := s.Start(t0)
		require.NoError(t, err)
		require.NoError(t, s.Stop(t0))
		require.False(t, first.HasFinished(), "it was given up")
		require.False(t, static.IsDead())
		_, err = s.Start(t0)
		require.NoError(t, err)
		require.NotNil(t, static.Tasklet())
		stuck = false
		require.NoError(t, s.Stop(t0))
		s.Retire()
		require.True(t, static.IsDead())
		return nil
	})
	var se *actor.StopError
	require.ErrorAs(t, err, &se)
}

// Stops of many slots cost the same for each, empty or not, and leave none behind.
func TestSlotsInNumbers(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		const n = 20_000
		p := actor.Go(t0, func(p *actor.Tasklet) error {
			for i := range n {
				s := slotOf(t, p, actor.ReceiverBody(actor.NewRef[int](), func(*actor.Tasklet, int) error { return nil }))
				if i%2 == 0 || i < n/2 {
					_, err := s.Start(p)
					require.NoError(t, err)
				}
				if i < n/2 && i%2 == 1 {
					require.NoError(t, s.Stop(p))
				}
			}
			require.Len(t, p.Children(), n/2)
			return nil
		})
		return p.Join(t0)
	})
}

// together starts a tasklet that calls f and ends, and whose children have d together to stop. In 0
// they have the usual time.
func together(p actor.Spawner, d time.Duration, f func(*actor.Tasklet) error) *actor.Tasklet {
	if d == 0 {
		d = 5 * time.Second
	}
	ref := actor.NewRef[int]()
	_ = ref.TrySend(context.Background(), 1)
	return actor.StartTasklet(p, actor.Supervise(ref, actor.Family{Kind: "family", StopTogether: d},
		func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			return func(t *actor.Tasklet, _ int) error {
				if err := f(t); err != nil {
					return err
				}
				return actor.ErrStop
			}, nil
		}))
}

// Started may be asked by anybody, before and after the start, and over schedulers.
func TestStartedByMany(t *testing.T) {
	for _, at := range []int{0, 1} {
		for _, fails := range []error{nil, errBoom, actor.ErrStop, actor.ErrShutdown} {
			t.Run(fmt.Sprint(at, " ", fails), func(t *testing.T) {
				cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Schedulers: 2}
				require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					k := actor.StartTasklet(t0, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
						t.Sleep(time.Minute)
						return func(*actor.Tasklet, int) error { return nil }, fails
					}), actor.OnScheduler(at))
					check := func(err error) {
						if !errors.Is(err, fails) || fails != nil && actor.KindOf(err) != reason.Error {
							t.Errorf("started: %v", err)
						}
					}
					outside := make(chan error, 1)
					go func() { outside <- k.Started(context.Background()) }()
					var waiters []*actor.Tasklet
					for i := range 4 {
						waiters = append(waiters, actor.Go(t0, func(w *actor.Tasklet) error { check(k.Started(w)); return nil }, actor.OnScheduler(i%2)))
					}
					short, cancel := actor.WithTimeout(t0, time.Second)
					defer cancel()
					require.ErrorIs(t, k.Started(short), actor.ErrTimeout)
					killed := actor.Go(t0, func(w *actor.Tasklet) error { return k.Started(w) })
					t0.Sleep(time.Second)
					killed.Kill()
					require.ErrorIs(t, killed.Join(t0), actor.ErrKilled)
					for _, w := range waiters {
						require.NoError(t, w.Join(t0))
					}
					check(k.Started(t0))
					out, err := actor.Await(t0, func(context.Context) (error, error) { return <-outside, nil })
					require.NoError(t, err)
					check(out)
					require.Equal(t, fails != nil, k.HasFinished())
					if fails == nil {
						k.Kill()
						_ = k.Join(t0)
						require.NoError(t, k.Started(t0), "it had started")
					}
					return nil
				}))
			})
		}
	}
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, func(k *actor.Tasklet) error {
			var d *actor.DeadlockError
			require.NoError(t, k.Started(k), "it has no init")
			slow := actor.StartTasklet(k, actor.GoBody(forever), actor.OnStart(func(s *actor.Tasklet) error { return s.Started(s) }))
			require.ErrorAs(t, slow.Started(k), &d, "it waits for itself")
			return nil
		})
		return k.Join(t0)
	})
}
