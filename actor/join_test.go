package actor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
)

// Rule 20: Join gives nil for an end that is no failure, also a wrapped one, else a *JoinError with
// the cause; before the end and after it, to as many as ask.
func TestRule20JoinResults(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(*actor.Tasklet) (int, error)
		kind reason.Kind
		text string // of the error; "": nil
	}{
		{"value", func(*actor.Tasklet) (int, error) { return 7, nil }, reason.Normal, ""},
		{"ErrStop", func(*actor.Tasklet) (int, error) { return 7, actor.ErrStop }, reason.Normal, ""},
		{"ErrShutdown wrapped", func(*actor.Tasklet) (int, error) { return 7, fmt.Errorf("bye: %w", actor.ErrShutdown) }, reason.Shutdown, ""},
		{"error", func(*actor.Tasklet) (int, error) { return 7, errTest }, reason.Error, "/tasklet/x: test"},
		{"panic", func(*actor.Tasklet) (int, error) { panic(errTest) }, reason.Panic, "/tasklet/x: panic: test"},
		{"panic with ErrStop", func(*actor.Tasklet) (int, error) { panic(actor.ErrStop) }, reason.Panic, "/tasklet/x: panic: actor: stop"},
		{"killed", func(t *actor.Tasklet) (int, error) { t.Kill(); t.Sleep(1); return 7, nil }, reason.Killed, "/tasklet/x: actor: killed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				k := actor.New(t0, c.f, actor.Name("x"))
				var before []*actor.Task[int]
				for range 3 {
					before = append(before, actor.New(t0, func(t *actor.Tasklet) (int, error) { return k.Join(t) }))
				}
				check := func(v int, err error) {
					if c.text == "" {
						require.NoError(t, err)
						require.Equal(t, 7, v)
						return
					}
					require.EqualError(t, err, c.text)
					var je *actor.JoinError
					require.True(t, errors.As(err, &je))
					require.Same(t, k.Tasklet(), je.Tasklet)
					require.Equal(t, c.kind, actor.KindOf(je.Cause))
					require.Equal(t, reason.Error, actor.KindOf(err), "who returns it has failed with an error, no more")
					exit, over := k.Tasklet().Exit()
					require.True(t, over)
					require.Equal(t, c.kind, exit.Kind)
					require.Equal(t, err, exit.Failure())
				}
				check(k.Join(t0))
				check(k.Join(t0))
				require.True(t, k.HasFinished())
				for _, b := range before {
					_, err := b.Join(t0)
					require.Equal(t, c.text != "", err != nil)
				}
				type result struct {
					v   int
					err error
				}
				elsewhere := make(chan result)
				go func() { v, err := k.Join(context.Background()); elsewhere <- result{v, err} }()
				r := <-elsewhere
				check(r.v, r.err)
				return nil
			})
		})
	}
}

// Rule 21: joiners are woken in the order in which they came, when the children and the deferred
// calls are over.
func TestRule21JoinersInOrder(t *testing.T) {
	var got []string
	run(t, func(t0 *actor.Tasklet) error {
		target := actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(time.Second); got = append(got, "deferred") })
			actor.Go(t, func(c *actor.Tasklet) error {
				c.Defer(func() { got = append(got, "child") })
				c.Sleep(time.Hour)
				return nil
			})
			t.Yield()
			got = append(got, "body")
			return nil
		})
		for i := range 4 {
			actor.Go(t0, func(t *actor.Tasklet) error {
				err := target.Join(t)
				if !target.HasFinished() {
					return errTest
				}
				got = append(got, fmt.Sprint("joiner", i))
				return err
			})
		}
		_, err := t0.JoinChildren(t0)
		return err
	})
	require.Equal(t, []string{"body", "child", "deferred", "joiner0", "joiner1", "joiner2", "joiner3"}, got)
}

// Rule 13: the wait for an end can end earlier, by a deadline or another end of the context; the
// tasklet is not touched.
func TestRule13JoinContext(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.New(t0, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 7, nil })
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		v, err := k.Join(ctx)
		require.Equal(t, actor.ErrTimeout, err)
		require.Zero(t, v)
		require.False(t, k.HasFinished())
		_, err = k.Join(ctx) // at once
		require.Equal(t, actor.ErrTimeout, err)

		cause, cancelCause := context.WithCancelCause(t0)
		actor.Go(t0, func(*actor.Tasklet) error { cancelCause(errTest); return nil })
		_, err = k.Join(cause)
		require.Equal(t, errTest, err)

		v, err = k.Join(t0)
		require.NoError(t, err)
		require.Equal(t, 7, v)
		v, err = k.Join(ctx)
		require.NoError(t, err, "the result wins")
		require.Equal(t, 7, v)
		return nil
	})
}

// Rule 13 for an ordinary goroutine.
func TestRule13JoinFromGoroutine(t *testing.T) {
	s := started(t)
	k := actor.New(s, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 7, nil })
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errTest)
	_, err := k.Join(ctx)
	require.Equal(t, errTest, err)
	timed, cancelTimed := context.WithTimeout(context.Background(), 0)
	defer cancelTimed()
	_, err = k.Join(timed)
	require.Equal(t, actor.ErrTimeout, err)
	errs := make(chan error)
	for range 4 {
		go func() { _, err := k.Join(context.Background()); errs <- err }()
	}
	k.Kill()
	for range 4 {
		require.ErrorIs(t, <-errs, actor.ErrKilled)
	}
	_, err = k.Join(ctx)
	require.ErrorIs(t, err, actor.ErrKilled, "the result wins")
}

// JoinAll and JoinEach give the results in the order of their arguments, and don't stop at a
// failure; their error is only for a wait that ended early.
func TestJoinAll(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var ks []*actor.Task[int]
		var ts []*actor.Tasklet
		for i := range 4 {
			k := actor.New(t0, func(t *actor.Tasklet) (int, error) {
				t.Sleep(time.Duration(4-i) * time.Second)
				if i == 1 {
					return 0, errTest
				}
				return i, nil
			}, actor.Name(fmt.Sprint("k", i)))
			ks, ts = append(ks, k), append(ts, k.Tasklet())
		}
		ts = append(ts, actor.Go(t0, func(*actor.Tasklet) error { return nil }))
		ctx, cancel := actor.WithTimeout(t0, 3500*time.Millisecond)
		defer cancel()
		rs, err := actor.JoinAll(ctx, ks[1:]...)
		require.NoError(t, err)
		require.Len(t, rs, 3)
		require.EqualError(t, rs[0].Err, "/tasklet/k1: test")
		require.Equal(t, []actor.Result[int]{{Value: 2}, {Value: 3}}, rs[1:])
		rs, err = actor.JoinAll(ctx, ks[3], ks[0], ks[2])
		require.Equal(t, actor.ErrTimeout, err)
		require.Equal(t, []actor.Result[int]{{Value: 3}, {Err: actor.ErrTimeout}, {}}, rs)
		each, err := actor.JoinEach(t0, ts...)
		require.NoError(t, err)
		require.Equal(t, 0, each[0].Value)
		require.ErrorIs(t, each[1].Err, errTest)
		require.Equal(t, 2, each[2].Value)
		require.Equal(t, actor.Result[any]{}, each[4])
		none, err := actor.JoinAll[int](t0)
		require.NoError(t, err)
		require.Empty(t, none)
		return nil
	})
}

// JoinChildren joins those that are alive when it is called, in order of start.
func TestJoinChildren(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		over := actor.New(t0, func(*actor.Tasklet) (int, error) { return -1, nil })
		_, _ = over.Join(t0)
		for i := range 3 {
			actor.New(t0, func(t *actor.Tasklet) (int, error) {
				if i == 0 {
					actor.Go(t0.System(), func(t *actor.Tasklet) error { t.Sleep(time.Minute); return nil })
				}
				t.Sleep(time.Second)
				return i, nil
			})
		}
		actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Daemon())
		begin := t0.System().Now()
		rs, err := t0.JoinChildren(t0)
		require.NoError(t, err)
		require.Equal(t, []actor.Result[any]{{Value: 0}, {Value: 1}, {Value: 2}}, rs)
		require.Equal(t, time.Second, t0.System().Now().Sub(begin))
		require.Len(t, t0.Children(), 1)
		return nil
	})
}

// Rule 1: the Join of a ref means the end for good: over restarts, until the ref is retired.
func TestRule1JoinOfRef(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ref := actor.NewRef[int]()
		body := actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errTest })
		var ends []reason.Kind
		slot, start := starter(t, t0, body, func(e actor.Exit) { ends = append(ends, e.Kind) })
		joined := actor.Go(t0, func(t *actor.Tasklet) error { return ref.Join(t) })
		outside := make(chan error, 1)
		go func() { outside <- ref.Join(context.Background()) }()
		for range 3 {
			c := start()
			require.NoError(t, ref.Send(t0, 1))
			require.ErrorIs(t, c.Join(t0), errTest)
			require.False(t, joined.HasFinished())
			require.False(t, actor.Finished(ref))
		}
		require.Len(t, ends, 3)
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		slot.Retire()
		require.True(t, actor.Finished(ref))
		require.ErrorIs(t, joined.Join(t0), errTest)
		require.ErrorIs(t, ref.Join(t0), errTest)
		require.ErrorIs(t, <-outside, errTest)

		never := actor.NewRef[int]()
		require.Equal(t, actor.ErrTimeout, never.Join(ctx))
		_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
			ctx, cancel := context.WithTimeout(ctx, 0)
			defer cancel()
			return 0, never.Join(ctx)
		})
		require.Equal(t, actor.ErrTimeout, err)
		return nil
	})
}

// Many goroutines and tasklets join and end at the same time, and all are told.
func TestJoinFromEverywhere(t *testing.T) {
	s, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	const n = 50
	errs := make(chan error)
	for range n {
		k := actor.New(s, func(t *actor.Tasklet) (int, error) { t.Yield(); return 1, nil })
		for range 2 {
			go func() {
				v, err := k.Join(context.Background())
				if v != 1 {
					err = fmt.Errorf("%d, %w", v, err)
				}
				errs <- err
			}()
		}
		actor.Go(s, func(t *actor.Tasklet) error { _, err := k.Join(t); errs <- err; return nil })
	}
	for range 3 * n {
		require.NoError(t, <-errs)
	}
	require.NoError(t, s.Stop(context.Background()))
}
