package supervisor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// Rule 42: for a supervisor the end by a link is a failure of the child. It restarts the child by
// its type, counts the restart, and reports it with the first error; the new incarnation is not
// linked.
func TestLinkedChild(t *testing.T) {
	for restart, want := range map[supervisor.Restart]string{
		supervisor.Permanent: "up 2", supervisor.Transient: "up 2", supervisor.Temporary: "up 1",
	} {
		var ev events
		ups := 0
		runWith(t, ev.config(supervisor.EventRestart), func(t0 *actor.Tasklet) {
			ref := actor.NewRef[int]()
			start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "c", Restart: restart,
				Body: actor.ReceiverInitBody(ref, func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					ups++
					return func(*actor.Tasklet, int) error { return nil }, nil
				})}}})
			friend := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Minute); return errCrash })
			_, err := actor.Link(ref, friend)
			require.NoError(t, err)
			first := ref.Tasklet()
			_ = first.Join(t0)
			settle(t0)
			require.Equal(t, want, fmt.Sprint("up ", ups))
			exit, _ := first.Exit()
			require.ErrorIs(t, exit.Err, errCrash)
		})
		if restart != supervisor.Temporary {
			require.Len(t, ev.all, 1)
			require.ErrorIs(t, ev.all[0].Err, errCrash)
		}
	}
}

// Two children that are linked in their init, in two supervisors, restart each other. That has the
// bound of their supervisors.
func TestLinkedChildrenThatRestartEachOther(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		a, b := actor.NewRef[error](), actor.NewRef[error]()
		ups := 0
		body := func(ref, other actor.Ref[error]) actor.Body {
			return actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, error) error, error) {
				ups++
				_, _ = actor.Link(t, other) // there is none yet for the first of them
				return func(_ *actor.Tasklet, err error) error { return err }, nil
			})
		}
		one := start(t0, supervisor.Spec{Name: "one", Intensity: 3, Children: []supervisor.Child{{ID: "a", Body: body(a, b)}}})
		two := start(t0, supervisor.Spec{Name: "two", Intensity: 3, Children: []supervisor.Child{{ID: "b", Body: body(b, a)}}})
		require.NoError(t, a.Send(t0, errCrash))
		t0.Sleep(time.Minute)
		require.GreaterOrEqual(t, ups, 4, "each was restarted")
		require.LessOrEqual(t, ups, 2+3+3)
		for _, s := range []*supervisor.Supervisor{one, two} {
			if s.Tasklet().HasFinished() {
				require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
			}
		}
	})
}
