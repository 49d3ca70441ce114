package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/embedded"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/entity"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// nodeConfig is what a process of the cluster needs to know.
type nodeConfig struct {
	Name     string
	Dir      string   // of its NATS server
	Seeds    []string // where the servers connect with each other
	Self     string   // which of Seeds it is
	Listen   string
	Ledger   string // the URL
	Accounts int
}

// The messages of an account. Each has a name on the wire.
type (
	bankMsg interface{ isBankMsg() }

	// pay takes money from the account, and sends it to another one. The answer says that it is on
	// its way.
	pay struct {
		ID     string             `cbor:"1,keyasint"`
		To     string             `cbor:"2,keyasint"`
		Amount int64              `cbor:"3,keyasint"`
		Reply  actor.Reply[int64] `cbor:"4,keyasint"`
	}
	// credit is money that arrives.
	credit struct {
		ID     string             `cbor:"1,keyasint"`
		Amount int64              `cbor:"2,keyasint"`
		Reply  actor.Reply[int64] `cbor:"3,keyasint"`
	}
)

func (pay) isBankMsg()    {}
func (credit) isBankMsg() {}

func init() {
	cluster.Type[pay]("bank.pay", 1)
	cluster.Type[credit]("bank.credit", 1)
	cluster.Error("bank.overdrawn", errOverdrawn)
	cluster.Error("bank.old_token", errOldToken)
	cluster.Error("bank.closed", errClosed)
}

// bank is what the tasklets of a process share.
type bank struct {
	config   nodeConfig
	accounts *cluster.Sharded[bankMsg]
	stop     atomic.Bool // no more transfers

	mu     sync.Mutex // protects the following
	paid   int
	failed map[string]int // by the error
	shards int            // that have come here
}

// runNode runs a node until it reads "leave" from in, and writes what happens to out.
func runNode(c nodeConfig, in io.Reader, out io.Writer) error {
	lines := &printer{w: out}
	b := &bank{config: c, failed: map[string]int{}}
	server := embedded.Server(embedded.Config{
		Dir: c.Dir, Seeds: c.Seeds, Self: c.Self, Listen: c.Listen, Secret: "only on this machine",
	})
	defer server.Close()
	sys, err := actor.Start(actor.Config{Name: c.Name, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) { b.onEvent(lines, e) }})
	if err != nil {
		return err
	}
	ctx := context.Background()
	defer func() { _ = sys.Stop(ctx) }()
	join, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	node, err := cluster.Join(join, sys, cluster.Config{Name: c.Name, Connect: server, TTL: 5 * time.Second})
	if err != nil {
		return err
	}
	b.accounts, err = cluster.NewSharded(node, cluster.ShardedSpec[bankMsg]{
		Name: "account", Init: b.account, Entities: entity.Spec[string, bankMsg]{Idle: time.Minute},
	})
	if err != nil {
		return err
	}
	top, err := supervisor.Start(sys, supervisor.Spec{Name: "bank", Children: []supervisor.Child{
		{ID: "accounts", Body: b.accounts.Body()},
		{ID: "sweeper", Body: cluster.Singleton(node, "sweeper", func(*cluster.Claimed) actor.Body {
			return actor.IntervalBody(time.Second, b.sweep)
		})},
		{ID: "teller-1", Body: actor.GoBody(b.teller), Restart: supervisor.Transient},
		{ID: "teller-2", Body: actor.GoBody(b.teller), Restart: supervisor.Transient},
	}})
	if err != nil {
		return err
	}
	lines.printf("ready")
	commands := bufio.NewScanner(in)
	for commands.Scan() {
		switch commands.Text() {
		case "stop":
			b.stop.Store(true)
		case "leave":
			lines.printf("its tree before it leaves:")
			var text strings.Builder
			if err := tree.Write(&text, sys.Root(), tree.MaxRows(12), tree.AsText()); err != nil {
				return err
			}
			for line := range strings.Lines(text.String()) {
				lines.printf("  %s", strings.TrimRight(line, "\n"))
			}
			lines.printf("report %s", b.report())
			top.Tasklet().Kill()
			_ = top.Tasklet().Join(ctx)
			// The last ones to leave may find no majority of the servers, and nobody who confirms.
			leave, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if err := node.Leave(leave); err != nil {
				lines.printf("left, without a confirmation by all: %v", err)
			}
			return nil
		}
	}
	return errors.New("its parent has ended")
}

// onEvent prints what happens in the cluster. It must not block for long.
func (b *bank) onEvent(lines *printer, e actor.EventRecord) {
	var name string
	for _, f := range e.Fields {
		if f.Key == "node" || f.Key == "name" {
			name = f.String
		}
	}
	switch e.Kind {
	case cluster.EventNodeUp, cluster.EventNodeSuspect, cluster.EventNodeDown:
		lines.printf("%s %s", e.Kind, name)
	case cluster.EventShardMoved:
		b.mu.Lock()
		b.shards++
		b.mu.Unlock()
	}
}

// account is the Init of an account. It begins with what its last owner has not finished.
func (b *bank) account(t *actor.Tasklet, key string, claim *cluster.Claimed) (actor.Handler[bankMsg], error) {
	enter := func(t *actor.Tasklet, what string, x transfer) (answer, error) {
		return actor.Await(t, func(ctx context.Context) (answer, error) {
			return post(ctx, b.config.Ledger, entry{What: what, Account: key, Token: claim.Token, transfer: x})
		})
	}
	state, err := enter(t, "open", transfer{})
	if err != nil {
		return nil, err
	}
	// A courier takes money to another account. The account does not wait for it, since two of them
	// could wait for each other.
	courier := func(t *actor.Tasklet, x transfer) {
		actor.Go(t, func(t *actor.Tasklet) error {
			for {
				ctx, cancel := actor.WithTimeout(t, 5*time.Second)
				_, err := cluster.CallSharded(ctx, b.accounts, x.To, func(r actor.Reply[int64]) bankMsg { return credit{x.ID, x.Amount, r} })
				cancel()
				if err == nil {
					_, err = enter(t, "settle", x)
				}
				if err == nil || errors.Is(err, errOldToken) {
					return nil // the next owner begins with it
				}
				b.note(err)
				t.Sleep(100 * time.Millisecond)
			}
		}, actor.Name("courier"))
	}
	for _, x := range state.Out {
		courier(t, x)
	}
	return func(t *actor.Tasklet, m bankMsg) error {
		switch m := m.(type) {
		case pay:
			x := transfer{m.ID, m.To, m.Amount}
			a, err := enter(t, "debit", x)
			if err == nil {
				courier(t, x)
			}
			respond(t, m.Reply, a.Balance, err)
		case credit:
			a, err := enter(t, "credit", transfer{ID: m.ID, Amount: m.Amount})
			respond(t, m.Reply, a.Balance, err)
		}
		return nil
	}, nil
}

// respond answers a caller, unless it does not wait any more.
func respond(t *actor.Tasklet, r actor.Reply[int64], balance int64, err error) {
	if err != nil {
		_ = r.Fail(t, err)
	} else {
		_ = r.Send(t, balance)
	}
}

// sweep starts the accounts from which money is on its way. Those of a process that was killed have
// moved, and nobody else may need them for long. One process does it for all.
func (b *bank) sweep(t *actor.Tasklet) error {
	names, err := actor.Await(t, func(ctx context.Context) ([]string, error) { return getWaiting(ctx, b.config.Ledger) })
	if err != nil {
		return err
	}
	for _, name := range names {
		ctx, cancel := actor.WithTimeout(t, 5*time.Second)
		_, err := b.accounts.Ref(ctx, name)
		cancel()
		if err != nil {
			b.note(err)
		}
	}
	return nil
}

// teller moves money between random accounts until the bank stops.
func (b *bank) teller(t *actor.Tasklet) error {
	for n := 0; !b.stop.Load(); n++ {
		from, to := b.random(), b.random()
		if from == to {
			continue
		}
		id := fmt.Sprintf("%s %s %d %d", b.config.Name, t.ID(), n, rand.Int64())
		ctx, cancel := actor.WithTimeout(t, 10*time.Second)
		_, err := cluster.CallSharded(ctx, b.accounts, from, func(r actor.Reply[int64]) bankMsg {
			return pay{id, to, 1 + rand.Int64N(20), r}
		})
		cancel()
		if err != nil {
			b.note(err)
		} else {
			b.mu.Lock()
			b.paid++
			b.mu.Unlock()
		}
		t.Sleep(2 * time.Millisecond)
	}
	return nil
}

func (b *bank) random() string { return fmt.Sprint("account-", rand.IntN(b.config.Accounts)) }

// note counts an error of a call.
func (b *bank) note(err error) {
	what := err.Error()
	var lost *cluster.NodeError
	switch {
	case errors.As(err, &lost):
		what = lost.Error()
	case errors.Is(err, errOverdrawn):
		what = errOverdrawn.Error()
	case errors.Is(err, errClosed):
		what = errClosed.Error()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failed[what]++
}

// report says in one line what the process has done.
func (b *bank) report() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := fmt.Sprintf("%d shards have come here, %d payments were accepted", b.shards, b.paid)
	for _, what := range slices.Sorted(maps.Keys(b.failed)) {
		s += fmt.Sprintf("; %d calls failed: %s", b.failed[what], what)
	}
	return s
}
