package embedded_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
	"github.com/gotasklet/tasklet/supervisor"
)

// Groups, a singleton and sharded entities on a real server: when a node leaves, the other one has
// all that it had.
func TestUniqueThings(t *testing.T) {
	e := embedded.Server(embedded.Config{})
	t.Cleanup(e.Close)
	var living atomic.Int32
	type host struct {
		node     *cluster.Node
		accounts *cluster.Sharded[deposit]
		group    *cluster.Group[deposit]
	}
	hosts := map[string]*host{}
	ctx := limit(t, 60*time.Second)
	for _, name := range []string{"a", "b"} {
		sys, node := system(t, name, e)
		accounts, err := cluster.NewSharded(node, cluster.ShardedSpec[deposit]{
			Name: "account", Shards: 16,
			Init: func(*actor.Tasklet, string, *cluster.Claimed) (actor.Handler[deposit], error) { return account(), nil },
		})
		require.NoError(t, err)
		group, err := cluster.NewGroup[deposit](node, "workers")
		require.NoError(t, err)
		require.NoError(t, group.Join(ctx, actor.Receiver(sys, account())))
		_, err = supervisor.Start(sys, supervisor.Spec{Children: []supervisor.Child{
			{ID: "accounts", Body: accounts.Body()},
			{ID: "clock", Body: cluster.Singleton(node, "clock", func(*cluster.Claimed) actor.Body {
				return actor.GoBody(func(t *actor.Tasklet) error {
					living.Add(1)
					t.Defer(func() { living.Add(-1) })
					t.Sleep(time.Hour)
					return nil
				})
			})},
		}})
		require.NoError(t, err)
		hosts[name] = &host{node, accounts, group}
	}
	a, b := hosts["a"], hosts["b"]
	for i := range 20 {
		key := fmt.Sprint("account-", i)
		for n, h := range []*host{a, b} {
			var balance int64
			require.Eventually(t, func() bool { // a shard of a may just move to b
				var err error
				balance, err = cluster.CallSharded(ctx, h.accounts, key, func(r actor.Reply[int64]) deposit { return deposit{1, r} })
				return err == nil
			}, 20*time.Second, 10*time.Millisecond)
			require.GreaterOrEqual(t, balance, int64(1+n))
		}
	}
	require.Eventually(t, func() bool { return len(a.group.Members()) == 2 && len(b.group.Members()) == 2 }, 20*time.Second, 10*time.Millisecond)
	require.Eventually(t, func() bool { return living.Load() == 1 }, 20*time.Second, 10*time.Millisecond)

	require.NoError(t, a.node.Leave(ctx))
	for i := range 20 {
		_, err := cluster.CallSharded(ctx, b.accounts, fmt.Sprint("account-", i), func(r actor.Reply[int64]) deposit { return deposit{1, r} })
		require.NoError(t, err)
		require.Equal(t, "b", b.accounts.NodeOf(fmt.Sprint("account-", i)))
	}
	require.Eventually(t, func() bool { return len(b.group.Members()) == 1 && living.Load() == 1 }, 20*time.Second, 10*time.Millisecond)
}
