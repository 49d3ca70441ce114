package entity_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor/entity"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// The program of docs/entities.md. Each of its Go blocks stands here to the letter; see TestGuide.

type deposit struct {
	amount  int
	balance actor.Reply[int]
}

func open(t *actor.Tasklet, id string) (actor.Handler[deposit], error) {
	balance, err := load(t, id)
	if err != nil {
		return nil, err
	}
	return func(t *actor.Tasklet, d deposit) error {
		if err := store(t, id, balance+d.amount); err != nil {
			return err // the account is started again, and loads what is stored
		}
		balance += d.amount
		_ = d.balance.Send(t, balance) // reported if the caller no longer waits
		return nil
	}, nil
}

func bank(t *actor.Tasklet) error {
	accounts, err := entity.Start(t, entity.Spec[string, deposit]{
		Name:    "accounts",
		MaxLive: 1000,
		Idle:    time.Minute,
		Evict:   true,
		Init:    open,
	})
	if err != nil {
		return err
	}
	pay(t, accounts, "alice", "bob", "alice", "mallory")
	t.Sleep(time.Second)
	if err := tree.Write(os.Stdout, accounts.Tasklet(), tree.Width(100)); err != nil {
		return err
	}
	pay(t, accounts, "mallory", "mallory", "bob")
	t.Sleep(2 * time.Minute)
	fmt.Println(accounts.Len(), "accounts are live")
	return accounts.Drain(t)
}

func pay(t *actor.Tasklet, accounts *entity.Entities[string, deposit], ids ...string) {
	for _, id := range ids {
		balance, err := entity.Call(t, accounts, id, func(r actor.Reply[int]) deposit {
			return deposit{amount: 100, balance: r}
		})
		if err != nil {
			fmt.Printf("%s: %v\n", id, err)
			continue
		}
		fmt.Println(id, "has", balance)
	}
}

// The database of the program.
var database = map[string]int{"alice": 20, "mallory": 0}

func load(_ *actor.Tasklet, id string) (int, error) { return database[id], nil }

func store(_ *actor.Tasklet, id string, balance int) error {
	if id == "mallory" {
		return errors.New("no such account")
	}
	database[id] = balance
	return nil
}

func Example() {
	cfg := actor.Config{Name: "bank", Clock: scheduler.NewVirtualClock(time.Time{}), StallAfter: -1, Logger: zap.NewNop()}
	if err := actor.Run(context.Background(), cfg, bank); err != nil {
		fmt.Println(err)
	}
	// Output:
	// alice has 120
	// bob has 100
	// alice has 220
	// mallory: /bank/accounts/mallory: no such account
	// supervision tree  system=bank tasklets=4 restarts=1 stalled=0
	// accounts               entities 3        up 1s  restarts 1 unlimited  limit=1000
	// └─ mallory  RESTARTED  receiver    idle  mailbox 0/1024  handled 1  last: no such account (1s ago)
	// (+2 more under accounts, all idle)
	// mallory: /bank/accounts/mallory: no such account
	// mallory: entity: "mallory" is put aside because it has failed too often: /bank/accounts/mallory: no such account
	// bob has 200
	// 0 accounts are live
}

func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/entities.md")
	require.NoError(t, err)
	source, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		require.Contains(t, string(source), b[1], "in the guide, and not here")
	}
	// What the guide says that the program prints is what it prints.
	trees := regexp.MustCompile("(?ms)^```text\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, trees)
	for _, b := range trees {
		for line := range strings.Lines(b[1]) {
			require.Contains(t, string(source), "// "+line, "in the guide, and not in the output of Example")
		}
	}
}
