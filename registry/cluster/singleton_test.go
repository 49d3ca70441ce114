package cluster_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/clustertest"
	"github.com/gotasklet/tasklet/supervisor"
)

// supervised starts a supervisor with one permanent child.
func supervised(t *actor.Tasklet, id string, body actor.Body) *actor.Tasklet {
	return actor.StartTasklet(t, supervisor.Body(supervisor.Spec{
		Intensity: supervisor.Unlimited,
		Children:  []supervisor.Child{{ID: id, Body: body}},
	}), actor.Name("top"))
}

func TestSingletonReceiver(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		var tokens []cluster.Token
		body := func(n *cluster.Node, number int) actor.Body {
			return cluster.SingletonReceiver(n, "billing", func(c *cluster.Claimed) actor.Handler[say] {
				tokens = append(tokens, c.Token)
				return func(t *actor.Tasklet, m say) error { return m.Ask.Send(t, number) }
			}, actor.MailboxLen(4))
		}
		_, err := cluster.FindSingleton[say](t, p.a, "billing")
		require.ErrorIs(p.tb, err, registry.ErrNotFound)
		p.do(func(t *actor.Tasklet) { supervised(t, "billing", body(p.b, 2)) })
		ref, err := cluster.WaitForSingleton[say](t, p.a, "billing")
		require.NoError(p.tb, err)
		supervised(t, "billing", body(p.a, 1))
		n, err := ask(p, ref, 0)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 2, n)
		t.Sleep(5 * time.Minute)
		require.Len(p.tb, tokens, 1, "the other one stands by")
		begin := t.System().Now()
		p.crash()
		for ref.IsDead() || len(tokens) < 2 {
			ref, _ = cluster.WaitForSingleton[say](t, p.a, "billing")
			t.Sleep(10 * time.Millisecond)
		}
		require.Less(p.tb, t.System().Now().Sub(begin), 16*time.Second, "TTL + 1 s")
		n, err = ask(p, ref, 0)
		require.NoError(p.tb, err)
		require.Equal(p.tb, 1, n)
		require.True(p.tb, tokens[0].Less(tokens[1]))
	}, actortest.Allow(event.DeadLetter))
}

// A singleton whose child ends releases the name, and so does one that is stopped.
func TestSingletonThatEnds(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := newPair(t, clustertest.Faults{})
		one := actor.StartTasklet(t, cluster.Singleton(p.a, "job", func(*cluster.Claimed) actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Minute); return errRefused })
		}))
		t.Sleep(time.Second)
		require.Contains(p.tb, p.net.Keys(), "name/singleton/job")
		require.ErrorIs(p.tb, one.Join(t), errRefused)
		t.Sleep(time.Second)
		require.NotContains(p.tb, p.net.Keys(), "name/singleton/job")

		two := actor.StartTasklet(t, cluster.Singleton(p.a, "job", func(*cluster.Claimed) actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		}))
		t.Sleep(time.Second)
		require.Contains(p.tb, p.net.Keys(), "name/singleton/job")
		two.Kill()
		_ = two.Join(t)
		t.Sleep(time.Second)
		require.NotContains(p.tb, p.net.Keys(), "name/singleton/job")

		three := actor.StartTasklet(t, cluster.Singleton(p.a, "job", func(*cluster.Claimed) actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		}))
		require.NoError(p.tb, p.a.Leave(t))
		require.ErrorIs(p.tb, three.Join(t), cluster.ErrLeft)
		require.Panics(p.tb, func() { cluster.Singleton(p.a, "a\nb", func(*cluster.Claimed) actor.Body { return nil }) })
		require.Panics(p.tb, func() { cluster.Singleton(p.a, "a", nil) })
		require.Panics(p.tb, func() { cluster.Singleton(nil, "a", func(*cluster.Claimed) actor.Body { return nil }) })
		require.Panics(p.tb, func() {
			cluster.SingletonReceiver[secret](p.b, "a", func(*cluster.Claimed) actor.Handler[secret] { return nil })
		})
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit))
}

// Whatever happens to the network, at most one lives at a time, tokens grow, and in the end one
// lives.
func TestOneSingleton(t *testing.T) {
	living, starts := 0, 0
	actortest.Explore(t, shortened(400), func(t *actor.Tasklet) {
		tb := actortest.TB(t)
		rand := t.System().Rand()
		living, starts = 0, 0
		var last cluster.Token
		net := clustertest.New(t, clustertest.Faults{
			Loss: 0.1, Delay: time.Duration(rand.IntN(300)) * time.Millisecond, Forget: float64(rand.IntN(10)) / 100,
		})
		hosts := map[string]*actor.Tasklet{}
		start := func(name string) {
			hosts[name] = actor.Go(t, func(t *actor.Tasklet) error {
				n, err := cluster.Join(t, t, cluster.Config{Name: name, Connect: net, TTL: 3 * time.Second})
				if err != nil {
					return err
				}
				supervised(t, "one", cluster.Singleton(n, "one", func(c *cluster.Claimed) actor.Body {
					return actor.GoBody(func(t *actor.Tasklet) error {
						living++
						starts++
						t.Defer(func() { living-- })
						require.Equal(tb, 1, living, "singletons at a time")
						require.True(tb, last.Less(c.Token), "token %v after %v", c.Token, last)
						last = c.Token
						t.Sleep(time.Duration(rand.IntN(20)) * time.Second)
						if rand.IntN(2) == 0 {
							return errRefused
						}
						t.Sleep(time.Hour)
						return nil
					})
				}))
				return n.Tasklet().Join(t)
			}, actor.Name("host-"+name))
		}
		names := []string{"a", "b", "c"}
		for _, name := range names {
			start(name)
		}
		for range 3 + rand.IntN(6) {
			for range rand.IntN(10) {
				t.Sleep(time.Duration(rand.IntN(800)) * time.Millisecond)
				for _, name := range names {
					if hosts[name].HasFinished() {
						start(name)
					}
				}
			}
			trouble(net, rand, hosts, names[rand.IntN(3)])
		}
		net.Calm()
		t.Sleep(time.Minute)
		require.Equal(tb, 1, living)
	}, actortest.Allow(event.DeadLetter), actortest.Allow(event.Exit), actortest.Allow(supervisor.EventRestart), actortest.Allow(supervisor.EventGiveUp))
}

func shortened(n int) int {
	if raceEnabled || testing.Short() {
		return n / 8
	}
	return n
}

// trouble lets one of six things happen to a node.
func trouble(net *clustertest.Network, rand *rand.Rand, hosts map[string]*actor.Tasklet, name string) {
	switch rand.IntN(6) {
	case 0:
		net.Cut(name, clustertest.Directory)
	case 1:
		net.Cut(clustertest.Directory, name)
	case 2:
		net.Partition(name)
	case 3:
		net.Pause(name, time.Duration(rand.IntN(6000))*time.Millisecond)
	case 4:
		net.Unplug(name)
		hosts[name].Kill()
	case 5:
		net.Heal(name, clustertest.Directory)
		net.Heal(clustertest.Directory, name)
	}
}
