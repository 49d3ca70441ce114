package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

type charge struct{ n int }

// What is told of a message in hand has the type of the value, not the interface that the mailbox
// takes.
func TestTypeOfTheMessageInHand(t *testing.T) {
	var got []string
	told := map[event.Kind]bool{
		event.Failure: true, event.MessageLost: true, event.Exit: true, supervisor.EventRestart: true,
	}
	cfg := actor.Config{Name: "app", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if told[e.Kind] && e.Message != nil && e.Message.String() != "supervisor.request" {
			got = append(got, fmt.Sprint(e.Kind, " ", e.Tasklet.Name(), " ", e.Message, " ", e.Count))
		}
	}}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		fail := func(*actor.Tasklet, any) error { return errors.New("bad") }
		goesOn := actor.Receiver(t0, fail, actor.Name("resumes"))
		stops := actor.Receiver(t0, fail, actor.Name("stops"), actor.OnFailure(actor.End))
		panics := actor.Receiver(t0, func(*actor.Tasklet, any) error { panic("oh") }, actor.Name("panics"), actor.OnFailure(actor.End))
		killed := actor.Receiver(t0, func(t *actor.Tasklet, _ any) error { t.Sleep(time.Hour); return nil }, actor.Name("killed"))
		batch := actor.BatchReceiver(t0, 9, 0, func(*actor.Tasklet, []any) error { return errors.New("bad") }, actor.Name("batch"))
		mixed := actor.BatchReceiver(t0, 9, 0, func(*actor.Tasklet, []any) error { return errors.New("bad") }, actor.Name("mixed"))
		plain, retried, initial := actor.NewRef[any](), actor.NewRef[any](), actor.NewRef[any]()
		start(t0, supervisor.Spec{Intensity: 9, Children: []supervisor.Child{
			{ID: "plain", Body: actor.ReceiverBody(plain, fail)},
			{ID: "retried", Retry: 1, Body: actor.ReceiverBody(retried, fail)},
			{ID: "init", Body: actor.ReceiverInitBody(initial, func(*actor.Tasklet) (func(*actor.Tasklet, any) error, error) { return fail, nil })},
		}})
		for _, ref := range []actor.Ref[any]{goesOn, stops, panics, killed, plain, retried, initial} {
			require.NoError(t, ref.Send(t0, charge{1}))
			t0.Sleep(time.Millisecond)
		}
		killed.Kill()
		for _, m := range []any{charge{1}, charge{2}} {
			require.NoError(t, batch.Send(t0, m))
			require.NoError(t, mixed.Send(t0, m))
		}
		require.NoError(t, mixed.Send(t0, nil))
		t0.Sleep(time.Millisecond)
		return nil
	}))
	const typ = " supervisor_test.charge "
	require.Equal(t, []string{
		"failure resumes" + typ + "1",
		"message_lost stops" + typ + "1", "exit stops" + typ + "0",
		"message_lost panics" + typ + "1", "exit panics" + typ + "0",
		"message_lost plain" + typ + "1", "exit plain" + typ + "0", "restart plain" + typ + "0",
		"exit retried" + typ + "0", "restart retried" + typ + "0",
		"message_lost retried" + typ + "1", "exit retried" + typ + "0", "restart retried" + typ + "0",
		"message_lost init" + typ + "1", "exit init" + typ + "0", "restart init" + typ + "0",
		"failure batch" + typ + "2", "failure mixed interface {} 3",
		"message_lost killed" + typ + "1", "exit killed" + typ + "0",
	}, got[:20])
}

// A stop reads as a stop, not as an error; a kill as a kill.
func TestAStopReadsAsAStop(t *testing.T) {
	var log entries
	cfg := log.config(zap.DebugLevel)
	s, err := actor.Start(cfg)
	require.NoError(t, err)
	ref := actor.NewRef[int]()
	sup, err := supervisor.Start(s, supervisor.Spec{Name: "sup", Children: []supervisor.Child{
		{ID: "w", Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, _ int) error { t.Sleep(time.Hour); return nil })},
		{ID: "x", Body: actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }), Restart: supervisor.Temporary},
	}})
	require.NoError(t, err)
	children, err := sup.Children(context.Background())
	require.NoError(t, err)
	children[1].Tasklet.Kill()
	_ = children[1].Tasklet.Join(context.Background())
	require.NoError(t, ref.Send(context.Background(), 1))
	require.NoError(t, s.Stop(context.Background()))
	all := log.buf.String()
	require.Contains(t, all, `"msg":"/shop/sup/x was killed"`)
	require.Contains(t, all, `"msg":"/shop/sup/w was stopped"`)
	require.Contains(t, all, `"msg":"/shop/sup was stopped"`)
	require.Contains(t, all, `"msg":"/shop was stopped"`)
	for _, line := range log.of("exit") {
		if !strings.Contains(line, "/shop/sup/x") {
			require.NotContains(t, line, `"error"`)
			require.Contains(t, line, `"reason":"stopped"`)
		}
	}
}
