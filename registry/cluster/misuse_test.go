package cluster_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/scheduler"
)

// Misuse panics at the caller and says what is wrong; what may come from outside is an error.
func TestMisuse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		here := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		join := func(c cluster.Config) func() {
			return func() {
				c.Connect = p.net
				_, _ = cluster.Join(t, t, c)
			}
		}
		body := func(*cluster.Claimed) actor.Body { return actor.GoBody(func(*actor.Tasklet) error { return nil }) }
		for says, f := range map[string]func(){
			"Config.Name":                  join(cluster.Config{Name: "a.b"}),
			"Config.TTL":                   join(cluster.Config{Name: "c", TTL: -1}),
			"Config.Labels":                join(cluster.Config{Name: "c", Labels: map[string]string{"k": strings.Repeat("x", 1<<20)}}),
			"Config.Connect":               func() { _, _ = cluster.Join(t, t, cluster.Config{Name: "c"}) },
			"Find with a nil Node":         func() { _, _ = cluster.Find[say](t, nil, "x") },
			"WaitFor with a nil Node":      func() { _, _ = cluster.WaitFor[say](t, nil, "x") },
			`Claim("x") with a nil Node`:   func() { _, _ = cluster.Claim(t, nil, "x", here) },
			"NewGroup with a nil Node":     func() { _, _ = cluster.NewGroup[say](nil, "x") },
			"NewSharded with a nil Node":   func() { _, _ = cluster.NewSharded(nil, cluster.ShardedSpec[say]{}) },
			`Singleton("x") with a nil`:    func() { cluster.Singleton(nil, "x", body) },
			"Singleton: registry: the nam": func() { cluster.Singleton(p.a, "", body) },
		} {
			func() {
				defer func() {
					v := recover()
					require.NotNil(p.tb, v, says)
					text := fmt.Sprint(v)
					require.True(p.tb, strings.HasPrefix(text, "cluster: "), text)
					require.Contains(p.tb, text, says)
				}()
				f()
			}()
		}
		for _, name := range []string{"", strings.Repeat("x", 257), "a\nb", "a\x00", "\xff"} {
			_, err := cluster.Claim(t, p.a, name, here)
			require.ErrorIs(p.tb, err, registry.ErrName, "%q", name)
			_, err = cluster.Find[say](t, p.a, name)
			require.ErrorIs(p.tb, err, registry.ErrName, "%q", name)
			_, err = cluster.FindSingleton[say](t, p.a, name)
			require.ErrorIs(p.tb, err, registry.ErrName, "%q", name)
			_, err = cluster.NewGroup[say](p.a, name)
			require.ErrorIs(p.tb, err, registry.ErrName, "%q", name)
			_, err = cluster.NewSharded(p.a, cluster.ShardedSpec[say]{Name: name})
			require.ErrorIs(p.tb, err, registry.ErrName, "%q", name)
		}
		for _, name := range []string{strings.Repeat("ü", 128), "a b.*>", "../x", "=41", "\u202e", "name/x"} {
			c, err := cluster.Claim(t, p.a, name, here)
			require.NoError(p.tb, err, "%q", name)
			_, err = cluster.WaitFor[say](t, p.b, name)
			require.NoError(p.tb, err, "%q", name)
			require.NoError(p.tb, c.Release(t))
		}
		_, err := cluster.Find[secret](t, p.a, "x")
		require.ErrorIs(p.tb, err, registry.ErrNotFound)
		claim(p, "x", func(*actor.Tasklet, say) error { return nil })
		_, err = cluster.Find[secret](t, p.a, "x")
		require.EqualError(p.tb, err, "type cluster_test.secret has no name for other nodes: give it one with cluster.Type")
	})
}

// Two calls of Leave at the same time both wait for the end, and both succeed.
func TestLeaveTwice(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Loss: 0.5, Delay: 50 * time.Millisecond})
		n := 0
		ref, _ := claim(p, "sink", func(*actor.Tasklet, say) error { n++; return nil })
		for range 100 {
			require.NoError(p.tb, ref.Send(t, say{}))
		}
		for range 3 {
			actor.Go(t, func(t *actor.Tasklet) error {
				require.NoError(p.tb, p.a.Leave(t))
				require.ErrorIs(p.tb, ref.Send(t, say{}), mailbox.ErrClosed)
				return nil
			})
		}
		require.NoError(p.tb, p.a.Leave(t))
		require.Equal(p.tb, 100, n)
	})
}

// Leave does not wait until the credits of refs that were used a moment ago are given back.
func TestLeaveIsQuick(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{Delay: 10 * time.Millisecond})
		ref, _ := claim(p, "echo", func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		_, err := ask(p, ref, 1)
		require.NoError(p.tb, err)
		begin := t.System().Now()
		require.NoError(p.tb, p.a.Leave(t))
		require.Less(p.tb, t.System().Now().Sub(begin), 500*time.Millisecond)
	})
}

// What a Defer sends after its node has left is refused there and then.
func TestAfterLeave(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref, _ := claim(p, "sink", func(*actor.Tasklet, say) error { return nil })
		group, err := cluster.NewGroup[say](p.a, "g")
		require.NoError(p.tb, err)
		here := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		c, err := cluster.Claim(t, p.a, "mine", here)
		require.NoError(p.tb, err)
		k := actor.Go(t, func(t *actor.Tasklet) error {
			t.Defer(func() {
				require.ErrorIs(p.tb, ref.TrySend(t, say{}), mailbox.ErrClosed)
				_, err := cluster.Find[say](t, p.a, "sink")
				require.ErrorIs(p.tb, err, cluster.ErrLeft)
			})
			require.NoError(p.tb, p.a.Leave(t))
			return nil
		})
		require.NoError(p.tb, k.Join(t))
		require.ErrorIs(p.tb, c.Err(), cluster.ErrLeft)
		_, err = cluster.Claim(t, p.a, "mine", here)
		require.ErrorIs(p.tb, err, cluster.ErrLeft)
		_, err = cluster.WaitFor[say](t, p.a, "sink")
		require.ErrorIs(p.tb, err, cluster.ErrLeft)
		require.ErrorIs(p.tb, group.Join(t, here), cluster.ErrLeft)
		require.ErrorIs(p.tb, group.Leave(t, here), nil)
		_ = c.Release(t)
		_, err = group.Next()
		require.ErrorIs(p.tb, err, registry.ErrNoMembers)
		sharded, err := cluster.NewSharded(p.a, cluster.ShardedSpec[say]{Name: "s", Init: func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[say], error) { return nil, nil }})
		require.NoError(p.tb, err)
		_, err = sharded.Ref(t, "k")
		require.ErrorIs(p.tb, err, cluster.ErrLeft)
	})
}

// A ref that is claimed, released, and joined to groups again and again keeps nothing of that, and
// its end asks the node for what is there then, once.
func TestNothingPilesUpOnARef(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		here := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		var claims []weak.Pointer[cluster.Claimed]
		var groups []weak.Pointer[cluster.Group[say]]
		for range 5 {
			c, err := cluster.Claim(t, p.a, "x", here)
			require.NoError(p.tb, err)
			claims = append(claims, weak.Make(c))
			require.NoError(p.tb, c.Release(t))
			g, err := cluster.NewGroup[say](p.a, "g")
			require.NoError(p.tb, err)
			groups = append(groups, weak.Make(g))
			require.NoError(p.tb, g.Join(t, here))
			require.NoError(p.tb, g.Leave(t, here))
		}
		runtime.GC()
		runtime.GC()
		live := 0
		for i := range claims[:4] {
			if claims[i].Value() != nil || groups[i].Value() != nil {
				live++
			}
		}
		require.Zero(p.tb, live)
		for range 100 {
			_, err := cluster.Claim(t, p.a, "y", here)
			require.NoError(p.tb, err)
		}
		before := p.a.Tasklet().Info().Mailbox.Handled
		here.Tasklet().Kill()
		t.Sleep(10 * time.Millisecond)
		require.Less(p.tb, p.a.Tasklet().Info().Mailbox.Handled-before, uint64(10))
		require.Empty(p.tb, p.a.Claims())
	})
}

// A node that joins and leaves a hundred times leaves neither goroutines nor tasklets nor memory
// behind, there or at the other nodes.
func TestJoinAndLeaveOften(t *testing.T) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	require.NoError(t, actor.Run(t.Context(), cfg, func(t0 *actor.Tasklet) error {
		net := clustertest.New(t0, clustertest.Faults{})
		a, err := cluster.Join(t0, t0, cluster.Config{Name: "a", Connect: net})
		require.NoError(t, err)
		here := actor.Receiver(t0, func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
		_, err = cluster.Claim(t0, a, "echo", here)
		require.NoError(t, err)
		once := func() error {
			b, err := cluster.Join(t0, t0, cluster.Config{Name: "b", Connect: net})
			if err != nil {
				return err
			}
			ref, err := cluster.WaitFor[say](t0, b, "echo")
			if err != nil {
				return err
			}
			there := actor.Receiver(t0, func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, m.N) })
			if _, err := cluster.Claim(t0, b, "there", there); err != nil {
				return err
			}
			back, err := cluster.WaitFor[say](t0, a, "there")
			if err != nil {
				return err
			}
			for _, r := range []actor.Ref[say]{ref, back} {
				if _, err := actor.Call(t0, r, func(r actor.Reply[int]) say { return say{N: 1, Ask: r, To: here} }); err != nil {
					return err
				}
			}
			err = b.Leave(t0)
			there.Tasklet().Kill()
			_ = there.Join(t0)
			return err
		}
		count := func() (goroutines, tasklets int, heap uint64) {
			t0.Sleep(time.Minute)
			runtime.GC()
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return runtime.NumGoroutine(), len(t0.Children()), m.HeapAlloc
		}
		for range 20 {
			require.NoError(t, once())
		}
		g0, k0, h0 := count()
		for range 100 {
			require.NoError(t, once())
		}
		g1, k1, h1 := count()
		require.LessOrEqual(t, g1, g0)
		require.Equal(t, k0, k1)
		require.Less(t, int64(h1)-int64(h0), int64(100*2000))
		return nil
	}))
}

// A claim that was given up here says so, also when its tasklet has ended.
func TestReleasedClaim(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		ref := actor.Receiver(t, func(*actor.Tasklet, say) error { return nil })
		c, err := cluster.Claim(t, p.a, "x", ref)
		require.NoError(p.tb, err)
		require.NoError(p.tb, c.Err())
		require.NoError(p.tb, c.Release(t))
		require.ErrorIs(p.tb, c.Err(), cluster.ErrReleased)
		c, err = cluster.Claim(t, p.a, "x", ref)
		require.NoError(p.tb, err)
		ref.Kill()
		t.Sleep(time.Second)
		require.ErrorIs(p.tb, c.Err(), cluster.ErrReleased)
	})
}

// A node has a limit for the refs that it has in groups; one that leaves makes room.
func TestTooManyMemberships(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		g, err := cluster.NewGroup[say](p.a, "g")
		require.NoError(p.tb, err)
		var first actor.Ref[say]
		for i := range 5000 {
			ref := actor.NewRef[say]()
			if i == 0 {
				first = ref
			}
			actor.Go(t, func(t *actor.Tasklet) error { return g.Join(t, ref) })
		}
		t.Sleep(time.Minute)
		one := actor.NewRef[say]()
		require.ErrorIs(p.tb, g.Join(t, one), cluster.ErrMemberships)
		require.NoError(p.tb, g.Join(t, first), "it is a member")
		require.NoError(p.tb, g.Leave(t, first))
		require.NoError(p.tb, g.Join(t, one))
	})
}
