package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// Each test names the sentence that it checks: of the manual page of OTP's supervisor and of
// "Supervisor Behaviour" in its design principles, or a rule of docs/semantics.md.

// "permanent: always restarted; temporary: never, not even when a sibling's end restarts the group;
// transient: only if it ends abnormally, that is with another reason than normal, shutdown or
// {shutdown,Term}." A kill is abnormal (rule 33).
func TestRestartTypes(t *testing.T) {
	kinds := []struct {
		name    string
		end     func(f *family, t *actor.Tasklet)
		failure bool
	}{
		{"normal", func(f *family, t *actor.Tasklet) { f.send(t, "b", actor.ErrStop) }, false},
		{"wrapped normal", func(f *family, t *actor.Tasklet) { f.send(t, "b", fmt.Errorf("done: %w", actor.ErrStop)) }, false},
		{"shutdown", func(f *family, t *actor.Tasklet) { f.send(t, "b", actor.ErrShutdown) }, false},
		{"error", func(f *family, t *actor.Tasklet) { f.send(t, "b", errCrash) }, true},
		{"panic", func(f *family, t *actor.Tasklet) { f.send(t, "b", "boom") }, true},
		{"killed", func(f *family, t *actor.Tasklet) { f.ref("b").Kill(); settle(t) }, true},
	}
	// What happens after b's end, and who is there then.
	group := map[supervisor.Strategy]string{
		supervisor.OneForOne:  "end b, start b",
		supervisor.RestForOne: "end b, end c, start b, start c",
		supervisor.OneForAll:  "end b, end c, end a, start a, start b, start c",
	}
	for strategy, restarted := range group {
		for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Transient, supervisor.Temporary} {
			for _, k := range kinds {
				t.Run(fmt.Sprintf("%v/%v/%v", strategy, restart, k.name), func(t *testing.T) {
					run(t, func(t0 *actor.Tasklet) {
						f := newFamily()
						cs := f.children("a", "b", "c")
						cs[1].Restart = restart
						s := start(t0, supervisor.Spec{Strategy: strategy, Children: cs})
						require.Equal(t, "start a, start b, start c", f.took())
						k.end(f, t0)
						switch {
						case restart == supervisor.Permanent || restart == supervisor.Transient && k.failure:
							require.Equal(t, restarted, f.took())
							require.Equal(t, "a running, b running, c running", states(t0, s))
						case restart == supervisor.Temporary:
							require.Equal(t, "end b", f.took())
							require.Equal(t, "a running, c running", states(t0, s))
							require.True(t, f.ref("b").IsDead(), "rule 2: dead when a temporary child ends")
						default:
							require.Equal(t, "end b", f.took())
							require.Equal(t, "a running, b stopped, c running", states(t0, s))
							require.ErrorIs(t, f.ref("b").Send(t0, 1), mailbox.ErrClosed, "rule 2: closed after a normal end")
							require.False(t, f.ref("b").IsDead())
						}
						require.Equal(t, strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(states(t0, s),
							"b stopped, ", ""), ",", ""), " running", ""), inTree(s.Tasklet()), "the tree has the order of the spec")
					})
				})
			}
		}
	}
}

// "Temporary children ... are not restarted when one of their siblings' end makes the supervisor
// restart all."
func TestTemporaryGoesWithTheGroup(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForAll, supervisor.RestForOne} {
		run(t, func(t0 *actor.Tasklet) {
			f := newFamily()
			cs := f.children("a", "b", "c")
			cs[1].Restart = supervisor.Temporary
			s := start(t0, supervisor.Spec{Strategy: strategy, Children: cs})
			f.took()
			f.send(t0, "a", errCrash)
			require.Equal(t, "end a, end c, end b, start a, start c", f.took())
			require.Equal(t, "a running, c running", states(t0, s))
			require.True(t, f.ref("b").IsDead())
		})
	}
}

// "If the start function of a child returns ignore, the child specification is kept (unless it is a
// temporary child), and the child's pid is undefined." Here it is ErrStop from init (rule 32).
func TestIgnore(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		f.fail["a"] = []error{actor.ErrStop}
		f.fail["b"] = []error{fmt.Errorf("no work: %w", actor.ErrStop)}
		cs := f.children("a", "b", "c")
		cs[1].Restart = supervisor.Temporary
		s := start(t0, supervisor.Spec{Children: cs})
		require.Equal(t, "a stopped, c running", states(t0, s))
		require.ErrorIs(t, f.ref("a").Send(t0, 1), mailbox.ErrClosed)
		require.True(t, f.ref("b").IsDead())
		f.took()

		task, err := s.RestartChild(t0, "a")
		require.NoError(t, err)
		require.Equal(t, task, f.ref("a").Tasklet())
		require.Equal(t, "a running, c running", states(t0, s))
		require.Equal(t, "a c", inTree(s.Tasklet()))

		// A restart may be ignored too.
		f.fail["a"] = []error{actor.ErrStop}
		f.send(t0, "a", errCrash)
		require.Equal(t, "a stopped, c running", states(t0, s))
		require.ErrorIs(t, f.ref("a").Send(t0, 1), mailbox.ErrClosed)

		f.fail["a"] = []error{actor.ErrStop}
		task, err = s.RestartChild(t0, "a")
		require.NoError(t, err)
		require.Nil(t, task)

		f.fail["d"] = []error{actor.ErrStop}
		task, err = s.StartChild(t0, f.child("d"))
		require.NoError(t, err)
		require.Nil(t, task)
		e := f.child("e")
		e.Restart = supervisor.Temporary
		f.fail["e"] = []error{actor.ErrStop}
		_, err = s.StartChild(t0, e)
		require.NoError(t, err)
		require.Equal(t, "a stopped, c running, d stopped", states(t0, s))
	})
	// In the restart of a group.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Strategy: supervisor.OneForAll, Children: f.children("a", "b", "c")})
		f.fail["b"] = []error{actor.ErrStop}
		f.send(t0, "c", errCrash)
		require.Equal(t, "a running, b stopped, c running", states(t0, s))
		require.ErrorIs(t, f.ref("b").Send(t0, 1), mailbox.ErrClosed)
		f.send(t0, "a", errCrash)
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
	})
}

// "The supervisor starts the children in order of the list, and stops them in reverse order. If one
// fails to start, those started are terminated and the supervisor ends with
// {failed_to_start_child,...}."
func TestStartUndoes(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		f.fail["c"] = []error{errCrash}
		_, err := supervisor.Start(t0, supervisor.Spec{Children: f.children("a", "b", "c", "d")})
		var se *supervisor.StartError
		require.ErrorAs(t, err, &se)
		require.Equal(t, "c", se.ID)
		require.ErrorIs(t, err, errCrash)
		require.EqualError(t, err, `supervisor: start of child "c": crash`)
		require.Equal(t, "start a, start b, fail c, end b, end a", f.took())
		for _, id := range []string{"a", "b", "c", "d"} {
			require.True(t, f.ref(id).IsDead(), "rule 2: dead when the supervisor ends: %s", id)
		}
		require.Empty(t, t0.Children())
	})
	// A panic in init, and a nested supervisor that fails.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		ref := actor.NewRef[int]()
		inner := supervisor.Spec{Children: []supervisor.Child{f.child("x"), {ID: "y", Body: actor.ReceiverInitBody(ref,
			func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) { panic("no luck") })}}}
		_, err := supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{f.child("a"), {ID: "in", Body: supervisor.Body(inner)}}})
		var pe *actor.PanicError
		require.ErrorAs(t, err, &pe)
		require.Contains(t, err.Error(), `start of child "in": supervisor: start of child "y": panic: no luck`)
		require.Equal(t, "start a, start x, end x, end a", f.took())
		require.True(t, f.ref("x").IsDead() && ref.IsDead())
	})
}

// "If a supervisor's child fails to restart, the supervisor tries again until MaxR is reached", by
// its own queue, so that calls get in between; with the error restarting for those that can't be
// done meanwhile.
func TestFailedRestartIsTriedAgain(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Strategy: supervisor.RestForOne, Intensity: 3, Children: f.children("a", "b", "c")})
		f.took()
		f.fail["b"] = []error{errCrash, errCrash}
		f.send(t0, "a", errCrash)
		require.Equal(t, "end a, end c, end b, start a, fail b, fail b, start b, start c", f.took())
		require.Equal(t, "a running, b running, c running", states(t0, s))

		f.fail["c"] = []error{errCrash}
		f.send(t0, "c", errCrash) // four in five seconds
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
		require.Equal(t, "end c, end b, end a", f.took())
	})
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{
			Strategy: supervisor.OneForAll, Intensity: 1000, Backoff: supervisor.Backoff{Min: time.Minute},
			Children: f.children("a", "b", "c"),
		})
		f.fail["b"] = []error{errCrash}
		f.send(t0, "a", errCrash)
		t0.Sleep(time.Minute)
		require.Equal(t, "a stopped, b restarting, c stopped", states(t0, s))
		_, err := s.RestartChild(t0, "b")
		require.ErrorIs(t, err, supervisor.ErrRestarting)
		require.ErrorIs(t, s.DeleteChild(t0, "b"), supervisor.ErrRestarting)
		_, err = s.StartChild(t0, f.child("d"))
		require.NoError(t, err)
		_, err = s.StartChild(t0, supervisor.Child{ID: "b", Body: actor.GoBody(func(*actor.Tasklet) error { return nil })})
		require.ErrorIs(t, err, supervisor.ErrAlreadyStarted, "OTP: a pid or restarting is already started")
		n, err := s.Count(t0)
		require.NoError(t, err)
		require.Equal(t, map[supervisor.State]int{supervisor.Running: 1, supervisor.Restarting: 1, supervisor.Stopped: 2}, n)
		f.took()
		t0.Sleep(time.Hour)
		require.Equal(t, "end d, start a, start b, start c, start d", f.took())
	})
}

// StopChild of the one that the restart of a group waits for cancels the restart; the others stay
// stopped, as in OTP, and nobody waits for their refs.
func TestStopCancelsTheRestartOfAGroup(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{
			Strategy: supervisor.RestForOne, Backoff: supervisor.Backoff{Min: time.Minute}, Children: f.children("a", "b", "c"),
		})
		f.send(t0, "b", errCrash)
		require.Equal(t, "a running, b restarting, c stopped", states(t0, s))
		require.NoError(t, f.ref("c").Send(t0, 1), "held: it queues")
		require.NoError(t, s.StopChild(t0, "b"))
		require.Equal(t, "a running, b stopped, c stopped", states(t0, s))
		require.ErrorIs(t, f.ref("c").Send(t0, 1), mailbox.ErrClosed)
		t0.Sleep(time.Hour)
		require.Equal(t, "a running, b stopped, c stopped", states(t0, s))
		_, err := s.RestartChild(t0, "c")
		require.NoError(t, err)
		require.NoError(t, f.ref("c").Send(t0, 1))
	})
}

// "If more than MaxR restarts occur in the last MaxT seconds, the supervisor terminates all the
// child processes and then itself." "Defaults are 1 and 5." An entry that is exactly Period old
// still counts; several periods (rule 37).
func TestIntensity(t *testing.T) {
	const period = 10 * time.Second
	for _, c := range []struct {
		name      string
		intensity int
		crashes   []time.Duration // after the one before
		ends      bool
	}{
		{"one is allowed by default", 0, []time.Duration{0}, false},
		{"two are not", 0, []time.Duration{0, time.Second}, true},
		{"exactly a period old", 0, []time.Duration{0, period}, true},
		{"older than a period", 0, []time.Duration{0, period + time.Millisecond}, false},
		{"two periods", 0, []time.Duration{0, period + time.Millisecond, period + time.Millisecond}, false},
		{"sliding", 2, []time.Duration{0, 6 * time.Second, 6 * time.Second, 6 * time.Second, 6 * time.Second}, false},
		{"sliding, one more", 2, []time.Duration{0, 6 * time.Second, 6 * time.Second, 2 * time.Second}, true},
		{"none", supervisor.NoRestart, []time.Duration{0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) {
				f := newFamily()
				s := start(t0, supervisor.Spec{Intensity: c.intensity, Period: period, Children: f.children("a", "b")})
				for i, d := range c.crashes {
					t0.Sleep(d)
					require.False(t, s.Tasklet().HasFinished(), "before crash %d", i)
					require.NoError(t, f.ref("a").Send(t0, errCrash))
					for range 10 {
						t0.Yield()
					}
				}
				require.Equal(t, c.ends, s.Tasklet().HasFinished())
				if c.ends {
					require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
				}
			})
		})
	}
	t.Run("default period", func(t *testing.T) {
		for wait, ends := range map[time.Duration]bool{5 * time.Second: true, 5*time.Second + time.Millisecond: false} {
			run(t, func(t0 *actor.Tasklet) {
				f := newFamily()
				s := start(t0, supervisor.Spec{Children: f.children("a")})
				for range 2 {
					require.NoError(t, f.ref("a").Send(t0, errCrash))
					t0.Sleep(wait)
				}
				require.Equal(t, ends, s.Tasklet().HasFinished())
			})
		}
	})
}

// "A group restart counts once": all at once in one_for_all.
func TestGroupCountsOnce(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Strategy: supervisor.OneForAll, Children: f.children("a", "b", "c", "d")})
		f.send(t0, "b", errCrash)
		require.False(t, s.Tasklet().HasFinished())
		f.send(t0, "b", errCrash)
		require.True(t, s.Tasklet().HasFinished())
	})
}

// Unlike in OTP, a supervisor that gave up has failed: its supervisor restarts it, even if it is
// transient.
func TestGivingUpIsAFailure(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		in := supervisor.Child{ID: "in", Restart: supervisor.Transient, Body: supervisor.Body(supervisor.Spec{Children: f.children("a", "b")})}
		s := start(t0, supervisor.Spec{Intensity: 1, Children: []supervisor.Child{in}})
		f.took()
		f.send(t0, "a", errCrash)
		f.send(t0, "a", errCrash)
		require.Equal(t, "end a, start a, end a, end b, start a, start b", f.took())
		require.Equal(t, "in running", states(t0, s))
		f.send(t0, "a", errCrash)
		f.send(t0, "a", errCrash)
		require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
		require.True(t, f.ref("a").IsDead() && f.ref("b").IsDead())
	})
}

// Rule 2 and rule 36 for nested supervisors: a restart starts what the spec says again; children
// added at run time are gone; a child with a ref that was deleted, or temporary and ended, stays
// gone; refs survive.
func TestNested(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		cs := f.children("a", "b", "c", "d")
		cs[2].Restart = supervisor.Temporary
		s := start(t0, supervisor.Spec{Name: "top", Children: []supervisor.Child{
			{ID: "in", Body: supervisor.Body(supervisor.Spec{Name: "other", Children: cs})},
		}})
		infos, err := s.Children(t0)
		require.NoError(t, err)
		in := supervisor.Of(infos[0].Tasklet)
		require.NotNil(t, in)
		require.Equal(t, infos[0].Tasklet, in.Tasklet())
		require.Equal(t, "/tasklet/top/in/a", f.ref("a").Tasklet().Path(), "the child's ID comes before its own name")
		_, err = in.StartChild(t0, f.child("new"))
		require.NoError(t, err)
		f.send(t0, "c", actor.ErrStop)
		require.NoError(t, in.StopChild(t0, "d"))
		require.NoError(t, in.DeleteChild(t0, "d"))
		require.NoError(t, in.StopChild(t0, "b"))
		require.NoError(t, f.ref("a").Send(t0, 1))
		f.took()

		old := in.Tasklet()
		old.Kill()
		require.NoError(t, f.ref("a").Send(t0, 2))
		settle(t0)
		require.Equal(t, "end new, end a, start a, start b", f.took())
		require.Equal(t, "a running, b running", states(t0, in))
		require.NotEqual(t, old, in.Tasklet(), "rule 1: a new tasklet, the same handle")
		require.Nil(t, supervisor.Of(old))
		require.Equal(t, in, supervisor.Of(in.Tasklet()))
		require.True(t, f.ref("new").IsDead() && f.ref("c").IsDead() && f.ref("d").IsDead())
		require.Equal(t, 0, f.ref("a").Len())

		// Stopped: its refs are closed with it, and opened with it.
		require.NoError(t, s.StopChild(t0, "in"))
		require.ErrorIs(t, f.ref("a").Send(t0, 1), mailbox.ErrClosed)
		require.False(t, f.ref("a").IsDead())
		_, err = in.Children(t0)
		require.ErrorIs(t, err, mailbox.ErrClosed)
		_, err = s.RestartChild(t0, "in")
		require.NoError(t, err)
		require.NoError(t, f.ref("a").Send(t0, 1))
		require.Equal(t, "a running, b running", states(t0, in))

		// Deleted: for good.
		require.NoError(t, s.StopChild(t0, "in"))
		require.NoError(t, s.DeleteChild(t0, "in"))
		require.True(t, f.ref("a").IsDead() && f.ref("b").IsDead())
	})
	// An end in the middle of a crowd: children whose end is not handled yet when the supervisor
	// ends.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		top := start(t0, supervisor.Spec{Intensity: 9, Children: []supervisor.Child{
			{ID: "in", Body: supervisor.Body(supervisor.Spec{Intensity: 9, Children: f.children("a", "b", "c")})},
		}})
		for _, id := range []string{"a", "b", "c"} {
			require.NoError(t, f.ref(id).Send(t0, errCrash))
		}
		infos, err := top.Children(t0)
		require.NoError(t, err)
		infos[0].Tasklet.Kill()
		settle(t0)
		require.Equal(t, "a running, b running, c running", states(t0, supervisor.Of(f.ref("a").Tasklet().Parent())))
	})
}

// "any_significant: the supervisor shuts itself down when any significant child terminates, that is
// when a transient one terminates normally or a temporary one in any way. all_significant: when all
// have." "Never by terminate_child, nor when a significant child goes because of a sibling."
func TestAutoShutdown(t *testing.T) {
	type step struct {
		do   func(f *family, t *actor.Tasklet, s *supervisor.Supervisor)
		ends bool
	}
	normal := func(id string) func(*family, *actor.Tasklet, *supervisor.Supervisor) {
		return func(f *family, t *actor.Tasklet, _ *supervisor.Supervisor) { f.send(t, id, actor.ErrStop) }
	}
	crash := func(id string) func(*family, *actor.Tasklet, *supervisor.Supervisor) {
		return func(f *family, t *actor.Tasklet, _ *supervisor.Supervisor) { f.send(t, id, errCrash) }
	}
	stop := func(id string) func(*family, *actor.Tasklet, *supervisor.Supervisor) {
		return func(_ *family, t *actor.Tasklet, s *supervisor.Supervisor) { _ = s.StopChild(t, id) }
	}
	// The children: p permanent, t transient and significant, u temporary and significant, v
	// transient.
	for _, c := range []struct {
		name     string
		auto     supervisor.AutoShutdown
		strategy supervisor.Strategy
		steps    []step
	}{
		{"transient, normal", supervisor.AnySignificant, 0, []step{{normal("t"), true}}},
		{"transient, crash: restarted", supervisor.AnySignificant, 0, []step{{crash("t"), false}, {normal("t"), true}}},
		{"temporary, crash", supervisor.AnySignificant, 0, []step{{crash("u"), true}}},
		{"temporary, normal", supervisor.AnySignificant, 0, []step{{normal("u"), true}}},
		{"not significant", supervisor.AnySignificant, 0, []step{{normal("v"), false}, {crash("p"), false}}},
		{"stopped by a call", supervisor.AnySignificant, 0, []step{{stop("t"), false}, {stop("u"), false}}},
		{"temporary, with its group", supervisor.AnySignificant, supervisor.OneForAll, []step{{crash("p"), false}}},
		{"all: one, then the other", supervisor.AllSignificant, 0, []step{{normal("t"), false}, {crash("u"), true}}},
		{"all: the last stopped by a call", supervisor.AllSignificant, 0, []step{{normal("t"), false}, {stop("u"), false}}},
		{"all: one stopped by a call, then the other", supervisor.AllSignificant, 0, []step{{stop("u"), false}, {normal("t"), true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) {
				f := newFamily()
				cs := f.children("p", "t", "u", "v")
				cs[1].Restart, cs[1].Significant = supervisor.Transient, true
				cs[2].Restart, cs[2].Significant = supervisor.Temporary, true
				cs[3].Restart = supervisor.Transient
				s := start(t0, supervisor.Spec{Strategy: c.strategy, AutoShutdown: c.auto, Intensity: 9, Children: cs})
				for i, step := range c.steps {
					step.do(f, t0, s)
					settle(t0)
					require.Equal(t, step.ends, s.Tasklet().HasFinished(), "step %d", i)
				}
				if s.Tasklet().HasFinished() {
					require.NoError(t, s.Tasklet().Join(t0), "shutdown is no failure")
				}
			})
		})
	}
	// A child added at run time counts too; and a nested supervisor that shuts down is not
	// restarted if it is transient.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		in := supervisor.Spec{AutoShutdown: supervisor.AllSignificant, Children: f.children("a")}
		top := start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "in", Restart: supervisor.Transient, Body: supervisor.Body(in)}}})
		s := supervisor.Of(f.ref("a").Tasklet().Parent())
		b := f.child("b")
		b.Restart, b.Significant = supervisor.Temporary, true
		_, err := s.StartChild(t0, b)
		require.NoError(t, err)
		f.send(t0, "b", actor.ErrStop)
		require.Equal(t, "in stopped", states(t0, top))
	})
}

// Defaults: "shutdown is 5000 for workers and infinity for supervisors"; "brutal_kill: killed
// unconditionally"; "a time: told to shut down, and killed if it has not ended within it".
func TestShutdownTimes(t *testing.T) {
	// recovers a soft kill and goes on; a hard one ends it
	stubborn := func(*actor.Tasklet) actor.Body {
		return actor.GoBody(func(t *actor.Tasklet) error {
			for t.Err() == nil {
				func() {
					defer func() { _ = recover() }()
					t.Sleep(time.Hour)
				}()
			}
			return nil
		})
	}
	for _, c := range []struct {
		name     string
		shutdown time.Duration
		options  []actor.Option
		took     time.Duration
	}{
		{"default", 0, nil, 5 * time.Second},
		{"a time", time.Minute, nil, time.Minute},
		{"brutal", actor.BrutalKill, nil, 0},
		{"as an option", 0, []actor.Option{actor.Shutdown(time.Second)}, time.Second},
		{"the spec before the option", 2 * time.Second, []actor.Option{actor.Shutdown(time.Second)}, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, how := range []string{"StopChild", "Kill"} {
				run(t, func(t0 *actor.Tasklet) {
					s := start(t0, supervisor.Spec{Children: []supervisor.Child{
						{ID: "a", Body: stubborn(t0), Shutdown: c.shutdown, Options: c.options},
					}})
					settle(t0)
					before := t0.System().Now()
					if how == "Kill" {
						s.Tasklet().Kill()
						_ = s.Tasklet().Join(t0)
					} else {
						require.NoError(t, s.StopChild(t0, "a"))
					}
					require.Equal(t, c.took, t0.System().Now().Sub(before), how)
				})
			}
		})
	}
	// A nested supervisor is waited for as long as its children need: 5 s each here.
	run(t, func(t0 *actor.Tasklet) {
		in := supervisor.Spec{Children: []supervisor.Child{{ID: "a", Body: stubborn(t0)}, {ID: "b", Body: stubborn(t0)}, {ID: "c", Body: stubborn(t0)}}}
		s := start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "in", Body: supervisor.Body(in)}}})
		settle(t0)
		before := t0.System().Now()
		require.NoError(t, s.StopChild(t0, "in"))
		require.Equal(t, 15*time.Second, t0.System().Now().Sub(before))
	})
}

// "start_child: {already_started} / already_present; terminate_child: not_found; restart_child:
// running, restarting, not_found; delete_child alike." The traces have each of them; here are the
// values and the calls that find the supervisor ended (rule 33).
func TestCallErrors(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Children: f.children("a", "b")})
		require.NoError(t, s.StopChild(t0, "b"))
		require.NoError(t, s.StopChild(t0, "b"), "stopping one that is stopped is no error")
		other := supervisor.Child{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { return nil })}
		_, err := s.StartChild(t0, other)
		require.Equal(t, supervisor.ErrAlreadyStarted, err)
		other.ID = "b"
		_, err = s.StartChild(t0, other)
		require.Equal(t, supervisor.ErrAlreadyPresent, err)
		require.Equal(t, supervisor.ErrNotFound, s.StopChild(t0, "x"))
		_, err = s.RestartChild(t0, "x")
		require.Equal(t, supervisor.ErrNotFound, err)
		require.Equal(t, supervisor.ErrNotFound, s.DeleteChild(t0, "x"))
		_, err = s.RestartChild(t0, "a")
		require.Equal(t, supervisor.ErrRunning, err)
		require.Equal(t, supervisor.ErrRunning, s.DeleteChild(t0, "a"))
		// A failed start is not kept, and its ref ends; a failed RestartChild leaves it stopped,
		// and closed.
		f.fail["c"] = []error{errCrash}
		_, err = s.StartChild(t0, f.child("c"))
		var se *supervisor.StartError
		require.ErrorAs(t, err, &se)
		require.Equal(t, "c", se.ID)
		require.True(t, f.ref("c").IsDead())
		f.fail["b"] = []error{errCrash}
		_, err = s.RestartChild(t0, "b")
		require.ErrorAs(t, err, &se)
		require.Equal(t, "a running, b stopped", states(t0, s))
		require.ErrorIs(t, f.ref("b").Send(t0, 1), mailbox.ErrClosed)

		// A call in the line of one that ends, and calls after its end.
		s.Tasklet().Kill()
		_, err = s.Children(t0)
		var je *actor.JoinError
		require.True(t, errors.As(err, &je) || errors.Is(err, mailbox.ErrClosed), "%v", err)
		require.NotErrorIs(t, err, supervisor.ErrNotFound)
		_ = s.Tasklet().Join(t0)
		for _, err := range []error{
			s.StopChild(t0, "a"), s.DeleteChild(t0, "a"),
			func() error { _, err := s.StartChild(t0, supervisor.Child{ID: "z", Body: other.Body}); return err }(),
			func() error { _, err := s.RestartChild(t0, "a"); return err }(),
			func() error { _, err := s.Children(t0); return err }(),
			func() error { _, err := s.Count(t0); return err }(),
		} {
			require.ErrorIs(t, err, mailbox.ErrClosed)
		}
		require.Nil(t, supervisor.Of(s.Tasklet()))
	})
}

// slowInit is a child whose init takes d.
func (f *family) slowInit(id string, d time.Duration) supervisor.Child {
	c := f.child(id)
	return supervisor.Child{ID: id, Body: c.Body, Options: []actor.Option{actor.OnStart(func(t *actor.Tasklet) error {
		f.log = append(f.log, "init "+id)
		t.Sleep(d)
		return nil
	})}}
}

// Rule 32: if the context of StartChild ends first, the caller gets ErrTimeout and the start goes
// on. While an init runs the supervisor answers nobody.
func TestStartChildTimeout(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{})
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		before := t0.System().Now()
		_, err := s.StartChild(ctx, f.slowInit("a", time.Minute))
		require.ErrorIs(t, err, actor.ErrTimeout)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, t0.System().Now().Sub(before))
		require.Equal(t, "a running", states(t0, s))
		require.Equal(t, time.Minute, t0.System().Now().Sub(before))
	})
}

// Rule 32: a call from an init to its own supervisor is a *DeadlockError, and is not done later
// either.
func TestCallFromInit(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Children: f.children("b")})
		var inside error
		c := f.child("a")
		c.Options = []actor.Option{actor.OnStart(func(t *actor.Tasklet) error {
			inside = s.StopChild(t, "b")
			return nil
		})}
		_, err := s.StartChild(t0, c)
		require.NoError(t, err)
		var de *actor.DeadlockError
		require.ErrorAs(t, inside, &de)
		settle(t0)
		require.Equal(t, "b running, a running", states(t0, s))
		// From its handler it may; it may even stop itself.
		f.send(t0, "a", func(t *actor.Tasklet) error { return s.StopChild(t, "b") })
		f.send(t0, "a", func(t *actor.Tasklet) error { return s.StopChild(t, "a") })
		require.Equal(t, "b stopped, a stopped", states(t0, s))
	})
}

// Rule 32: a kill of the supervisor while an init runs kills the init and undoes.
func TestKillDuringInit(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		starter := actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := supervisor.Start(t, supervisor.Spec{Name: "s", Children: []supervisor.Child{
				f.child("a"), f.slowInit("b", time.Hour), f.child("c"),
			}})
			return err
		})
		settle(t0)
		before := t0.System().Now()
		starter.Children()[0].Kill()
		require.ErrorIs(t, starter.Join(t0), actor.ErrKilled)
		require.Equal(t, "start a, init b, end a", f.took())
		require.Zero(t, t0.System().Now().Sub(before))
		for _, id := range []string{"a", "b", "c"} {
			require.True(t, f.ref(id).IsDead(), id)
		}
	})
	// In StartChild: the caller is told, and so it is when a child is being stopped.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Children: f.children("a")})
		call := actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := s.StartChild(t, f.slowInit("b", time.Hour))
			return err
		})
		settle(t0)
		s.Tasklet().Kill()
		var je *actor.JoinError
		require.ErrorAs(t, call.Join(t0), &je)
		require.ErrorIs(t, je, actor.ErrKilled)
		_ = s.Tasklet().Join(t0)
		require.Equal(t, "start a, init b, end a", f.took())
	})
}

// The text of every *SpecError, from Start and from StartChild.
func TestSpecErrors(t *testing.T) {
	nop := func(*actor.Tasklet, int) error { return nil }
	body := actor.GoBody(func(*actor.Tasklet) error { return nil })
	ref := actor.NewRef[int]()
	dead := actor.NewRef[int]()
	one := func(c supervisor.Child) supervisor.Spec { return supervisor.Spec{Children: []supervisor.Child{c}} }
	run(t, func(t0 *actor.Tasklet) {
		slot, err := actor.NewSlot(t0, actor.ReceiverBody(dead, nop), nil)
		require.NoError(t, err)
		slot.Retire()
		busy := actor.NewRef[int]()
		actor.StartTasklet(t0, actor.ReceiverBody(busy, nop))
		defer busy.Kill()
		for text, spec := range map[string]supervisor.Spec{
			`Spec.Name contains a slash`:                            {Name: "a/b"},
			`Spec.Strategy is not a strategy`:                       {Strategy: 3},
			`Spec.Intensity is negative`:                            {Intensity: -2},
			`Spec.Period is negative`:                               {Period: -1},
			`Spec.AutoShutdown is not a value of its type`:          {AutoShutdown: 3},
			`Spec.LogEvery is negative`:                             {LogEvery: -1},
			`Spec.Backoff has a negative time`:                      {Backoff: supervisor.Backoff{Min: -1}},
			`Spec.Backoff has a Factor below 1`:                     {Backoff: supervisor.Backoff{Min: 1, Factor: 0.5}},
			`Spec.Backoff has a Jitter that is not between 0 and 1`: {Backoff: supervisor.Backoff{Min: 1, Jitter: 1.5}},
			`Spec.Backoff has a Max below Min`:                      {Backoff: supervisor.Backoff{Min: 2, Max: 1}},
			`Spec.Children[1].ID is empty`:                          {Children: []supervisor.Child{{ID: "a", Body: body}, {Body: body}}},
			`child "a": ID is used by two children`:                 {Children: []supervisor.Child{{ID: "a", Body: body}, {ID: "a", Body: body}}},
			`child "b": Body reads the same ref as that of child "a"`: {Children: []supervisor.Child{
				{ID: "a", Body: actor.ReceiverBody(ref, nop)}, {ID: "b", Body: actor.ReceiverBody(ref, nop)},
			}},
			`child "a/b": ID contains a slash`:                                            one(supervisor.Child{ID: "a/b", Body: body}),
			`child "a": Body is nil`:                                                      one(supervisor.Child{ID: "a"}),
			`child "a": Restart is not a restart type`:                                    one(supervisor.Child{ID: "a", Body: body, Restart: 3}),
			`child "a": Shutdown is negative`:                                             one(supervisor.Child{ID: "a", Body: body, Shutdown: -3}),
			`child "a": Retry is negative`:                                                one(supervisor.Child{ID: "a", Body: body, Retry: -1}),
			`child "a": Retry is only for bodies that handle one message after the other`: one(supervisor.Child{ID: "a", Body: body, Retry: 1}),
			`child "a": Options don't fit: the option Immediate can't be used here`: one(supervisor.Child{
				ID: "a", Body: body, Options: []actor.Option{actor.Immediate()}}),
			`child "a": Options don't fit: the option Daemon can't be used here: a daemon has no parent`: one(supervisor.Child{
				ID: "a", Body: body, Options: []actor.Option{actor.Daemon()}}),
			`child "a": Significant is not possible for a permanent child, which is always restarted`: {
				AutoShutdown: supervisor.AnySignificant, Children: []supervisor.Child{{ID: "a", Body: body, Significant: true}}},
			`child "a": Significant has no meaning in a supervisor with AutoShutdown Never`: one(supervisor.Child{
				ID: "a", Body: body, Restart: supervisor.Transient, Significant: true}),
			`child "a": Body reads a ref whose tasklet runs already`: one(supervisor.Child{ID: "a", Body: actor.ReceiverBody(busy, nop)}),
			`child "a": Body reads a dead ref`:                       one(supervisor.Child{ID: "a", Body: actor.ReceiverBody(dead, nop)}),
		} {
			_, err := supervisor.Start(t0, spec)
			var se *supervisor.SpecError
			require.ErrorAs(t, err, &se, text)
			require.True(t, strings.HasSuffix(text, se.Field+" "+se.Rule), text)
			require.EqualError(t, err, "supervisor: "+text)
			require.PanicsWithError(t, "supervisor: "+text, func() { supervisor.Body(spec) })
		}
		s := start(t0, one(supervisor.Child{ID: "a", Body: actor.ReceiverBody(ref, nop)}))
		for text, c := range map[string]supervisor.Child{
			`Child.ID is empty`:      {Body: body},
			`child "b": Body is nil`: {ID: "b"},
			`child "b": Significant has no meaning in a supervisor with AutoShutdown Never`: {
				ID: "b", Body: body, Restart: supervisor.Transient, Significant: true},
			`child "b": Body reads a ref whose tasklet runs already`: {ID: "b", Body: actor.ReceiverBody(ref, nop)},
		} {
			_, err := s.StartChild(t0, c)
			var se *supervisor.SpecError
			require.ErrorAs(t, err, &se, text)
			require.EqualError(t, err, "supervisor: "+text)
		}
		require.NoError(t, s.StopChild(t0, "a"))
		_, err = s.StartChild(t0, supervisor.Child{ID: "b", Body: actor.ReceiverBody(ref, nop)})
		require.EqualError(t, err, `supervisor: child "b": Body reads the same ref as that of child "a"`)
	})
}

// The spec is copied: what the caller does with it later has no effect. The strings of the types
// are OTP's.
func TestSpecIsCopied(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		cs := f.children("a", "b")
		s := start(t0, supervisor.Spec{Intensity: 5, Children: cs})
		cs[0], cs[1] = cs[1], cs[0]
		require.Equal(t, "a running, b running", states(t0, s))
	})
	require.Equal(t, "one_for_one one_for_all rest_for_one strategy(?)", fmt.Sprint(
		supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne, supervisor.Strategy(7)))
	require.Equal(t, "permanent transient temporary restart(?)", fmt.Sprint(
		supervisor.Permanent, supervisor.Transient, supervisor.Temporary, supervisor.Restart(7)))
	require.Equal(t, "never any_significant all_significant auto_shutdown(?)", fmt.Sprint(
		supervisor.Never, supervisor.AnySignificant, supervisor.AllSignificant, supervisor.AutoShutdown(7)))
}
