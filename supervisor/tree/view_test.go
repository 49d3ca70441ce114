package tree_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/view"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// The kinds, states and mailboxes of a survey are those of the rows, also of children without a
// tasklet.
func TestSurveyIsRows(t *testing.T) {
	runWith(t, actor.Config{}, func(root *actor.Tasklet) {
		ref := actor.NewRef[int](actor.MailboxLen(8))
		start(root, supervisor.Spec{
			Name: "top", Intensity: 5, Period: time.Minute, Backoff: supervisor.Backoff{Min: time.Minute, Max: time.Minute},
			Children: []supervisor.Child{
				{ID: "worker", Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errors.New("no") })},
				{ID: "tick", Body: actor.IntervalBody(time.Second, func(*actor.Tasklet) error { return nil })},
			},
		})
		daemon := actor.Receiver(root, func(*actor.Tasklet, int) error { return nil }, actor.Daemon())
		daemon.Tasklet().SetLabel("kind", "audit")
		for range 3 {
			require.NoError(t, ref.Send(root, 1))
		}
		root.Sleep(time.Second / 2)
		var rates, same tree.Rates // both see the same
		rates.Snapshot(root)
		view.Look(root, &same)
		root.Sleep(time.Second / 2)
		rows, w := rates.Snapshot(root), view.Look(root, &same)
		require.Equal(t, len(rows), w.Len())
		kinds := map[string]int{}
		for i, r := range rows {
			require.Equal(t, r.Kind, w.Kind(i), r.Path)
			require.Equal(t, r.State.String(), w.Place(i).State, r.Path)
			require.Equal(t, numbers(r.Mailbox), numbers(w.Mailbox(i)), r.Path)
			require.Equal(t, r.Oldest, w.Oldest(i), r.Path)
			kinds[r.Kind]++
			if r.Name == "worker" {
				require.Equal(t, tree.Restarting, r.State)
				require.Equal(t, 2, r.Mailbox.Len)
			}
		}
		require.Equal(t, map[string]int{"main": 1, "supervisor": 1, "receiver": 1, "interval": 1, "daemons": 1, "audit": 1}, kinds)
	})
}

func numbers(m *mailbox.Stats) mailbox.Stats {
	if m == nil {
		return mailbox.Stats{}
	}
	return *m
}
