package machine_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/machine"
)

type request struct {
	id    int
	open  bool
	reply actor.Reply[int]
}

// In whatever order, whoever is killed or panics where: each request that was accepted is handled
// once or reported, each call ends, and a request is handled in the state that it was stashed for
// and in the order of its sender.
func TestExploreStash(t *testing.T) {
	reported := 0
	count := func(e actor.EventRecord) {
		switch e.Kind {
		case event.DeadLetter, event.MessageLost:
			reported += e.Count
		}
	}
	actortest.Explore(t, runs(200), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		reported = 0
		accepted, handled, calls, ended := 0, 0, 0, 0
		last := [3]int{}
		ref := actor.NewRef[request](actor.MailboxLen(6), actor.Name("m"))
		body := machine.Body(ref, machine.Config{Stash: 4}, func(_ *actor.Tasklet, m *machine.Machine[request]) (*machine.State[request], error) {
			var open, closed *machine.State[request]
			open = &machine.State[request]{Name: "open", Handle: func(t *actor.Tasklet, r request) error {
				if m.Stashed() != 0 {
					tb.Error("there are stashed messages in a state that stashes nothing")
				}
				if r.open {
					handled++
					return nil
				}
				if by := r.id % 3; r.id <= last[by] {
					tb.Errorf("%d after %d", r.id, last[by])
				} else {
					last[by] = r.id
				}
				if r.id%5 == 0 {
					t.Sleep(2 * time.Millisecond)
				}
				handled++ // not reached when it is killed
				if r.reply != (actor.Reply[int]{}) && r.reply.Awaited() {
					_ = r.reply.Send(t, r.id)
				}
				if r.id%4 == 0 {
					m.Become(closed)
				}
				return nil
			}}
			closed = &machine.State[request]{
				Name: "closed",
				Handle: func(t *actor.Tasklet, r request) error {
					if !r.open {
						return m.Stash()
					}
					handled++
					m.Become(open)
					return nil
				},
				Timeout:   5 * time.Millisecond,
				OnTimeout: func(t *actor.Tasklet) error { m.Become(open); return nil },
			}
			return closed, nil
		})
		top, err := supervisor.Start(t, supervisor.Spec{
			Name: "top", Intensity: supervisor.Unlimited, Period: time.Second,
			Children: []supervisor.Child{{ID: "m", Body: body}},
		})
		require.NoError(tb, err)
		var senders []*actor.Tasklet
		for i := range 3 {
			senders = append(senders, actor.Go(t, func(t *actor.Tasklet) error {
				for n := range 10 {
					r := request{id: 3*(n+1) + i}
					switch n % 4 {
					case 0:
						calls++
						defer func() { ended++ }()
						ctx, cancel := actor.WithTimeout(t, time.Minute)
						sent := false
						v, err := actor.Call(ctx, ref, func(reply actor.Reply[int]) request {
							r.reply, sent = reply, true
							return r
						})
						cancel()
						if err == nil && v != r.id {
							tb.Errorf("answer %d to %d", v, r.id)
						}
						if sent && !errors.Is(err, mailbox.ErrClosed) {
							accepted++
						}
						if errors.Is(err, actor.ErrTimeout) {
							tb.Errorf("call %d has waited for a minute", r.id)
						}
					case 3:
						if ref.Send(t, request{id: r.id, open: true}) == nil {
							accepted++
						}
					default:
						if ref.Send(t, r) == nil {
							accepted++
						}
					}
				}
				return nil
			}))
		}
		for _, s := range senders {
			_ = s.Join(t)
		}
		t.Sleep(time.Minute)
		actortest.Calm(t)
		ctx, cancel := actor.WithTimeout(t, time.Hour)
		defer cancel()
		require.NoError(tb, top.Tasklet().Drain(ctx))
		require.True(tb, ref.IsDead())
		require.Equal(tb, accepted, handled+reported, "%d accepted, %d handled, %d reported", accepted, handled, reported)
		require.Equal(tb, calls, ended)
	},
		actortest.Faults(actortest.Kill, actortest.HandlerPanic),
		actortest.Victims(func(t *actor.Tasklet) bool { return t.Name() == "m" }),
		actortest.Configure(func(c *actor.Config) { c.OnEvent = count }),
		actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit))
}

// runs returns n, or a fifth of it if tests are to be short: those under the race detector, on
// other numbers of processors, and with checks after each step.
func runs(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
