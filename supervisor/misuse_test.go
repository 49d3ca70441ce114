package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

func sleeps(t *actor.Tasklet) error { t.Sleep(1000 * time.Hour); return nil }

// What is wrong with a child that a caller wants, and can be seen only when it is started, is an
// error for the caller: a *StartError. The supervisor, or the pool, lives on with its other
// children, and what belongs to others is left alone.
func TestMisuseOfACaller(t *testing.T) {
	foreign := actor.NewRef[int]()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	other, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	require.NoError(t, err)
	defer func() { _ = other.Stop(context.Background()) }()
	require.NoError(t, actor.Go(other, func(t *actor.Tasklet) error { return foreign.Send(t, 1) }).Join(ctx))
	handle := func(*actor.Tasklet, int) error { return nil }
	sayer := func(t *actor.Tasklet, r actor.Reply[int]) error { return r.Send(t, 1) }
	one := func(r actor.Reply[int]) actor.Reply[int] { return r }

	for _, schedulers := range []int{1, 2} {
		elsewhere := actor.NewRef[actor.Reply[int]]()
		elsewhereBody := actor.ReceiverBody(elsewhere, sayer)
		for name, child := range map[string]func(t *actor.Tasklet) supervisor.Child{
			"no such scheduler": func(*actor.Tasklet) supervisor.Child {
				return supervisor.Child{ID: "x", Body: actor.GoBody(sleeps), Options: []actor.Option{actor.OnScheduler(7)}}
			},
			"ref of another system": func(*actor.Tasklet) supervisor.Child {
				return supervisor.Child{ID: "x", Body: actor.ReceiverBody(foreign, handle)}
			},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, schedulers), func(t *testing.T) {
				require.NoError(t, actor.Run(ctx, actor.Config{Logger: zap.NewNop(), Schedulers: schedulers}, func(t0 *actor.Tasklet) error {
					s, err := supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "good", Body: actor.GoBody(sleeps)}}})
					require.NoError(t, err)
					pool, err := supervisor.StartPool(t0, supervisor.PoolSpec[int]{Child: func(i int) supervisor.Child {
						if i == 0 {
							return supervisor.Child{Body: actor.GoBody(sleeps)}
						}
						return child(t0)
					}})
					require.NoError(t, err)
					good, err := pool.Start(t0, 0)
					require.NoError(t, err)

					var start *supervisor.StartError
					_, err = s.StartChild(t0, child(t0))
					require.ErrorAs(t, err, &start)
					_, err = pool.Start(t0, 1)
					require.ErrorAs(t, err, &start)
					_, err = supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{child(t0)}})
					require.ErrorAs(t, err, &start)

					t0.Sleep(time.Millisecond)
					n, err := s.Count(t0)
					require.NoError(t, err)
					require.Equal(t, map[supervisor.State]int{supervisor.Running: 1}, n)
					require.False(t, good.HasFinished())
					return nil
				}))
			})
		}
		t.Run(fmt.Sprintf("runs elsewhere/%d", schedulers), func(t *testing.T) {
			require.NoError(t, actor.Run(ctx, actor.Config{Logger: zap.NewNop(), Schedulers: schedulers}, func(t0 *actor.Tasklet) error {
				s, err := supervisor.Start(t0, supervisor.Spec{Children: []supervisor.Child{{ID: "good", Body: actor.GoBody(sleeps)}}})
				require.NoError(t, err)
				_, err = s.StartChild(t0, supervisor.Child{ID: "m", Body: elsewhereBody})
				require.NoError(t, err)
				require.NoError(t, s.StopChild(t0, "m"))
				// The ref is the child's also while that is stopped: who starts it elsewhere is
				// told so, and the child can be started again.
				func() {
					defer func() { require.Contains(t, fmt.Sprint(recover()), "belongs to the slot of "+s.Tasklet().Path()+"/m") }()
					actor.StartTasklet(t0, elsewhereBody)
				}()
				_, err = s.RestartChild(t0, "m")
				require.NoError(t, err)
				n, err := actor.Call(t0, elsewhere, one)
				require.NoError(t, err)
				require.Equal(t, 1, n)

				// One that runs elsewhere can be no child, and reads on whatever becomes of the
				// supervisor.
				other := actor.NewRef[actor.Reply[int]]()
				otherBody := actor.ReceiverBody(other, sayer)
				actor.StartTasklet(t0, otherBody)
				var spec *supervisor.SpecError
				_, err = s.StartChild(t0, supervisor.Child{ID: "n", Body: otherBody})
				require.ErrorAs(t, err, &spec)
				s.Tasklet().Kill()
				_ = s.Tasklet().Join(t0)
				n, err = actor.Call(t0, other, one)
				require.NoError(t, err, "the tasklet elsewhere reads on")
				require.Equal(t, 1, n)
				return nil
			}))
		})
	}
}

// A function of OnEnd that fails when its child is deleted, and a logger that fails when the tree
// is due, end no supervisor.
func TestSupervisorOutlivesCallbacks(t *testing.T) {
	core := zapcore.RegisterHooks(zapcore.NewNopCore())
	logger := zap.New(core).WithOptions(zap.WrapCore(func(zapcore.Core) zapcore.Core { return badCore{} }))
	ref := actor.NewRef[int]()
	ref.OnEnd(func() { panic("OnEnd fails") })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	require.NoError(t, actor.Run(ctx, actor.Config{Logger: logger}, func(t0 *actor.Tasklet) error {
		s, err := supervisor.Start(t0, supervisor.Spec{LogEvery: time.Millisecond, Children: []supervisor.Child{
			{ID: "good", Body: actor.GoBody(sleeps)},
			{ID: "bad", Restart: supervisor.Transient, Body: actor.ReceiverBody(ref, func(*actor.Tasklet, int) error { return errors.New("x") })},
		}})
		require.NoError(t, err)
		require.NoError(t, s.StopChild(t0, "bad"))
		require.NoError(t, s.DeleteChild(t0, "bad"))
		t0.Sleep(20 * time.Millisecond)
		n, err := s.Count(t0)
		require.NoError(t, err)
		require.Equal(t, map[supervisor.State]int{supervisor.Running: 1}, n)
		return nil
	}))
}

// badCore is a core that fails at what tree.Log writes.
type badCore struct{}

func (badCore) Enabled(zapcore.Level) bool          { return true }
func (c badCore) With([]zapcore.Field) zapcore.Core { return c }
func (badCore) Sync() error                         { return nil }
func (c badCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	return ce.AddCore(e, c)
}
func (badCore) Write(zapcore.Entry, []zapcore.Field) error { panic("the log is broken") }
