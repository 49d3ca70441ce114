package supervisor_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

// Rule 35: thousands of times, no stop, no hang, no name taken.

// A child that ends at once after its start, or in its start, is restarted as often as is allowed,
// and calls get in between.
func TestStormOfStarts(t *testing.T) {
	const n = 5000
	for name, child := range map[string]func(count *int) supervisor.Child{
		"returns": func(count *int) supervisor.Child {
			return supervisor.Child{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { *count++; return nil })}
		},
		"fails": func(count *int) supervisor.Child {
			return supervisor.Child{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { *count++; return errCrash })}
		},
		"panics": func(count *int) supervisor.Child {
			return supervisor.Child{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { *count++; panic("boom") })}
		},
		"fails on start": func(count *int) supervisor.Child {
			return supervisor.Child{ID: "a", Body: actor.GoBody(func(*actor.Tasklet) error { return nil }), Options: []actor.Option{actor.OnStart(func(*actor.Tasklet) error {
				*count++
				if *count == 1 {
					return nil
				}
				return errCrash
			})}}
		},
		"is killed by its init": func(count *int) supervisor.Child {
			return supervisor.Child{ID: "a", Body: actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				*count++
				t.Kill()
				return func(*actor.Tasklet, int) error { return nil }, nil
			})}
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) {
				count := 0
				s := start(t0, supervisor.Spec{Intensity: n, Children: []supervisor.Child{child(&count)}})
				calls := 0
				for {
					if _, err := s.Children(t0); err != nil {
						break
					}
					calls++
				}
				require.ErrorIs(t, s.Tasklet().Join(t0), supervisor.ErrIntensity)
				require.Equal(t, n+1, count)
				require.Greater(t, calls, n/10)
			})
		})
	}
}

// Many named children that crash at full speed, each with its mailbox: every message is handled
// once or was in hand at a crash.
func TestStormOfCrashes(t *testing.T) {
	for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			children, messages := 50, 100
			if strategy != supervisor.OneForOne {
				children = 10
			}
			run(t, func(t0 *actor.Tasklet) {
				var cs []supervisor.Child
				refs := make([]actor.Ref[int], children)
				handled := make([]int, children)
				for i := range refs {
					refs[i] = actor.NewRef[int](actor.MailboxLen(8))
					cs = append(cs, supervisor.Child{ID: strconv.Itoa(i), Body: actor.ReceiverBody(refs[i], func(_ *actor.Tasklet, n int) error {
						handled[i]++
						if n%2 == 1 {
							panic("boom")
						}
						return nil
					})})
				}
				s := start(t0, supervisor.Spec{Strategy: strategy, Intensity: 1 << 30, Children: cs})
				for i, ref := range refs {
					actor.Go(t0, func(t *actor.Tasklet) error {
						for n := range messages {
							if err := ref.Send(t, n+i); err != nil {
								return err
							}
						}
						return nil
					})
				}
				t0.Sleep(time.Second)
				for i := range refs {
					require.Equal(t, messages, handled[i], "child %d", i)
				}
				require.Equal(t, children, len(s.Tasklet().Children()))
			})
		})
	}
}

// Children that are added, crash, end, are stopped and deleted in a hurry by many callers.
func TestStormOfCalls(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		s := start(t0, supervisor.Spec{Intensity: 1 << 30})
		for caller := range 20 {
			actor.Go(t0, func(t *actor.Tasklet) error {
				for i := range 100 {
					id := fmt.Sprintf("%d-%d", caller, i)
					ref := actor.NewRef[int]()
					c := supervisor.Child{ID: id, Restart: supervisor.Restart(i % 3), Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error {
						return errCrash
					})}
					if _, err := s.StartChild(t, c); err != nil {
						return err
					}
					_ = ref.Send(t, 1)
					if i%2 == 0 {
						t.Yield()
					}
					_ = s.StopChild(t, id)
					_, _ = s.RestartChild(t, id)
					_ = s.StopChild(t, id)
					_ = s.DeleteChild(t, id)
				}
				return nil
			}, actor.OnFailure(actor.Escalate))
		}
		t0.Sleep(time.Second)
		require.Empty(t, states(t0, s))
		require.Empty(t, s.Tasklet().Children())
	})
}

// The system is stopped in the midst of it.
func TestStopInAStorm(t *testing.T) {
	for seed := range uint64(20) {
		runWith(t, actor.Config{Seed: seed + 1}, func(t0 *actor.Tasklet) {
			f := newFamily()
			in := supervisor.Spec{Strategy: supervisor.Strategy(seed % 3), Intensity: 1 << 30, Children: f.children("a", "b", "c")}
			s := start(t0, supervisor.Spec{Intensity: 1 << 30, Children: []supervisor.Child{{ID: "in", Body: supervisor.Body(in)}}})
			for _, id := range []string{"a", "b", "c"} {
				actor.Go(t0, func(t *actor.Tasklet) error {
					for range 1000 {
						if f.ref(id).Send(t, errCrash) != nil {
							return nil
						}
						t.Yield()
					}
					return nil
				})
			}
			for range 100 + 10*seed {
				t0.Yield()
			}
			s.Tasklet().Kill()
			_ = s.Tasklet().Join(t0)
			require.True(t, f.ref("a").IsDead() && f.ref("b").IsDead() && f.ref("c").IsDead())
		})
	}
}
