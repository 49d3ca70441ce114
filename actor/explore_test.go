package actor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// In whatever order, whoever is killed or panics where: each message whose send gave nil is handled
// once, or reported, with its count; and of those of one sender no later one is handled before an
// earlier one.
func TestExploreNothingIsLostInSilence(t *testing.T) {
	for p := mailbox.Block; p <= mailbox.Unbounded; p++ {
		t.Run(p.String(), func(t *testing.T) {
			var reported int
			count := func(e actor.EventRecord) {
				switch e.Kind {
				case event.DeadLetter:
					reported += e.Count
				case event.MessageLost: // the message in hand
					reported += max(1, e.Count)
				case event.Failure:
					reported += e.Count
				}
			}
			f := func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				reported = 0
				sent, handled := 0, 0
				last := [3]int{}
				opts := []actor.Option{actor.Overflow(p), actor.Name("reader")}
				if p != mailbox.Unbounded {
					opts = append(opts, actor.MailboxLen(3))
				}
				reader := actor.Receiver(t, func(t *actor.Tasklet, m [2]int) error {
					if m[1] <= last[m[0]] {
						tb.Errorf("message %d of sender %d after %d", m[1], m[0], last[m[0]])
					}
					last[m[0]] = m[1]
					if m[1]%4 == 0 {
						t.Sleep(time.Millisecond)
					}
					handled++ // not reached when it is killed
					return nil
				}, opts...)
				for i := range last {
					actor.Go(t, func(t *actor.Tasklet) error {
						for n := range 12 {
							if n%5 == i {
								t.Sleep(time.Millisecond)
							}
							send := reader.Send
							if n%3 == 0 {
								send = reader.TrySend
							}
							if send(t, [2]int{i, n + 1}) == nil {
								sent++
							}
						}
						return nil
					})
				}
				t.Sleep(time.Minute)
				actortest.Calm(t)
				reader.Close()
				t.Sleep(time.Minute)
				require.True(tb, actor.Finished(reader))
				require.Equal(tb, sent, handled+reported, "%d sent, %d handled, %d reported", sent, handled, reported)
			}
			actortest.Explore(t, runs(150), f,
				actortest.Faults(actortest.Kill, actortest.HandlerPanic, actortest.FullMailbox),
				actortest.Configure(func(c *actor.Config) { c.OnEvent = count }),
				actortest.Allow(event.DeadLetter))
		})
	}
}

// runs returns n, or a fifth of it if tests are to be short: those under the race detector, on
// other numbers of processors, and with checks after each step.
func runs(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
