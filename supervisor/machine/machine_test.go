package machine_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/machine"
)

type state = machine.State[int]

// accepts returns a state that adds its messages to got, and says so in its name.
func accepts(name string, got *[]string) *state {
	return &state{Name: name, Handle: func(_ *actor.Tasklet, n int) error {
		*got = append(*got, fmt.Sprint(name, " ", n))
		return nil
	}}
}

func body(ref actor.Ref[int], stash int, first func(m *machine.Machine[int]) *state) actor.Body {
	return machine.Body(ref, machine.Config{Stash: stash}, func(_ *actor.Tasklet, m *machine.Machine[int]) (*state, error) {
		return first(m), nil
	})
}

// waiting is a machine that stashes everything until it gets 0.
func waiting(ref actor.Ref[int], stash int, got *[]string) actor.Body {
	return body(ref, stash, func(m *machine.Machine[int]) *state {
		open := accepts("open", got)
		return &state{Name: "closed", Handle: func(_ *actor.Tasklet, n int) error {
			if n != 0 {
				return m.Stash()
			}
			m.Become(open)
			return nil
		}}
	})
}

func TestMisuse(t *testing.T) {
	ref := actor.NewRef[int](actor.MailboxLen(10))
	first := func(*actor.Tasklet, *machine.Machine[int]) (*state, error) { return nil, nil }
	for want, f := range map[string]func(){
		"machine: Body with a zero Ref":                                                                       func() { machine.Body(actor.Ref[int]{}, machine.Config{}, first) },
		"machine: Body with a nil function":                                                                   func() { machine.Body(ref, machine.Config{}, nil) },
		"machine: Config.Stash is -1: it must not be negative":                                                func() { machine.Body(ref, machine.Config{Stash: -1}, first) },
		"machine: Config.Stash is 10: it must be smaller than the capacity of the mailbox, 10":                func() { machine.Body(ref, machine.Config{Stash: 10}, first) },
		"actor: StartTasklet can't use the option Urgent":                                                     start(actor.Urgent(func(int) bool { return false })),
		"actor: StartTasklet can't use the option IdleAfter":                                                  start(actor.IdleAfter(1, nil)),
		"actor: StartTasklet can't use the option MailboxLen":                                                 start(actor.MailboxLen(1)),
		"machine: Become in /test/m with a nil State":                                                         inside(func(m *machine.Machine[int]) { m.Become(nil) }),
		"machine: Become in /test/m with a State that has no Name":                                            inside(func(m *machine.Machine[int]) { m.Become(&state{}) }),
		`machine: Become in /test/m: the state "x" has no Handle`:                                             inside(func(m *machine.Machine[int]) { m.Become(&state{Name: "x"}) }),
		`machine: Become in /test/m: the Timeout of the state "x" is -1ns`:                                    inside(func(m *machine.Machine[int]) { m.Become(&state{Name: "x", Handle: ignore, Timeout: -1}) }),
		`machine: Become in /test/m: the state "x" has a Timeout and no OnTimeout`:                            inside(func(m *machine.Machine[int]) { m.Become(&state{Name: "x", Handle: ignore, Timeout: 1}) }),
		"machine: Stash in /test/m, which has no message in hand":                                             inside(func(m *machine.Machine[int]) { _ = m.Stash(); _ = m.Stash() }),
		"Machine.Become with the context of /test/m, but /test is running: a context may be used only inside": outside(func(m *machine.Machine[int]) { m.Become(m.State()) }),
		"Machine.Stash with the context of /test/m, but /test is running: a context may be used only inside":  outside(func(m *machine.Machine[int]) { _ = m.Stash() }),
		"Machine.Unstash with the context of /test/m, but /test is running: a context may be used only insid": outside(func(m *machine.Machine[int]) { m.Unstash() }),
		"Machine.Stashed with the context of /test/m, but /test is running: a context may be used only insid": outside(func(m *machine.Machine[int]) { m.Stashed() }),
		"machine: init in /test/m with a nil State": func() {
			actorRun(func(t *actor.Tasklet) error {
				return actor.StartTasklet(t, machine.Body(ref, machine.Config{}, first), actor.Name("m")).Join(t)
			})
		},
		"machine: Become before the first state of /test/m: init returns that": func() {
			actorRun(func(t *actor.Tasklet) error {
				b := body(actor.NewRef[int](), 0, func(m *machine.Machine[int]) *state { m.Become(&state{}); return nil })
				return actor.StartTasklet(t, b, actor.Name("m")).Join(t)
			})
		},
	} {
		t.Run(want, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), want) }()
			f()
		})
	}
}

func ignore(*actor.Tasklet, int) error { return nil }

// actorRun panics with the error of f.
func actorRun(f func(*actor.Tasklet) error) {
	if err := actor.Run(context.Background(), actor.Config{Name: "test", Logger: zap.NewNop()}, f); err != nil {
		panic(err)
	}
}

func start(opt actor.Option) func() {
	return func() {
		actorRun(func(t *actor.Tasklet) error {
			actor.StartTasklet(t, waiting(actor.NewRef[int](), 0, new([]string)), opt)
			return nil
		})
	}
}

// inside calls f in a handler.
func inside(f func(*machine.Machine[int])) func() {
	return func() {
		actorRun(func(t *actor.Tasklet) error {
			ref := actor.NewRef[int]()
			k := actor.StartTasklet(t, body(ref, 0, func(m *machine.Machine[int]) *state {
				return &state{Name: "x", Handle: func(*actor.Tasklet, int) error { f(m); return nil }}
			}), actor.Name("m"), actor.OnFailure(actor.End))
			if err := ref.Send(t, 1); err != nil {
				return err
			}
			return k.Join(t)
		})
	}
}

// outside calls f in another tasklet.
func outside(f func(*machine.Machine[int])) func() {
	return func() {
		actorRun(func(t *actor.Tasklet) error {
			var the *machine.Machine[int]
			k := actor.StartTasklet(t, body(actor.NewRef[int](), 0, func(m *machine.Machine[int]) *state {
				the = m
				return accepts("x", new([]string))
			}), actor.Name("m"))
			if err := k.Started(t); err != nil {
				return err
			}
			f(the)
			return nil
		})
	}
}

// The order is that of the sends, and nothing is handled twice.
func TestStashAndBecome(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var got []string
		ref := actor.NewRef[int]()
		actor.StartTasklet(t, waiting(ref, 0, &got))
		for _, n := range []int{1, 2, 3, 0, 4} {
			require.NoError(tb, ref.Send(t, n))
		}
		actortest.Settle(t)
		require.Equal(tb, []string{"open 1", "open 2", "open 3", "open 4"}, got)
		ref.Close()
		require.NoError(tb, ref.Join(t))
	})
}

// A stash that is full is the failure of one message. The error names the tasklet.
func TestStashFull(t *testing.T) {
	var lost []string
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var got []string
		ref := actor.NewRef[int](actor.MailboxLen(4))
		k := actor.StartTasklet(t, waiting(ref, 0, &got), actor.Name("m"))
		for n := range 5 {
			require.NoError(tb, ref.Send(t, n+1))
		}
		actortest.Settle(t)
		require.Len(tb, lost, 2, "the default is one less than the capacity")
		require.Equal(tb, `machine: the stash is full: /test/m has stashed 3 messages in state "closed"`, lost[0])
		require.Equal(tb, map[string]string{"state": "closed", "stash": "3 of 3"}, k.Info().Labels)
		require.Equal(tb, 3, ref.Len())
		require.Equal(tb, 3, ref.Load())
		require.Equal(tb, uint64(2), k.Info().Mailbox.Handled)
		require.NoError(tb, ref.Send(t, 0))
		actortest.Settle(t)
		require.Equal(tb, []string{"open 1", "open 2", "open 3"}, got)
		require.Equal(tb, map[string]string{"state": "open"}, k.Info().Labels)
		require.Equal(tb, uint64(6), k.Info().Mailbox.Handled)
	}, actortest.Configure(func(c *actor.Config) {
		c.OnEvent = func(e actor.EventRecord) {
			if e.Kind == event.Failure && errors.Is(e.Err, machine.ErrStashFull) {
				lost = append(lost, e.Err.Error())
			}
		}
	}))
}

// A label that the program has set is not replaced.
func TestLabels(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[int]()
		k := actor.StartTasklet(t, body(ref, 0, func(*machine.Machine[int]) *state {
			return accepts("two\nlines", new([]string))
		}))
		require.NoError(tb, k.Started(t))
		require.Equal(tb, `two\nlines`, k.Info().Labels["state"])
		require.Equal(tb, "machine", k.Info().Kind)
		k.SetLabel("state", "mine")
		require.Equal(tb, "mine", k.Info().Labels["state"])
	})
}

// A drain waits for the time of a state while something is stashed, because the state may change.
// What nothing can change is reported.
func TestDrain(t *testing.T) {
	for name, limit := range map[string]time.Duration{"with a time": time.Minute, "without": 0} {
		t.Run(name, func(t *testing.T) {
			letters := 0
			actortest.Run(t, func(t *actor.Tasklet) {
				tb := actortest.TB(t)
				var got []string
				ref := actor.NewRef[int]()
				k := actor.StartTasklet(t, body(ref, 0, func(m *machine.Machine[int]) *state {
					return &state{
						Name: "closed", Handle: func(*actor.Tasklet, int) error { return m.Stash() },
						Timeout: limit, OnTimeout: func(*actor.Tasklet) error { m.Become(accepts("open", &got)); return nil },
					}
				}))
				for n := range 3 {
					require.NoError(tb, ref.Send(t, n))
				}
				begin := t.System().Now()
				require.NoError(tb, k.Drain(t))
				require.Equal(tb, limit, t.System().Now().Sub(begin))
				if limit != 0 {
					require.Equal(tb, []string{"open 0", "open 1", "open 2"}, got)
				} else {
					require.Equal(tb, 3, letters)
				}
				require.True(tb, ref.IsDead())
			}, actortest.Allow(event.DeadLetter), actortest.Configure(func(c *actor.Config) {
				c.OnEvent = func(e actor.EventRecord) {
					if e.Kind == event.DeadLetter {
						letters += e.Count
					}
				}
			}))
		})
	}
}

// A drain that is cut names the stashed messages.
func TestDrainCut(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[int]()
		k := actor.StartTasklet(t, body(ref, 0, func(m *machine.Machine[int]) *state {
			return &state{
				Name: "closed", Handle: func(*actor.Tasklet, int) error { return m.Stash() },
				Timeout: time.Hour, OnTimeout: func(*actor.Tasklet) error { return nil },
			}
		}), actor.Name("m"))
		require.NoError(tb, ref.Send(t, 1))
		ctx, cancel := actor.WithTimeout(t, time.Minute)
		defer cancel()
		var cut *actor.DrainError
		require.ErrorAs(tb, k.Drain(ctx), &cut)
		require.Equal(tb, map[string]int{"/test/m": 1}, cut.Left)
	}, actortest.Allow(event.DeadLetter))
}

// A caller whose request is stashed goes on waiting, and gets the answer, or the end of the
// machine.
func TestCall(t *testing.T) {
	type ask = actor.Reply[string]
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[any]()
		b := machine.Body(ref, machine.Config{}, func(_ *actor.Tasklet, m *machine.Machine[any]) (*machine.State[any], error) {
			open := &machine.State[any]{Name: "open", Handle: func(t *actor.Tasklet, q any) error {
				if r, ok := q.(ask); ok && r.Awaited() {
					return r.Send(t, "here")
				}
				return nil
			}}
			return &machine.State[any]{Name: "closed", Handle: func(t *actor.Tasklet, q any) error {
				if _, ok := q.(ask); ok {
					return m.Stash()
				}
				m.Become(open)
				return nil
			}}, nil
		})
		call := func(limit time.Duration) *actor.Task[string] {
			return actor.New(t, func(t *actor.Tasklet) (string, error) {
				ctx, cancel := actor.WithTimeout(t, limit)
				defer cancel()
				return actor.Call(ctx, ref, func(r ask) any { return r })
			})
		}
		slot, err := actor.NewSlot(t, b, nil)
		require.NoError(tb, err)
		k, err := slot.Start(t)
		require.NoError(tb, err)
		patient, hasty := call(time.Hour), call(time.Second)
		t.Sleep(time.Minute)
		_, err = hasty.Join(t)
		require.ErrorIs(tb, err, actor.ErrTimeout)
		require.False(tb, patient.HasFinished())
		require.Equal(tb, 2, ref.Len(), "the request of a caller that has given up stays")

		k.Kill() // the requests are still there for the next tasklet
		require.ErrorIs(tb, k.Join(t), actor.ErrKilled)
		require.Equal(tb, 2, ref.Len())
		_, err = slot.Start(t)
		require.NoError(tb, err)
		actortest.Settle(t)
		require.False(tb, patient.HasFinished())
		require.NoError(tb, ref.Send(t, "open"))
		v, err := patient.Join(t)
		require.NoError(tb, err)
		require.Equal(tb, "here", v)
		require.Zero(tb, ref.Len())

		require.NoError(tb, slot.Stop(t))
		_, err = slot.Start(t)
		require.NoError(tb, err)
		late := call(time.Hour)
		actortest.Settle(t)
		require.NoError(tb, slot.Stop(t))
		require.False(tb, late.HasFinished())
		slot.Retire()
		_, err = late.Join(t)
		require.ErrorIs(tb, err, mailbox.ErrClosed)
	}, actortest.Allow(event.DeadLetter))
}

// A caller that the machine itself calls is a deadlock, also when its request is stashed.
func TestDeadlock(t *testing.T) {
	type ask = actor.Reply[int]
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		ref := actor.NewRef[any]()
		back := actor.Receiver(t, func(t *actor.Tasklet, _ any) error {
			_, err := actor.Call(t, ref, func(r ask) any { return r })
			return err
		})
		var dead *actor.DeadlockError
		actor.StartTasklet(t, machine.Body(ref, machine.Config{}, func(_ *actor.Tasklet, m *machine.Machine[any]) (*machine.State[any], error) {
			return &machine.State[any]{Name: "x", Handle: func(t *actor.Tasklet, q any) error {
				if _, ok := q.(ask); ok {
					return m.Stash()
				}
				_, err := actor.Call(t, back, func(r ask) any { return r })
				require.ErrorAs(tb, err, &dead)
				return nil
			}}, nil
		}))
		require.NoError(tb, back.Send(t, nil))
		actortest.Settle(t)
		require.Equal(tb, 1, ref.Len())
		require.NoError(tb, ref.Send(t, nil))
		actortest.Settle(t)
		require.NotNil(tb, dead)
	}, actortest.Allow(event.Deadlock), actortest.Allow(event.DeadLetter))
}

// The hooks are those of a receiver: around each message, and nothing else. A message that is
// handled again is a call of its own.
func TestAround(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var got []string
		ref := actor.NewRef[int]()
		hook := func(name string) actor.Option {
			return actor.Around(func(ctx context.Context, m any, next func(context.Context) error) error {
				got = append(got, fmt.Sprint(name, m))
				return next(ctx)
			})
		}
		k := actor.StartTasklet(t, waiting(ref, 0, &got), hook("outer "), hook("inner "))
		for _, n := range []int{1, 0} {
			require.NoError(tb, ref.Send(t, n))
		}
		actortest.Settle(t)
		require.Equal(tb, []string{"outer 1", "inner 1", "outer 0", "inner 0", "outer 1", "inner 1", "open 1"}, got)
		require.Regexp(tb, "^/test/body", k.Path())
	})
}

// Times belong to the states: messages do not make them longer, Become does.
func TestTimeout(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		var at []time.Duration
		begin := t.System().Now()
		ref := actor.NewRef[int]()
		k := actor.StartTasklet(t, body(ref, 0, func(m *machine.Machine[int]) *state {
			s := &state{Name: "x", Timeout: time.Minute}
			s.Handle = func(_ *actor.Tasklet, n int) error {
				if n == 1 {
					m.Become(s)
				}
				return nil
			}
			s.OnTimeout = func(t *actor.Tasklet) error {
				at = append(at, t.System().Now().Sub(begin))
				return nil
			}
			return s
		}))
		for range 100 {
			require.NoError(tb, ref.Send(t, 0))
			t.Sleep(time.Second)
		}
		require.Equal(tb, []time.Duration{time.Minute}, at, "once")
		require.NoError(tb, ref.Send(t, 1))
		t.Sleep(59 * time.Second)
		require.NoError(tb, ref.Send(t, 1))
		t.Sleep(time.Hour)
		require.Equal(tb, []time.Duration{time.Minute, 219 * time.Second}, at)
		k.Kill()
	})
}

// The time begins when Enter has returned.
func TestSlowEnter(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		begin := t.System().Now()
		k := actor.StartTasklet(t, body(actor.NewRef[int](), 0, func(*machine.Machine[int]) *state {
			return &state{
				Name: "x", Handle: ignore, Enter: func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil },
				Timeout: time.Minute, OnTimeout: func(*actor.Tasklet) error { return actor.ErrStop },
			}
		}))
		require.NoError(tb, k.Started(t))
		require.NoError(tb, k.Join(t))
		require.Equal(tb, time.Hour+time.Minute, t.System().Now().Sub(begin))
	})
}

// Changes of state without end do not hold the scheduler, and a kill ends them.
func TestEndlessChanges(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		n := 0
		k := actor.StartTasklet(t, body(actor.NewRef[int](), 0, func(m *machine.Machine[int]) *state {
			s := &state{Name: "x", Handle: ignore}
			s.Enter = func(*actor.Tasklet) error { n++; m.Become(s); return nil }
			return s
		}))
		for range 10 {
			t.Yield()
		}
		require.Greater(tb, n, 100)
		k.Kill()
		require.ErrorIs(tb, k.Join(t), actor.ErrKilled)
	})
}

// A start that fails has no state.
func TestInitFails(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		k := actor.StartTasklet(t, machine.Body(actor.NewRef[int](), machine.Config{}, func(_ *actor.Tasklet, m *machine.Machine[int]) (*state, error) {
			require.Nil(tb, m.State())
			require.Zero(tb, m.Stashed())
			return nil, errPlanned
		}))
		require.ErrorIs(tb, k.Started(t), errPlanned)
		require.Empty(tb, k.Info().Labels)
	})
}
