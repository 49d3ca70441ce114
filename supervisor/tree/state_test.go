package tree_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// Each state is that of a tasklet, or of a child, in the situation that it is the word for. Only a
// virtual clock does not see the state Stalled.
func TestStates(t *testing.T) {
	runWith(t, actor.Config{Name: "app"}, func(t0 *actor.Tasklet) {
		sleep := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
		sleeper := actor.Go(t0, sleep, actor.Name("sleeper"))
		actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Name("idle"))
		actor.Go(t0, func(t *actor.Tasklet) error { return sleeper.Join(t) }, actor.Name("joins"))
		actor.Go(t0, func(t *actor.Tasklet) error {
			t.Defer(func() { t.Sleep(time.Hour) })
			return sleep(t)
		}, actor.Name("killed"), actor.OnStart(func(t *actor.Tasklet) error { t.SetLabel("rank", "3"); return nil }))
		done := actor.Go(t0, func(*actor.Tasklet) error { return nil })
		s := start(t0, supervisor.Spec{Name: "top", Backoff: supervisor.Backoff{Min: time.Hour}, Children: []supervisor.Child{
			{ID: "stopped", Body: actor.GoBody(sleep)},
			{ID: "fails", Body: actor.GoBody(func(*actor.Tasklet) error { return errors.New("boom") })},
		}})
		require.NoError(t, s.StopChild(t0, "stopped"))
		actor.Go(t0, func(t *actor.Tasklet) error {
			_, err := s.StartChild(t, supervisor.Child{ID: "starting", Body: actor.GoBody(sleep),
				Options: []actor.Option{actor.OnStart(sleep)}})
			return err
		}, actor.Daemon())
		t0.Sleep(time.Second)
		for _, k := range t0.Children() {
			if k.Name() == "killed" {
				k.Kill()
			}
		}
		t0.Sleep(time.Second)
		actor.Go(t0, sleep, actor.Name("ready"))

		rows := map[string]tree.Row{}
		for _, r := range tree.Snapshot(t0) {
			rows[r.Path] = r
		}
		for path, want := range map[string]tree.State{
			"/app": tree.Running, "/app/sleeper": tree.Sleeping, "/app/idle": tree.Idle, "/app/joins": tree.Parked,
			"/app/killed": tree.Stopping, "/app/ready": tree.Ready, "/app/top": tree.Parked, "/app/top/stopped": tree.Stopped,
			"/app/top/fails": tree.Restarting, "/app/top/starting": tree.Starting,
		} {
			require.Equal(t, want.String(), rows[path].State.String(), path)
		}
		require.Equal(t, tree.Finished, tree.Snapshot(done)[0].State)
		require.Equal(t, "/app/sleeper", rows["/app/joins"].On)
		require.Equal(t, time.Second, rows["/app/killed"].Killed)
		require.Equal(t, map[string]string{"rank": "3"}, rows["/app/killed"].Labels)
	})
}
