package supervisor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
)

// A crash of a supervised child is one entry at level info and above, with the error, the stack,
// the type of the message and the number of lost messages. OnEvent gets all events.
func TestOneCrashIsOneEntry(t *testing.T) {
	for name, c := range map[string]struct {
		fails func(t *actor.Tasklet) error
		level string
		wants []string
	}{
		"error": {func(*actor.Tasklet) error { return errCrash }, "warn", []string{`"error":"crash"`, `"messages_lost":1`}},
		"panic": {func(*actor.Tasklet) error { panic("slipped") }, "error",
			[]string{`"error":"panic: slipped"`, `"messages_lost":1`, `"stack":"goroutine`, `onecrash_test.go`}},
	} {
		t.Run(name, func(t *testing.T) {
			var log entries
			cfg := log.config(zap.InfoLevel)
			var kinds []event.Kind
			cfg.OnEvent = func(e actor.EventRecord) {
				if strings.HasSuffix(e.Path, "/a") {
					kinds = append(kinds, e.Kind)
				}
			}
			runWith(t, cfg, func(t0 *actor.Tasklet) {
				ref := actor.NewRef[order]()
				start(t0, supervisor.Spec{Name: "s", Children: []supervisor.Child{
					{ID: "a", Body: actor.ReceiverBody(ref, func(t *actor.Tasklet, _ order) error { return c.fails(t) })},
				}})
				require.NoError(t, ref.Send(t0, order{}))
				t0.Sleep(time.Second)
			})
			var about []string
			for line := range strings.Lines(log.buf.String()) {
				if strings.Contains(line, `/s/a"`) {
					about = append(about, line)
				}
			}
			require.Len(t, about, 1, log.buf.String())
			require.Contains(t, about[0], `{"level":"`+c.level+`","msg":"/shop/s/a: restart"`)
			require.Contains(t, about[0], `"message":"supervisor_test.order"`)
			for _, want := range c.wants {
				require.Contains(t, about[0], want)
			}
			require.Equal(t, []event.Kind{
				event.Spawn, event.MessageLost, event.Exit, supervisor.EventRestart, event.Spawn,
			}, kinds[:5])
		})
	}
}

// A failure that its supervisor does not follow with a restart is an entry as well: the supervisor
// has stopped the child with its group, gives up because of another one, or was killed first.
func TestFailureWithoutRestartIsAnEntry(t *testing.T) {
	both := errors.New("both")
	for name, c := range map[string]struct {
		spec supervisor.Spec
		kill bool
		want []string
	}{
		"group":   {supervisor.Spec{Strategy: supervisor.OneForAll, Intensity: 5}, false, []string{"restart", event.NotRestarted.String()}},
		"give up": {supervisor.Spec{Intensity: supervisor.NoRestart}, false, []string{"give_up", "not_restarted"}},
		"kill":    {supervisor.Spec{Intensity: 5}, true, []string{"not_restarted", "not_restarted"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			var log entries
			cfg := log.config(zap.WarnLevel)
			runWith(t, cfg, func(t0 *actor.Tasklet) {
				spec := c.spec
				spec.Name = "s"
				var s *supervisor.Supervisor
				refs := []actor.Ref[int]{actor.NewRef[int](), actor.NewRef[int]()}
				for i, id := range []string{"a", "b"} {
					spec.Children = append(spec.Children, supervisor.Child{ID: id,
						Body: actor.ReceiverBody(refs[i], func(*actor.Tasklet, int) error {
							if c.kill && id == "b" {
								s.Tasklet().Kill()
							}
							return both
						})})
				}
				s = start(t0, spec)
				for _, ref := range refs {
					require.NoError(t, ref.Send(t0, 1))
				}
				t0.Sleep(time.Second)
			})
			for line := range strings.Lines(log.buf.String()) {
				for _, kind := range []string{"restart", "give_up", "not_restarted"} {
					if strings.Contains(line, `"event":"`+kind+`"`) {
						got = append(got, kind)
						require.Contains(t, line, "both", "the error of the child")
					}
				}
			}
			require.Equal(t, c.want, got, log.buf.String())
		})
	}
}
