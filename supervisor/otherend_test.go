package supervisor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/supervisor"
)

type inquiry struct{ reply actor.Reply[int] }

func inquire(t *actor.Tasklet, to actor.Ref[inquiry]) error {
	_, err := actor.Call(t, to, func(r actor.Reply[int]) inquiry { return inquiry{r} })
	return err
}

// A transient child that fails because its callee stopped is restarted, whatever its body is; and
// so is one whose error hides behind a joined ErrStop.
func TestTransientChildOfAStoppedCallee(t *testing.T) {
	for _, says := range []error{actor.ErrStop, actor.ErrShutdown, actor.ErrKilled} {
		fails := func(t *actor.Tasklet) error {
			callee := actor.Receiver(t.System(), func(*actor.Tasklet, inquiry) error { return says })
			return inquire(t, callee)
		}
		ref := actor.NewRef[int]()
		starts := map[string]int{}
		count := actor.OnStart(func(t *actor.Tasklet) error { starts[t.Name()]++; return nil })
		for name, body := range map[string]actor.Body{
			"func":     actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return fails(t) }),
			"handle":   actor.ReceiverBody(ref, func(t *actor.Tasklet, _ int) error { return fmt.Errorf("x: %w", fails(t)) }),
			"every":    actor.IntervalBody(time.Second, fails),
			"joined":   actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return errors.Join(errors.New("disk full"), says) }),
			"answered": actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return denies(t, says) }),
		} {
			t.Run(fmt.Sprint(name, " ", says), func(t *testing.T) {
				actortest.Run(t, func(t0 *actor.Tasklet) {
					before := starts[name]
					_, err := supervisor.Start(t0, supervisor.Spec{Intensity: 100, Period: time.Nanosecond, Children: []supervisor.Child{
						{ID: name, Restart: supervisor.Transient, Body: body, Options: []actor.Option{count}}}})
					require.NoError(actortest.TB(t0), err)
					if name == "handle" {
						require.NoError(actortest.TB(t0), ref.Send(t0, 1))
					}
					t0.Sleep(1500 * time.Millisecond)
					require.Equal(actortest.TB(t0), 2, starts[name]-before)
				})
			})
		}
	}
}

// denies is a call that is answered with an error.
func denies(t *actor.Tasklet, with error) error {
	return inquire(t, actor.Receiver(t, func(t *actor.Tasklet, q inquiry) error { return q.reply.Fail(t, with) }))
}

// An init that returns its callee's end has failed, and is not "not wanted"; so has the start of
// the supervisor, and whoever returns that has failed, too.
func TestInitOfAStoppedCallee(t *testing.T) {
	for _, says := range []error{actor.ErrStop, actor.ErrShutdown} {
		actortest.Run(t, func(t0 *actor.Tasklet) {
			tb := actortest.TB(t0)
			spec := func(err func(*actor.Tasklet) error) supervisor.Spec {
				return supervisor.Spec{Children: []supervisor.Child{{ID: "c", Body: actor.ReceiverInitBody(actor.NewRef[int](),
					func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) { return nil, err(t) })}}}
			}
			calls := func(t *actor.Tasklet) error {
				return inquire(t, actor.Receiver(t, func(*actor.Tasklet, inquiry) error { return says }))
			}
			_, err := supervisor.Start(t0, spec(calls))
			var failed *supervisor.StartError
			require.ErrorAs(tb, err, &failed)
			require.ErrorIs(tb, err, says)
			require.Equal(tb, reason.Error, actor.KindOf(err))
			// A nested one.
			_, err = supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "s", Body: supervisor.Body(spec(calls))}}})
			require.ErrorAs(tb, err, &failed)
			require.Equal(tb, reason.Error, actor.KindOf(err))
			// The init's own word is still one.
			s, err := supervisor.Start(t0, spec(func(*actor.Tasklet) error { return fmt.Errorf("x: %w", says) }))
			if says == actor.ErrStop {
				require.NoError(tb, err)
				n, err := s.Count(t0)
				require.NoError(tb, err)
				require.Equal(tb, map[supervisor.State]int{supervisor.Stopped: 1}, n)
			} else {
				require.ErrorAs(tb, err, &failed)
				require.Equal(tb, reason.Error, actor.KindOf(err))
			}
		})
	}
}
