package actor_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// panicOf gives what f panics with.
func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// Rule 11: the context ends when the body has ended, or a kill has become hard; a soft kill does
// not end it, and Err is the context's error, never the result.
func TestRule11WhenDone(t *testing.T) {
	ended := func(ctx context.Context) bool {
		select {
		case <-ctx.Done():
			return true
		default:
			return false
		}
	}
	run(t, func(t0 *actor.Tasklet) error {
		early := actor.Go(t0, func(t1 *actor.Tasklet) error {
			require.False(t, ended(t1))
			require.NoError(t, t1.Err())
			before, cancel := actor.WithTimeout(t1, time.Hour)
			defer cancel()
			t1.Defer(func() {
				require.True(t, ended(t1), "in a deferred call the body has ended")
				require.Equal(t, context.Canceled, t1.Err())
				require.Equal(t, context.Canceled, before.Err())
				t1.Sleep(time.Second) // and it can wait all the same, under a limit too
				limit, cancel := actor.WithTimeout(t1, time.Second)
				defer cancel()
				require.Equal(t, actor.ErrTimeout, actor.NewRef[int]().Join(limit))
			})
			return errTest
		})
		require.ErrorIs(t, early.Join(t0), errTest)
		require.Equal(t, context.Canceled, early.Err())
		require.True(t, ended(early))

		soft := actor.Go(t0, func(t1 *actor.Tasklet) error {
			func() {
				defer func() {
					require.IsType(t, &actor.Killed{}, recover())
					require.False(t, ended(t1))
					require.NoError(t, t1.Err())
				}()
				t1.Sleep(time.Hour)
			}()
			t1.Sleep(time.Second) // it goes on with a working context
			require.NoError(t, t1.Err())
			return nil
		})
		t0.Yield()
		soft.Kill()
		require.NoError(t, soft.Join(t0))

		hard := actor.Go(t0, func(t1 *actor.Tasklet) error {
			defer func() {
				require.True(t, ended(t1))
				require.Equal(t, context.Canceled, t1.Err())
			}()
			t1.Sleep(time.Hour)
			return nil
		})
		t0.Yield()
		require.NoError(t, actor.StopChild(t0, hard, actor.BrutalKill))
		require.ErrorIs(t, hard.Join(t0), actor.ErrKilled)
		return nil
	})
}

// Rule 11: the end reaches contexts derived from a tasklet, and its AfterFuncs; stopping one of
// these works as in package context.
func TestRule11EndReachesDerived(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		called := make(chan string, 3)
		var derived []context.Context
		var cancels []context.CancelFunc
		c := actor.Go(t0, func(c *actor.Tasklet) error {
			a, cancelA := context.WithCancel(c)
			b, cancelB := context.WithTimeout(context.WithValue(c, runKey{}, 1), time.Hour)
			d, cancelD := actor.WithTimeout(c, time.Hour)
			e, cancelE := actor.WithTimeout(d, time.Hour)
			f, cancelF := actor.WithTimeout(a, time.Hour)
			g, cancelG := context.WithCancel(e)
			derived = append(derived, a, b, e, d, f, g)
			cancels = append(cancels, cancelA, cancelB, cancelD, cancelE, cancelF, cancelG)
			context.AfterFunc(c, func() { called <- "called" })
			require.True(t, context.AfterFunc(c, func() { called <- "stopped" })())
			return nil
		})
		require.NoError(t, c.Join(t0))
		_, err := actor.Await(t0, func(context.Context) (int, error) {
			require.Equal(t, "called", <-called)
			for _, ctx := range derived {
				<-ctx.Done()
				require.Equal(t, context.Canceled, ctx.Err())
				require.Equal(t, context.Canceled, context.Cause(ctx))
			}
			context.AfterFunc(c, func() { called <- "at once" })
			require.Equal(t, "at once", <-called)
			require.Empty(t, called)
			return 0, nil
		})
		for _, cancel := range cancels {
			cancel()
		}
		return err
	})
}

// Rule 11: Run's context is a parent for its values only: its end kills main, and main's context is
// not done by that.
func TestRule11RunsContext(t *testing.T) {
	parent, cancel := context.WithCancelCause(context.WithValue(context.Background(), runKey{}, "value"))
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(parent, cfg, func(t0 *actor.Tasklet) error {
		require.Equal(t, "value", t0.Value(runKey{}))
		require.Nil(t, t0.Value("another"))
		defer func() {
			exit := recover()
			require.IsType(t, &actor.Killed{}, exit)
			require.NoError(t, t0.Err())
			require.NoError(t, context.Cause(t0), "that of Run's context is not main's")
			require.NoError(t, context.Cause(context.WithValue(t0, runKey{}, 1)))
			ctx, cancel := context.WithCancel(t0)
			require.NoError(t, ctx.Err())
			cancel()
			panic(exit)
		}()
		cancel(errTest)
		_, _ = actor.Await(t0, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, nil })
		return nil
	})
	require.Equal(t, errTest, err)
}

// Rule 11: deriving from a tasklet starts no goroutine.
func TestDerivingStartsNoGoroutine(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		before := runtime.NumGoroutine()
		for range 100 {
			_, cancel := context.WithCancel(t0)
			defer cancel()
			ctx, cancel2 := context.WithTimeout(t0, time.Hour)
			defer cancel2()
			_, cancel3 := context.WithCancelCause(ctx)
			defer cancel3(nil)
			ours, cancel4 := actor.WithTimeout(t0, time.Hour)
			defer cancel4()
			_, cancel5 := actor.WithTimeout(ours, time.Minute)
			defer cancel5()
			_, cancel6 := context.WithCancel(ours)
			defer cancel6()
			defer context.AfterFunc(t0, func() {})()
		}
		require.Less(t, runtime.NumGoroutine(), before+50, "others of the process may come and go")
		return nil
	})
}

// Rule 14: our deadlines go by the system's clock; with a virtual one Deadline does not show them.
func TestRule14Deadlines(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		waited := func() time.Duration { return t0.System().Now().Sub(begin) }
		never := actor.NewRef[ask]()
		_, has := t0.Deadline()
		require.False(t, has)
		ctx, cancel := actor.WithTimeout(t0, time.Minute)
		defer cancel()
		_, has = ctx.Deadline()
		require.False(t, has)
		// the outer one is earlier
		inner, cancelInner := actor.WithDeadline(ctx, begin.Add(time.Hour))
		defer cancelInner()
		_, err := actor.Call(inner, never, asking(1))
		require.Equal(t, actor.ErrTimeout, err)
		require.Equal(t, time.Minute, waited())
		require.Equal(t, context.DeadlineExceeded, inner.Err())
		require.Equal(t, context.DeadlineExceeded, ctx.Err())

		cancelled, cancelIt := actor.WithTimeout(t0, time.Minute)
		cancelIt()
		require.Equal(t, context.Canceled, cancelled.Err())
		_, err = actor.Call(cancelled, never, asking(1))
		require.Equal(t, context.Canceled, err)
		past, cancelPast := actor.WithDeadline(t0, begin)
		defer cancelPast()
		require.Equal(t, context.DeadlineExceeded, past.Err())
		<-past.Done()
		return nil
	})
}

// Rule 14: with the real clock Deadline shows what is earliest; outside of tasklets WithTimeout is
// that of package context.
func TestRule14RealDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		parent, cancelParent := context.WithTimeout(context.Background(), time.Hour)
		defer cancelParent()
		err := actor.Run(parent, actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
			at, has := t0.Deadline()
			require.True(t, has)
			require.Equal(t, begin.Add(time.Hour), at, "that of Run's context")
			ctx, cancel := actor.WithTimeout(t0, time.Minute)
			defer cancel()
			at, has = ctx.Deadline()
			require.True(t, has)
			require.True(t, begin.Add(time.Minute).Equal(at))
			std, cancelStd := context.WithTimeout(ctx, time.Second)
			defer cancelStd()
			_, err := actor.Call(std, actor.NewRef[ask](), asking(1))
			require.Equal(t, actor.ErrTimeout, err)
			require.Equal(t, time.Second, time.Since(begin))
			_, err = actor.Call(ctx, actor.NewRef[ask](), asking(1))
			require.Equal(t, actor.ErrTimeout, err)
			require.Equal(t, time.Minute, time.Since(begin))
			return nil
		})
		require.NoError(t, err)
		ctx, cancel := actor.WithDeadline(context.Background(), time.Now().Add(time.Second))
		defer cancel()
		<-ctx.Done()
		require.Equal(t, context.DeadlineExceeded, ctx.Err())
	})
}

// Rule 12: a context may be used only inside its own tasklet, also one that is derived.
func TestRule12ContextOfAnother(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		derived, cancel := actor.WithTimeout(t0, time.Hour)
		defer cancel()
		std := context.WithValue(t0, runKey{}, 1)
		ref := actor.NewRef[ask]()
		k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		other := actor.Go(t0, func(me *actor.Tasklet) error {
			for _, ctx := range []context.Context{t0, derived, std} {
				for _, f := range []func(){
					func() { _ = ref.Send(ctx, ask{}) }, func() { _ = ref.TrySend(ctx, ask{}) },
					func() { _ = k.Join(ctx) }, func() { _, _ = actor.Call(ctx, ref, asking(1)) }, func() { _ = ref.Join(ctx) },
				} {
					require.Regexp(t, `^scheduler: [\w ]+ with the context of /tasklet, but /tasklet/other is running: a context may be used only inside its own tasklet$`, panicOf(f))
				}
			}
			return nil
		}, actor.Name("other"))
		require.NoError(t, other.Join(t0))
		require.Equal(t, 0, ref.Len())
		return nil
	})
}

// Rule 12: an ordinary goroutine's context inside a tasklet gives what can be had without parking.
func TestRule12PlainContextInside(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		plain := context.Background()
		ref := actor.NewRef[int](actor.MailboxLen(1))
		require.NoError(t, ref.Send(plain, 1))
		require.Equal(t, mailbox.ErrFull, ref.TrySend(plain, 2))
		done, cancel := context.WithCancelCause(plain)
		cancel(errTest)
		require.Equal(t, errTest, ref.Send(done, 2))
		k := actor.Go(t0, func(*actor.Tasklet) error { return errTest })
		_ = k.Join(t0)
		require.ErrorIs(t, k.Join(plain), errTest)
		require.Nil(t, actor.Current(plain))
		require.Same(t, t0, actor.Current(context.WithValue(t0, runKey{}, 1)))
		return nil
	})
}

// Rule 13: ErrTimeout is one value, and has Timeout.
func TestRule13ErrTimeout(t *testing.T) {
	require.Equal(t, scheduler.ErrTimeout, actor.ErrTimeout)
	require.Equal(t, mailbox.ErrTimeout, actor.ErrTimeout)
	require.ErrorIs(t, actor.ErrTimeout, context.DeadlineExceeded)
	var timeout interface{ Timeout() bool }
	require.True(t, errors.As(actor.ErrTimeout, &timeout))
	require.True(t, timeout.Timeout())
}
