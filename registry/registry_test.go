package registry_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/scheduler"
)

// virtual runs main on a virtual clock.
func virtual(t testing.TB, main func(t *actor.Tasklet, r *registry.Registry)) {
	t.Helper()
	require.NoError(t, actor.Run(context.Background(), config(nil), func(t *actor.Tasklet) error {
		main(t, registry.Of(t.System()))
		return nil
	}))
}

func config(j *journal) actor.Config {
	cfg := actor.Config{Name: "sys", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	if j != nil {
		cfg.OnEvent = j.add
	}
	return cfg
}

// outside runs main beside a system on the real clock, which it may stop.
func outside(t testing.TB, main func(s *actor.System, r *registry.Registry)) {
	t.Helper()
	s, err := actor.Start(actor.Config{Name: "sys", Logger: zap.NewNop()})
	require.NoError(t, err)
	main(s, registry.Of(s))
	require.NoError(t, s.Stop(context.Background()))
}

// journal keeps events.
type journal struct {
	mu     sync.Mutex
	events []actor.EventRecord
}

func (j *journal) add(e actor.EventRecord) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
}

// of gives the events of these kinds as lines.
func (j *journal) of(kinds ...event.Kind) (lines []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, e := range j.events {
		for _, k := range kinds {
			if e.Kind == k {
				line := k.String()
				for _, f := range e.Fields {
					line += fmt.Sprintf(" %s=%s", f.Key, f.String)
				}
				lines = append(lines, line+" "+e.Path)
			}
		}
	}
	return lines
}

func ignore[M any](*actor.Tasklet, M) error { return nil }

func idle(p actor.Spawner, opts ...actor.Option) actor.Ref[int] {
	return actor.Receiver(p, ignore[int], opts...)
}

// A name stands for a ref with its type, and the error for another type names both.
func TestRegisterAndLookup(t *testing.T) {
	type order struct{}
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		require.Same(t, r, registry.Of(t0.System()))
		ints := idle(t0)
		orders := actor.Receiver(t0, ignore[order])
		require.NoError(t, registry.Register(r, "ints", ints))
		require.NoError(t, registry.Register(r, "orders", orders))
		require.NoError(t, registry.Register(r, "ints", ints), "the same ref again")

		got, err := registry.Lookup[int](r, "ints")
		require.NoError(t, err)
		require.Equal(t, ints, got)
		got2, err := registry.Lookup[order](r, "orders")
		require.NoError(t, err)
		require.Equal(t, orders, got2)

		_, err = registry.Lookup[order](r, "ints")
		var wrong *registry.TypeError
		require.ErrorAs(t, err, &wrong)
		require.Equal(t, []any{"ints", reflect.TypeFor[int](), reflect.TypeFor[order]()}, []any{wrong.Name, wrong.Have, wrong.Want})
		require.EqualError(t, err, `registry: "ints" takes messages of type int, not registry_test.order`)
		_, err = registry.Lookup[*order](r, "orders")
		require.EqualError(t, err, `registry: "orders" takes messages of type registry_test.order, not *registry_test.order`)
		_, err = registry.Lookup[error](r, "orders")
		require.EqualError(t, err, `registry: "orders" takes messages of type registry_test.order, not error`)

		_, err = registry.Lookup[int](r, "Ints")
		require.ErrorIs(t, err, registry.ErrNotFound)
		require.EqualError(t, err, `registry: no such name: "Ints"`)
	})
}

// A taken name is refused with the owner's path, whatever the types. A ref may have several names.
func TestTaken(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		first := idle(t0, actor.Name("first"))
		require.NoError(t, registry.Register(r, "n", first))
		for _, err := range []error{
			registry.Register(r, "n", idle(t0)),
			registry.Register(r, "n", actor.Receiver(t0, ignore[string])),
		} {
			require.ErrorIs(t, err, registry.ErrTaken)
			var taken *registry.TakenError
			require.ErrorAs(t, err, &taken)
			require.Equal(t, registry.TakenError{Name: "n", Owner: "/sys/first"}, *taken)
			require.EqualError(t, err, `registry: name "n" is taken by /sys/first`)
		}
		require.NoError(t, registry.Register(r, "also", first))
		require.Equal(t, []string{"also", "n"}, r.Names())

		// An owner that was never started has no path, and perhaps no name.
		require.NoError(t, registry.Register(r, "later", actor.NewRef[int](actor.Name("planned"))))
		require.EqualError(t, registry.Register(r, "later", first), `registry: name "later" is taken by planned`)
		require.NoError(t, registry.Register(r, "never", actor.NewRef[int]()))
		require.EqualError(t, registry.Register(r, "never", first), `registry: name "never" is taken by (ref without a name)`)
	})
}

func TestNamesAreSorted(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		require.Empty(t, r.Names())
		for _, n := range []string{"b", "a/b", "B", "ä", "a", "aa"} {
			require.NoError(t, registry.Register(r, n, idle(t0)))
		}
		require.Equal(t, []string{"B", "a", "a/b", "aa", "b", "ä"}, r.Names())
	})
}

func TestUnregister(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		a, b := idle(t0), idle(t0)
		require.False(t, r.Unregister("n"))
		require.NoError(t, registry.Register(r, "n", a))
		require.True(t, r.Unregister("n"))
		require.False(t, r.Unregister("n"))
		require.NoError(t, registry.Register(r, "n", b))
		a.Kill() // has nothing to do with the name any more
		require.ErrorIs(t, a.Join(t0), actor.ErrKilled)
		got, err := registry.Lookup[int](r, "n")
		require.NoError(t, err)
		require.Equal(t, b, got)
	})
}

// Rule 21: the names of an unsupervised tasklet are released with its finish, before it counts as
// finished: after its deferred calls, and whoever joins it finds them free. However it ends.
func TestNameGoesWithItsTasklet(t *testing.T) {
	ends := map[string]func(ref actor.Ref[int], t0 *actor.Tasklet) error{
		"close": func(ref actor.Ref[int], t0 *actor.Tasklet) error { ref.Close(); return nil },
		"kill":  func(ref actor.Ref[int], t0 *actor.Tasklet) error { ref.Kill(); return nil },
		"error": func(ref actor.Ref[int], t0 *actor.Tasklet) error { return ref.Send(t0, 1) },
		"panic": func(ref actor.Ref[int], t0 *actor.Tasklet) error { return ref.Send(t0, 2) },
		"stop":  func(ref actor.Ref[int], t0 *actor.Tasklet) error { return ref.Send(t0, 3) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
				inDefer := false
				ref := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
					switch n {
					case 1:
						return errors.New("boom")
					case 2:
						panic("boom")
					case 3:
						return actor.ErrStop
					}
					t.Defer(func() {
						t.Sleep(time.Hour)
						_, err := registry.Lookup[int](r, "n")
						inDefer = err == nil
					})
					return nil
				}, actor.OnFailure(actor.End))
				require.NoError(t, registry.Register(r, "n", ref))
				require.NoError(t, registry.Register(r, "m", ref))
				g := group[int](t, r, "g")
				require.NoError(t, g.Join(ref))
				require.NoError(t, ref.Send(t0, 0))
				t0.Sleep(time.Second)
				require.NoError(t, end(ref, t0))
				for !ref.IsDead() {
					t0.Yield()
				}
				// Its body has ended, and it waits in a deferred call: the name is still its own.
				require.ErrorIs(t, registry.Register(r, "n", idle(t0)), registry.ErrTaken)
				require.ErrorIs(t, registry.Register(r, "x", ref), mailbox.ErrClosed)
				require.ErrorIs(t, g.Join(ref), mailbox.ErrClosed)
				_ = ref.Join(t0)
				require.True(t, inDefer)
				require.Empty(t, r.Names())
				require.Empty(t, g.Members())
				require.NoError(t, registry.Register(r, "n", idle(t0)))
				require.Equal(t, 1, r.Holders(), "the old one is forgotten")
			})
		})
	}
}

// Rule 21, seen from another goroutine: whoever has joined the ref finds the name free, a thousand
// times.
func TestNameIsFreeAfterJoinOutside(t *testing.T) {
	outside(t, func(s *actor.System, r *registry.Registry) {
		for range 1000 {
			ref := idle(s)
			require.NoError(t, registry.Register(r, "n", ref))
			ref.Kill()
			require.ErrorIs(t, ref.Join(context.Background()), actor.ErrKilled)
		}
		require.Empty(t, r.Names())
	})
}

// What has ended for good gets no name: not even for a moment, so it is no event either.
func TestDeadRefIsRefused(t *testing.T) {
	var j journal
	require.NoError(t, actor.Run(context.Background(), config(&j), func(t0 *actor.Tasklet) error {
		r := registry.Of(t0.System())
		ref := idle(t0)
		ref.Kill()
		_ = ref.Join(t0)
		err := registry.Register(r, "n", ref)
		require.ErrorIs(t, err, mailbox.ErrClosed)
		require.EqualError(t, err, `registry: register "n": mailbox: closed`)
		err = group[int](t, r, "g").Join(ref)
		require.ErrorIs(t, err, mailbox.ErrClosed)
		require.EqualError(t, err, `registry: join group "g": mailbox: closed`)
		return nil
	}))
	require.Empty(t, j.of(registry.EventNameRegistered, registry.EventNameLost, registry.EventGroupJoined, registry.EventGroupLeft))
}

// All names go with the system, and none can be had from it then.
func TestNamesAfterTheSystem(t *testing.T) {
	var r *registry.Registry
	var ref actor.Ref[int]
	outside(t, func(s *actor.System, reg *registry.Registry) {
		r = reg
		ref = idle(s)
		require.NoError(t, registry.Register(r, "n", ref))
		require.NoError(t, registry.Register(r, "daemon", idle(s, actor.Daemon())))
		require.NoError(t, s.Stop(context.Background()))
		require.Empty(t, r.Names())
		require.ErrorIs(t, registry.Register(r, "n", idle(s)), mailbox.ErrClosed)
	})
}

// A name that comes from a program's input is refused with an error, in every call that takes one,
// and nothing is left of it.
func TestMalformedNames(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		ref := idle(t0)
		for _, name := range []string{"", "\n", "a\nlevel=error", "a\x00", "\x1b[31m", "\x7f", "\u0085", "a\u2028b", "\xff", "a\xc3"} {
			refused := func(err error) {
				require.ErrorIs(t, err, registry.ErrName, "%q", name)
				var ne *registry.NameError
				require.ErrorAs(t, err, &ne)
				require.Equal(t, name, ne.Name)
				require.ErrorContains(t, err, ne.Rule)
				require.NotEmpty(t, ne.Rule)
				require.False(t, strings.ContainsFunc(err.Error(), unicode.IsControl))
			}
			refused(registry.Register(r, name, ref))
			_, err := registry.Lookup[int](r, name)
			refused(err)
			_, err = registry.WaitFor[int](t0, r, name)
			refused(err)
			_, err = registry.NewGroup[int](r, name)
			refused(err)
			require.False(t, r.Unregister(name))
			other := actor.NewRef[int]()
			err = actor.StartTasklet(t0, actor.ReceiverBody(other, func(*actor.Tasklet, int) error { return nil }), registry.As(r, name, other)).Started(t0)
			refused(err)
		}
		require.Empty(t, r.Names())
		for _, name := range []string{"a", "user/42", "two words", "ü", "名前", "👩\u200d🚀"} {
			require.NoError(t, registry.Register(r, name, ref), "%q", name)
		}
	})
}

func TestMisuse(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		ref := idle(t0)
		g := group[int](t, r, "g")
		var none context.Context
		for want, f := range map[string]func(){
			"registry: Of a nil *actor.System":               func() { registry.Of(nil) },
			`registry: Register("n") with a nil *Registry`:   func() { _ = registry.Register(nil, "n", ref) },
			`registry: Register("n") of a zero Ref`:          func() { _ = registry.Register(r, "n", actor.Ref[int]{}) },
			`registry: As("n") of a zero Ref`:                func() { registry.As(r, "n", actor.Ref[int]{}) },
			`registry: Lookup("n") with a nil *Registry`:     func() { _, _ = registry.Lookup[int](nil, "n") },
			`registry: WaitFor("n") with a nil context`:      func() { _, _ = registry.WaitFor[int](none, r, "n") },
			`registry: Unregister("n") with a nil *Registry`: func() { (*registry.Registry)(nil).Unregister("n") },
			"registry: Names of a nil *Registry":             func() { (*registry.Registry)(nil).Names() },
			`registry: Join of a zero Ref to the group "g"`:  func() { _ = g.Join(actor.Ref[int]{}) },
			`registry: NewGroup("n") with a nil *Registry`:   func() { _, _ = registry.NewGroup[int](nil, "n") },
			`registry: As("n") with a nil *Registry`:         func() { registry.As(nil, "n", ref) },
			`registry: WaitFor("n") with a nil *Registry`:    func() { _, _ = registry.WaitFor[int](t0, nil, "n") },
		} {
			require.PanicsWithValue(t, want, f)
		}
	})
}

// The labels name= and groups= agree with what the ref has at any time: also when a name is given
// to one who has another, and when there are more than a label can show.
func TestLabels(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		ref := idle(t0)
		labels := func() map[string]string { return ref.Tasklet().Info().Labels }
		require.NoError(t, registry.Register(r, "b", ref))
		require.Equal(t, map[string]string{"name": "b"}, labels())
		require.NoError(t, registry.Register(r, "a", ref))
		require.Equal(t, map[string]string{"name": "a,b"}, labels())
		g, h := group[int](t, r, "workers"), group[int](t, r, "all")
		require.NoError(t, g.Join(ref))
		require.NoError(t, h.Join(ref))
		require.NoError(t, h.Join(ref))
		require.Equal(t, map[string]string{"name": "a,b", "groups": "all,workers"}, labels())
		r.Unregister("b")
		g.Leave(ref)
		g.Leave(ref)
		require.Equal(t, map[string]string{"name": "a", "groups": "all"}, labels())
		r.Unregister("a")
		h.Leave(ref)
		require.Empty(t, labels())
		require.Zero(t, r.Holders())
		for i := range 10 {
			require.NoError(t, registry.Register(r, fmt.Sprint(i), ref))
		}
		require.Equal(t, map[string]string{"name": "(10)"}, labels())
		r.Unregister("3")
		r.Unregister("0")
		require.Equal(t, map[string]string{"name": "1,2,4,5,6,7,8,9"}, labels())
	})
}

// A label put on before the start is there after it.
func TestLabelsOfAPlannedTasklet(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		ref := actor.NewRef[int]()
		require.NoError(t, registry.Register(r, "n", ref))
		require.NoError(t, group[int](t, r, "g").Join(ref))
		k := actor.StartTasklet(t0, actor.ReceiverBody(ref, ignore[int]))
		require.Equal(t, map[string]string{"name": "n", "groups": "g"}, k.Info().Labels)
	})
}

// As for a tasklet without a supervisor: taken is a failed start, and nothing of the tasklet has
// run.
func TestAsTaken(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		require.NoError(t, registry.Register(r, "n", idle(t0, actor.Name("owner"))))
		ref := actor.NewRef[int]()
		body := actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			t.Error("init ran")
			return ignore[int], nil
		})
		err := actor.StartTasklet(t0, body, registry.As(r, "n", ref), actor.Name("second")).Started(t0)
		require.ErrorIs(t, err, registry.ErrTaken)
		require.ErrorContains(t, err, "/sys/owner")
		require.True(t, ref.IsDead())
		r.Unregister("n")
		ref = actor.NewRef[int]()
		err = actor.StartTasklet(t0, actor.ReceiverBody(ref, ignore[int]), registry.As(r, "n", ref)).Started(t0)
		require.NoError(t, err)
		got, err := registry.Lookup[int](r, "n")
		require.NoError(t, err)
		require.Equal(t, ref, got)
	})
}

// A start that fails after the name was given gives it back.
func TestNameOfAFailedStart(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		ref := actor.NewRef[int]()
		boom := errors.New("boom")
		err := actor.StartTasklet(t0, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			_, err := registry.Lookup[int](r, "n")
			require.NoError(t, err)
			return nil, boom
		}), registry.As(r, "n", ref)).Started(t0)
		require.ErrorIs(t, err, boom)
		require.Empty(t, r.Names())
	})
}

// OnEvent may use the registry, also amid a change that it is told of.
func TestRegistryFromOnEvent(t *testing.T) {
	var r *registry.Registry
	var log []string
	cfg := config(nil)
	cfg.OnEvent = func(e actor.EventRecord) {
		if !strings.HasPrefix(e.Kind.String(), "name_") {
			return
		}
		name := e.Fields[0].String
		log = append(log, e.Kind.String()+" "+name)
		ref, err := registry.Lookup[int](r, name)
		if err == nil && len(name) < 4 {
			_ = registry.Register(r, name+"+", ref)
			r.Unregister(name)
		}
	}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		r = registry.Of(t0.System())
		require.NoError(t, registry.Register(r, "n", idle(t0)))
		require.Equal(t, []string{"n+++"}, r.Names())
		return nil
	}))
	require.Equal(t, []string{
		"name_registered n", "name_registered n+", "name_lost n", "name_registered n++", "name_lost n+", "name_registered n+++",
		"name_lost n++", "name_lost n+++",
	}, log)
}

// Budget: a look-up that finds allocates nothing.
func TestLookupAllocatesNothing(t *testing.T) {
	virtual(t, func(t0 *actor.Tasklet, r *registry.Registry) {
		require.NoError(t, registry.Register(r, "n", idle(t0)))
		name := strings.Clone("n")
		require.Zero(t, testing.AllocsPerRun(1000, func() {
			if _, err := registry.Lookup[int](r, name); err != nil {
				panic(err)
			}
		}))
	})
}
