package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
)

// deposit is a message of an account, which answers with its balance.
type deposit struct {
	Amount  int64              `cbor:"1,keyasint"`
	Balance actor.Reply[int64] `cbor:"2,keyasint"`
}

var errOverdrawn = errors.New("overdrawn")

func init() {
	cluster.Type[deposit]("test.deposit", 1)
	cluster.Error("test.overdrawn", errOverdrawn)
}

// account returns the handler of an account.
func account() func(*actor.Tasklet, deposit) error {
	balance := int64(0)
	return func(t *actor.Tasklet, d deposit) error {
		if balance+d.Amount < 0 {
			return d.Balance.Fail(t, errOverdrawn)
		}
		balance += d.Amount
		return d.Balance.Send(t, balance)
	}
}

// system starts a system with a node.
func system(t *testing.T, name string, c cluster.Connector) (*actor.System, *cluster.Node) {
	t.Helper()
	sys, err := actor.Start(actor.Config{Name: name})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		assert.NoError(t, sys.Stop(ctx))
	})
	node, err := cluster.Join(limit(t, 60*time.Second), sys, cluster.Config{Name: name, Connect: c})
	require.NoError(t, err)
	return sys, node
}

// Two systems on one server, one in its process and one by the loopback with its credentials: calls
// and failures come through, and go on over a restart of the server.
func TestCluster(t *testing.T) {
	key, public := user(t)
	e := embedded.Server(embedded.Config{ // b needs the same port after the restart
		Dir: t.TempDir(), Listen: reserve(t), Nodes: map[string]string{"b": public},
	})
	t.Cleanup(e.Close)
	_, a := system(t, "a", e)
	sys, b := system(t, "b", cluster.NATS(e.URL(), nats.Nkey(public, key.Sign)))

	ctx := limit(t, 60*time.Second)
	_, err := cluster.Claim(ctx, b, "account/42", actor.Receiver(sys, account()))
	require.NoError(t, err)
	ref, err := cluster.WaitFor[deposit](ctx, a, "account/42")
	require.NoError(t, err)
	call := func(amount int64) (int64, error) {
		return actor.Call(limit(t, 30*time.Second), ref, func(r actor.Reply[int64]) deposit { return deposit{amount, r} })
	}
	balance, err := call(100)
	require.NoError(t, err)
	assert.Equal(t, int64(100), balance)
	_, err = call(-101)
	assert.ErrorIs(t, err, errOverdrawn)

	e.Close()
	done := make(chan error, 1)
	go func() {
		_, err := call(1) // waits for the server
		done <- err
	}()
	require.NoError(t, e.Start())
	require.NoError(t, <-done)
	balance, err = call(1)
	require.NoError(t, err)
	assert.Equal(t, int64(102), balance, "once each")
	require.NoError(t, b.Leave(ctx))
	_, err = call(1)
	var lost *cluster.NodeError
	assert.True(t, errors.As(err, &lost) || errors.Is(err, mailbox.ErrClosed), "the ref ends with its node: %v", err)
}

// A process may run a server and be no node: nodes of other processes join by it nevertheless. One
// server has the directory when Start returns, seeds have it when there is a majority.
func TestStartMakesTheDirectory(t *testing.T) {
	one := start(t, embedded.Config{Listen: "127.0.0.1:0"})
	_, node := system(t, "a", cluster.NATS(one.URL()))
	assert.Len(t, node.Members(), 1)

	var seeds []string
	for range 3 {
		seeds = append(seeds, reserve(t))
	}
	var all []*embedded.Engine
	for _, self := range seeds {
		all = append(all, start(t, embedded.Config{
			Dir: t.TempDir(), Listen: "127.0.0.1:0", Seeds: seeds, Self: self, Secret: "0123456789abcdef",
		}))
	}
	_, node = system(t, "b", cluster.NATS(all[1].URL()))
	assert.Len(t, node.Members(), 1)
}

// One process, with all that a cluster needs in it.
func ExampleServer() {
	server := embedded.Server(embedded.Config{})
	defer server.Close()
	ctx := context.Background()
	sys, err := actor.Start(actor.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = sys.Stop(ctx) }()
	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "shop-1", Connect: server})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := cluster.Claim(ctx, node, "account/42", actor.Receiver(sys, account())); err != nil {
		fmt.Println(err)
		return
	}
	ref, err := cluster.WaitFor[deposit](ctx, node, "account/42")
	if err != nil {
		fmt.Println(err)
		return
	}
	balance, err := actor.Call(ctx, ref, func(r actor.Reply[int64]) deposit { return deposit{100, r} })
	fmt.Println(balance, err, len(node.Members()))
	fmt.Println(node.Leave(ctx))
	// Output:
	// 100 <nil> 1
	// <nil>
}
