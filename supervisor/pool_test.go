package supervisor_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// job is the argument of the pools here: a child of a family, with a restart type.
type job struct {
	id      string
	restart supervisor.Restart
}

func jobs(f *family, made *int) func(job) supervisor.Child {
	return func(j job) supervisor.Child {
		*made++
		c := f.child(j.id)
		c.Restart = j.restart
		return c
	}
}

func startPool[A any](t *actor.Tasklet, spec supervisor.PoolSpec[A]) *supervisor.Pool[A] {
	p, err := supervisor.StartPool(t, spec)
	if err != nil {
		panic(err)
	}
	return p
}

// simple_one_for_one: "a simplified one_for_one supervisor, where all child processes are
// dynamically added instances of the same process type". A child is restarted by itself, with the
// same argument; who ended and is not restarted is forgotten.
func TestPool(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		made := 0
		p := startPool(t0, supervisor.PoolSpec[job]{Name: "workers", Child: jobs(f, &made), Intensity: 9})
		require.Equal(t, 0, p.Len())
		tasks := map[string]*actor.Tasklet{}
		for _, j := range []job{{"a", supervisor.Permanent}, {"b", supervisor.Transient}, {"c", supervisor.Temporary}} {
			task, err := p.Start(t0, j)
			require.NoError(t, err)
			require.Equal(t, "/tasklet/workers/"+j.id, task.Path())
			tasks[j.id] = task
		}
		require.Equal(t, 3, p.Len())
		f.took()
		f.send(t0, "a", errCrash)
		f.send(t0, "a", actor.ErrStop)
		f.send(t0, "b", errCrash)
		require.Equal(t, "end a, start a, end a, start a, end b, start b", f.took())
		require.Equal(t, 3, made, "the specification is made once for each argument")
		f.send(t0, "b", actor.ErrStop)
		f.send(t0, "c", errCrash)
		require.Equal(t, 1, p.Len())
		require.True(t, f.ref("b").IsDead() && f.ref("c").IsDead())
		require.False(t, f.ref("a").IsDead())

		require.ErrorIs(t, p.Stop(t0, tasks["a"]), supervisor.ErrNotFound, "that one has ended: it was restarted")
		require.NoError(t, p.Stop(t0, f.ref("a").Tasklet()))
		require.True(t, f.ref("a").IsDead())
		require.Equal(t, 0, p.Len())
		require.Nil(t, supervisor.Of(p.Tasklet()), "it is no supervisor to call")

		// One window for all, as in a supervisor.
		f2 := newFamily()
		p = startPool(t0, supervisor.PoolSpec[job]{Child: jobs(f2, &made)})
		for _, id := range []string{"x", "y"} {
			_, err := p.Start(t0, job{id: id})
			require.NoError(t, err)
		}
		f2.send(t0, "x", errCrash)
		f2.send(t0, "y", errCrash)
		require.ErrorIs(t, p.Tasklet().Join(t0), supervisor.ErrIntensity)
		_, err := p.Start(t0, job{id: "z"})
		require.ErrorIs(t, err, mailbox.ErrClosed)
		require.Equal(t, 0, p.Len())
		require.True(t, f2.ref("x").IsDead() && f2.ref("y").IsDead())
	})
}

// Errors of Start: what the child says, the bound, the failed init; ErrStop from init.
func TestPoolStartErrors(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		made := 0
		p := startPool(t0, supervisor.PoolSpec[job]{Name: "workers", Child: jobs(f, &made), Max: 2})
		f.fail["a"] = []error{errCrash}
		_, err := p.Start(t0, job{id: "a"})
		var se *supervisor.StartError
		require.ErrorAs(t, err, &se)
		require.ErrorIs(t, err, errCrash)
		require.Equal(t, 0, p.Len())
		require.True(t, f.ref("a").IsDead())
		f.fail["b"] = []error{actor.ErrStop}
		task, err := p.Start(t0, job{id: "b"})
		require.NoError(t, err)
		require.Nil(t, task)
		require.Equal(t, 0, p.Len())
		for _, id := range []string{"c", "d"} {
			_, err = p.Start(t0, job{id: id})
			require.NoError(t, err)
		}
		_, err = p.Start(t0, job{id: "e"})
		require.EqualError(t, err, "supervisor: pool /tasklet/workers is full: it has 2 children")
		require.ErrorIs(t, err, mailbox.ErrFull)
		_, err = p.Start(t0, job{id: "a/b"})
		require.EqualError(t, err, `supervisor: child "a/b": ID contains a slash`)
		_, err = p.Start(t0, job{id: "c"})
		require.EqualError(t, err, `supervisor: child "c": Body reads a ref whose tasklet runs already`)
	})
	child := func(int) supervisor.Child { return supervisor.Child{} }
	for text, spec := range map[string]supervisor.PoolSpec[int]{
		"PoolSpec.Child is nil":          {},
		"PoolSpec.Max is negative":       {Child: child, Max: -1},
		"PoolSpec.Shutdown is negative":  {Child: child, Shutdown: -3},
		"PoolSpec.Intensity is negative": {Child: child, Intensity: -2},
		"PoolSpec.Period is negative":    {Child: child, Period: -2},
		"PoolSpec.Name contains a slash": {Child: child, Name: "a/b"},
	} {
		run(t, func(t0 *actor.Tasklet) {
			_, err := supervisor.StartPool(t0, spec)
			require.EqualError(t, err, "supervisor: "+text)
			require.PanicsWithError(t, "supervisor: "+text, func() { supervisor.NewPool(spec) })
		})
	}
}

// A pool is a child like any other; when it is restarted it is empty. Its children may do without
// an ID.
func TestPoolAsAChild(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		var refs []actor.Ref[int]
		p := supervisor.NewPool(supervisor.PoolSpec[int]{Child: func(n int) supervisor.Child {
			ref := actor.NewRef[int]()
			refs = append(refs, ref)
			return supervisor.Child{Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errCrash })}
		}})
		require.Nil(t, p.Tasklet())
		s := start(t0, supervisor.Spec{Name: "top", Intensity: 9, Children: []supervisor.Child{{ID: "pool", Body: p.Body()}}})
		for n := range 3 {
			task, err := p.Start(t0, n)
			require.NoError(t, err)
			require.True(t, strings.HasPrefix(task.Path(), "/tasklet/top/pool/"), task.Path())
			require.Equal(t, "pool", task.Parent().Info().Kind)
		}
		for range 2 {
			require.NoError(t, refs[1].Send(t0, 1))
			settle(t0)
		}
		require.Equal(t, "pool running", states(t0, s))
		require.Equal(t, 0, p.Len())
		require.True(t, refs[0].IsDead() && refs[1].IsDead() && refs[2].IsDead())
		_, err := p.Start(t0, 7)
		require.NoError(t, err)
		require.Equal(t, 1, p.Len())
		require.NoError(t, s.StopChild(t0, "pool"))
		_, err = p.Start(t0, 8)
		require.ErrorIs(t, err, mailbox.ErrClosed)
	})
}

// "All stopped together under one deadline": simple_one_for_one supervisors "terminate all their
// children asynchronously".
func TestPoolStopsTogether(t *testing.T) {
	// needs d to end, and longer if it was not killed hard
	slow := func(d time.Duration) supervisor.Child {
		return supervisor.Child{Body: actor.GoBody(func(t *actor.Tasklet) error {
			defer func() {
				if recover() != nil {
					t.Sleep(d)
				}
			}()
			t.Sleep(24 * time.Hour)
			return nil
		})}
	}
	for _, c := range []struct {
		shutdown time.Duration
		needs    []time.Duration
		took     time.Duration
	}{
		{0, []time.Duration{time.Second, 3 * time.Second, 2 * time.Second}, 3 * time.Second},
		{0, []time.Duration{time.Hour, time.Hour, time.Second}, 5 * time.Second},
		{time.Minute, []time.Duration{time.Hour, 2 * time.Hour, time.Second, 0}, time.Minute},
		{actor.BrutalKill, []time.Duration{time.Hour, time.Second}, 0},
		{actor.Infinity, []time.Duration{time.Hour, 2 * time.Hour}, 2 * time.Hour},
	} {
		t.Run(fmt.Sprint(c.shutdown, c.needs), func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) {
				p := startPool(t0, supervisor.PoolSpec[time.Duration]{Child: slow, Shutdown: c.shutdown})
				for _, d := range c.needs {
					_, err := p.Start(t0, d)
					require.NoError(t, err)
				}
				settle(t0)
				before := t0.System().Now()
				p.Tasklet().Kill()
				_ = p.Tasklet().Join(t0)
				require.Equal(t, c.took, t0.System().Now().Sub(before))
			})
		})
	}
}

// A child that does not end even so is left behind, all together a second after the deadline; who
// waits for its own children is not.
func TestPoolLeavesBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen events
		cfg := seen.config(event.StopTimeout)
		cfg.Logger = zap.NewNop()
		release := make(chan struct{})
		var took time.Duration
		err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			p, err := supervisor.StartPool(t0, supervisor.PoolSpec[string]{Name: "p", Shutdown: 2 * time.Second, Child: func(id string) supervisor.Child {
				if id == "family" { // a plain tasklet whose child takes long
					return supervisor.Child{ID: id, Body: actor.GoBody(func(t *actor.Tasklet) error {
						actor.Go(t, func(t *actor.Tasklet) error {
							defer func() { _ = recover(); t.Sleep(10 * time.Second) }()
							t.Sleep(time.Hour)
							return nil
						}, actor.Shutdown(time.Minute))
						t.Sleep(time.Hour)
						return nil
					})}
				}
				return supervisor.Child{ID: id, Body: actor.GoBody(func(t *actor.Tasklet) error {
					_, _ = actor.Await(t, func(context.Context) (int, error) { <-release; return 0, nil })
					return nil
				})}
			}})
			if err != nil {
				return err
			}
			for _, id := range []string{"x", "family", "y", "z"} {
				if _, err := p.Start(t0, id); err != nil {
					return err
				}
			}
			t0.Sleep(time.Millisecond)
			before := time.Now()
			p.Tasklet().Kill()
			_ = p.Tasklet().Join(t0)
			took = time.Since(before)
			close(release)
			return nil
		})
		require.ErrorContains(t, err, "/tasklet/p/x, /tasklet/p/y, /tasklet/p/z")
		require.Equal(t, []string{"stop_timeout /tasklet/p/x", "stop_timeout /tasklet/p/y", "stop_timeout /tasklet/p/z"}, seen.kinds())
		require.Equal(t, 10*time.Second, took)
	})
}

// A start whose supervisor is killed, a failing restart that is tried again, many at once.
func TestPoolRestartIsTriedAgain(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		made := 0
		p := startPool(t0, supervisor.PoolSpec[job]{Child: jobs(f, &made), Intensity: 3, Max: 1})
		_, err := p.Start(t0, job{id: "a"})
		require.NoError(t, err)
		f.took()
		f.fail["a"] = []error{errCrash, errCrash}
		f.send(t0, "a", errCrash)
		require.Equal(t, "end a, fail a, fail a, start a", f.took())
		require.Equal(t, 1, p.Len())
	})
	run(t, func(t0 *actor.Tasklet) {
		n := 0
		p := startPool(t0, supervisor.PoolSpec[int]{Child: func(int) supervisor.Child {
			return supervisor.Child{Restart: supervisor.Temporary, Body: actor.GoBody(func(*actor.Tasklet) error { n++; return nil })}
		}})
		for i := range 5000 {
			_, err := p.Start(t0, i)
			require.NoError(t, err)
		}
		settle(t0)
		require.Equal(t, 5000, n)
		require.Equal(t, 0, p.Len())
	})
}
