package supervisor_test

import (
	"context"
	"fmt"
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

// "Children are terminated in reverse start order", also after some of them were restarted by
// themselves, stopped and started, or added: a restarted child has its old place.
func TestStopOrder(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Intensity: 100, Children: f.children("a", "b", "c", "d")})
		for _, id := range []string{"b", "a", "d", "c", "a"} {
			f.send(t0, id, errCrash)
		}
		require.Equal(t, "a b c d", inTree(s.Tasklet()))
		require.NoError(t, s.StopChild(t0, "b"))
		require.NoError(t, s.StopChild(t0, "c"))
		_, err := s.StartChild(t0, f.child("e"))
		require.NoError(t, err)
		_, err = s.RestartChild(t0, "c")
		require.NoError(t, err)
		require.Equal(t, "a c d e", inTree(s.Tasklet()))
		_, err = s.RestartChild(t0, "b")
		require.NoError(t, err)
		f.took()
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t0)
		require.Equal(t, "end e, end d, end c, end b, end a", f.took())
	})
	// Several at once: a restarted child must not be placed by one that has ended too and is not
	// restarted yet.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		s := start(t0, supervisor.Spec{Intensity: 100, Children: f.children("a", "b", "c", "d", "e")})
		for _, id := range []string{"b", "c", "d", "a"} {
			require.NoError(t, f.ref(id).Send(t0, errCrash))
		}
		settle(t0)
		require.Equal(t, "a b c d e", inTree(s.Tasklet()))
	})
	// While one is being started: its neighbour ends meanwhile.
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		cs := f.children("a", "b", "c", "d")
		cs[1] = f.slowInit("b", time.Second)
		s := start(t0, supervisor.Spec{Intensity: 100, Children: cs})
		require.NoError(t, f.ref("b").Send(t0, errCrash))
		t0.Sleep(time.Second / 2)
		f.send(t0, "c", errCrash)
		f.send(t0, "a", errCrash)
		t0.Sleep(time.Second)
		require.Equal(t, "a b c d", inTree(s.Tasklet()))
	})
}

// "Shutdown: how a child is to be terminated", one by one, each with its own time, and BrutalKill
// and Infinity among them.
func TestStopTimes(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		f := newFamily()
		var log []string
		begin := t0.System().Now()
		// works on for a while when it is killed
		body := func(id string, need time.Duration) actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error {
				defer func() { log = append(log, fmt.Sprint(id, " ", t.System().Now().Sub(begin))) }()
				defer func() {
					if recover() != nil {
						t.Sleep(need) // a hard kill is raised here
					}
				}()
				t.Sleep(24 * time.Hour)
				return nil
			})
		}
		s := start(t0, supervisor.Spec{Children: []supervisor.Child{
			f.child("a"),
			{ID: "b", Body: body("b", time.Hour), Shutdown: actor.Infinity},
			{ID: "c", Body: body("c", time.Hour), Shutdown: 3 * time.Second},
			{ID: "d", Body: body("d", time.Hour), Shutdown: actor.BrutalKill},
			{ID: "e", Body: body("e", 2*time.Second)},
		}})
		t0.Sleep(time.Second)
		begin = t0.System().Now()
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t0)
		require.Equal(t, []string{"e 2s", "d 2s", "c 5s", "b 1h0m5s"}, log)
	})
}

// deaf is a child that, told 0, waits in an Await that ignores its context until release is closed.
// It logs what else it handles, and answers calls.
type deaf struct {
	ref     actor.Ref[any]
	release chan struct{}
	handled []any
}

func (d *deaf) child(shutdown time.Duration) supervisor.Child {
	return supervisor.Child{ID: "deaf", Shutdown: shutdown, Body: actor.ReceiverBody(d.ref, func(t *actor.Tasklet, m any) error {
		switch m := m.(type) {
		case int:
			if m == 0 {
				_, _ = actor.Await(t, func(context.Context) (int, error) { <-d.release; return 0, nil })
			}
		case actor.Reply[int]:
			_, _ = actor.Await(t, func(context.Context) (int, error) { <-d.release; return 0, nil })
			return m.Send(t, 1)
		}
		d.handled = append(d.handled, m)
		return nil
	})}
}

// bubble runs main in a system on the real clock, in a bubble: virtual time of our own stands still
// while an Await is under way. It gives the error of Run.
func bubble(t *testing.T, seen *events, main func(t *actor.Tasklet, f *family, d *deaf)) (err error) {
	synctest.Test(t, func(t *testing.T) {
		cfg := seen.config(event.StopTimeout, supervisor.EventRestart)
		cfg.Logger = zap.NewNop()
		err = actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
			main(t0, newFamily(), &deaf{actor.NewRef[any](), make(chan struct{}), nil})
			return nil
		})
	})
	return err
}

// Rule 18: who does not end by a hard kill either is given up a second later, reported and named by
// Run; the stop goes on. Its ref is free for the next incarnation, which the old one, when it comes
// back at last, does not disturb.
func TestLeftBehind(t *testing.T) {
	var seen events
	err := bubble(t, &seen, func(t0 *actor.Tasklet, f *family, d *deaf) {
		s := start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{f.child("a"), d.child(2 * time.Second), f.child("c")}})
		call := actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := actor.Call(t, d.ref, func(r actor.Reply[int]) any { return r })
			return err
		})
		settle(t0)
		require.NoError(t, d.ref.Send(t0, 1))
		before := time.Now()
		require.NoError(t, s.StopChild(t0, "deaf"))
		require.Equal(t, 3*time.Second, time.Since(before))
		var je *actor.JoinError
		require.ErrorAs(t, call.Join(t0), &je, "who waits for it is told")
		require.ErrorIs(t, je, actor.ErrKilled)

		_, err := s.RestartChild(t0, "deaf")
		require.NoError(t, err)
		require.NoError(t, d.ref.Send(t0, 2))
		again := actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := actor.Call(t, d.ref, func(r actor.Reply[int]) any { return r })
			return err
		})
		settle(t0)
		close(d.release)
		require.NoError(t, again.Join(t0))
		require.NoError(t, d.ref.Send(t0, 3))
		settle(t0)
		require.Equal(t, []any{2, 3}, d.handled, "1 was a dead letter of the stop")
		require.Equal(t, "a running, deaf running, c running", states(t0, s))
	})
	var se *actor.StopError
	require.ErrorAs(t, err, &se)
	require.Len(t, se.Leaked, 1)
	require.Equal(t, "/tasklet/s/deaf", se.Leaked[0].Path)
	require.Equal(t, []string{"stop_timeout /tasklet/s/deaf"}, seen.kinds())
}

// The same in the restart of a group, which goes on without the one that is left behind, with its
// queue.
func TestLeftBehindInAGroup(t *testing.T) {
	var seen events
	err := bubble(t, &seen, func(t0 *actor.Tasklet, f *family, d *deaf) {
		s := start(t0, supervisor.Spec{
			Name: "s", Strategy: supervisor.OneForAll, Intensity: 5,
			Children: []supervisor.Child{f.child("a"), d.child(actor.BrutalKill), f.child("c")},
		})
		require.NoError(t, d.ref.Send(t0, 0))
		settle(t0)
		require.NoError(t, d.ref.Send(t0, 1))
		f.took()
		before := time.Now()
		f.send(t0, "a", errCrash)
		require.Equal(t, "a running, deaf running, c running", states(t0, s))
		require.Equal(t, time.Second, time.Since(before).Round(time.Millisecond))
		require.Equal(t, "end a, end c, start a, start c", f.took())
		settle(t0)
		require.Equal(t, []any{1}, d.handled)
		close(d.release)
		t0.Sleep(time.Second)
		require.Equal(t, "a running, deaf running, c running", states(t0, s))
		require.NoError(t, d.ref.Send(t0, 2))
		settle(t0)
		require.Equal(t, []any{1, 2}, d.handled, "not handled by the old one")
	})
	require.ErrorContains(t, err, "/tasklet/s/deaf")
	require.Equal(t, []string{"restart /tasklet/s/a", "stop_timeout /tasklet/s/deaf"}, seen.kinds())
}

// And when the supervisor itself is stopped: the others are stopped, in order.
func TestLeftBehindAtTheEnd(t *testing.T) {
	var seen events
	err := bubble(t, &seen, func(t0 *actor.Tasklet, f *family, d *deaf) {
		s := start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{f.child("a"), d.child(0), f.child("c")}})
		require.NoError(t, d.ref.Send(t0, 0))
		settle(t0)
		f.took()
		before := time.Now()
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t0)
		require.Equal(t, 6*time.Second, time.Since(before))
		require.Equal(t, "end c, end a", f.took())
		require.True(t, d.ref.IsDead())
		require.ErrorIs(t, d.ref.Send(t0, 1), mailbox.ErrClosed)
		close(d.release)
	})
	require.ErrorContains(t, err, "/tasklet/s/deaf")
	require.Equal(t, []string{"stop_timeout /tasklet/s/deaf"}, seen.kinds())
}
