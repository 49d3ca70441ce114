package supervisor_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// Supervisors whose children run on other schedulers, under clients on all of them: random crashes,
// kills, stops, restarts, deletes, additions, kills of the supervisor in the middle. Each child
// runs at most once at a time, nothing hangs, everybody ends, no scheduler crashes, and every send
// that was accepted is handled or reported.
//
//	TASKLET_SOAK=1m       how long, instead of a second
//	TASKLET_SOAK_SEED=7   this seed only
func TestSoakOverSchedulers(t *testing.T) {
	budget := time.Second
	if v := os.Getenv("TASKLET_SOAK"); v != "" {
		d, err := time.ParseDuration(v)
		require.NoError(t, err)
		budget = d
	}
	if v := os.Getenv("TASKLET_SOAK_SEED"); v != "" {
		seed, err := strconv.ParseUint(v, 10, 64)
		require.NoError(t, err)
		for range 20 {
			soakSupervisor(t, seed)
		}
		return
	}
	begin := time.Now()
	for seed := uint64(1); time.Since(begin) < budget; seed++ {
		soakSupervisor(t, seed)
	}
}

func soakSupervisor(t *testing.T, seed uint64) {
	t.Helper()
	const hosts, children, clients, steps = 3, 5, 4, 60
	again := fmt.Sprintf("again: TASKLET_SOAK_SEED=%d go test -run 'TestSoakOverSchedulers$' ./supervisor", seed)
	var letters, lost, accepted, handled atomic.Int64
	cfg := actor.Config{Schedulers: hosts, Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(time.Time{}), OnEvent: func(e actor.EventRecord) {
		switch e.Kind {
		case event.DeadLetter:
			if e.Message.String() == "int" {
				letters.Add(int64(e.Count))
			}
		case event.StopTimeout, event.Leak:
			lost.Add(1)
		}
	}}
	draw := rand.New(rand.NewPCG(seed, 3))
	err := actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		refs := make([]actor.Ref[int], 2*children)
		running := make([]atomic.Int32, 2*children)
		specs := make([]supervisor.Child, 2*children)
		for i := range specs {
			refs[i] = actor.NewRef[int](actor.MailboxLen(1 + i%4))
			fails := uint64(3 + draw.IntN(20))
			var starts atomic.Uint64
			specs[i] = supervisor.Child{
				ID: strconv.Itoa(i), Shutdown: []time.Duration{0, actor.Infinity, actor.BrutalKill}[draw.IntN(3)],
				Restart: []supervisor.Restart{supervisor.Permanent, supervisor.Transient, supervisor.Temporary}[draw.IntN(3)],
				Options: []actor.Option{actor.OnScheduler(draw.IntN(hosts))},
				Body: actor.ReceiverInitBody(refs[i], func(c *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
					if n := running[i].Add(1); n != 1 {
						panic(fmt.Sprint(i, " runs ", n, " times"))
					}
					c.Defer(func() { running[i].Add(-1) })
					if starts.Add(1)%fails == 0 {
						return nil, errCrash
					}
					return func(c *actor.Tasklet, n int) error {
						handled.Add(1)
						switch n % 12 {
						case 0:
							return errCrash
						case 1:
							panic("boom")
						case 2:
							return actor.ErrStop
						case 3:
							c.Sleep(time.Duration(n) * time.Millisecond)
						}
						return nil
					}, nil
				}),
			}
		}
		spec := supervisor.Spec{
			Name: "middle", Strategy: []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne}[draw.IntN(3)],
			Intensity: 20 + draw.IntN(100), Children: specs[:children],
		}
		if draw.IntN(2) == 0 {
			spec.Backoff = supervisor.Backoff{Min: time.Millisecond, Max: 20 * time.Millisecond, Factor: 2}
		}
		top, err := supervisor.Start(t0, supervisor.Spec{Name: "top", Intensity: 1 << 30, Children: []supervisor.Child{{
			ID: "middle", Body: supervisor.Body(spec), Options: []actor.Option{actor.OnScheduler(draw.IntN(hosts))},
		}}})
		if err != nil {
			return nil // a first start may fail
		}
		middle := func(c *actor.Tasklet) *supervisor.Supervisor {
			infos, err := top.Children(c)
			if err != nil || len(infos) == 0 || infos[0].Tasklet == nil {
				return nil
			}
			return supervisor.Of(infos[0].Tasklet)
		}
		var all []*actor.Tasklet
		for k := range clients {
			draw := rand.New(rand.NewPCG(seed, uint64(10+k)))
			all = append(all, actor.Go(t0, func(c *actor.Tasklet) error {
				for range steps {
					m := middle(c)
					if m == nil {
						c.Sleep(time.Millisecond)
						continue
					}
					i := draw.IntN(2 * children)
					id := strconv.Itoa(i)
					ctx, cancel := actor.WithTimeout(c, time.Duration(1+draw.IntN(50))*time.Millisecond)
					switch draw.IntN(16) {
					case 0, 1:
						_ = m.StopChild(ctx, id)
					case 2, 3, 4:
						_, _ = m.RestartChild(ctx, id)
					case 5:
						_ = m.DeleteChild(ctx, id)
					case 6:
						if !refs[i].IsDead() {
							_, _ = m.StartChild(ctx, specs[i])
						}
					case 7:
						refs[i].Kill()
					case 8:
						if draw.IntN(4) == 0 {
							m.Tasklet().Kill()
						}
					case 9:
						_ = refs[i].Join(ctx)
					case 10:
						_, _ = m.Children(ctx)
					case 11:
						refs[i].Close()
					default:
						if refs[i].Send(ctx, draw.IntN(100)) == nil {
							accepted.Add(1)
						}
					}
					cancel()
				}
				return nil
			}, actor.OnScheduler(k%hosts)))
		}
		for _, c := range all {
			if err := c.Join(t0); err != nil {
				return err
			}
		}
		top.Tasklet().Kill()
		_ = top.Tasklet().Join(t0)
		for i, r := range refs {
			if running[i].Load() != 0 || r.Tasklet() != nil && !r.Tasklet().HasFinished() {
				return fmt.Errorf("%d still runs", i)
			}
			if i < children && !r.IsDead() {
				return fmt.Errorf("the ref of %d is not dead", i)
			}
		}
		for _, r := range refs[children:] {
			if !r.IsDead() { // it was never a child
				slot, err := actor.NewSlot(t0, actor.ReceiverBody(r, func(*actor.Tasklet, int) error { return nil }), nil)
				if err != nil {
					return err
				}
				slot.Retire()
			}
		}
		return nil
	})
	require.NoError(t, err, again)
	require.Zero(t, lost.Load(), again)
	if a, h, l := accepted.Load(), handled.Load(), letters.Load(); a != h+l {
		require.Equal(t, a, h+l, "%d were accepted, %d handled, %d reported; %s", a, h, l, again)
	}
}
