// Bank has accounts that are receivers: each keeps its own balance, and answers one request after
// the other. Tellers are tasklets that make transfers at the same time, for which they call two
// accounts each. At the end an audit checks that no money is missing.
//
// Then two accounts are made to wait for each other. The deadlock is detected before it happens,
// and is an error like any other.
//
// Run it with
//
//	go run ./examples/bank -transfers 1000 -seed 1
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

const (
	opening = 100 // the first balance of each account
	tellers = 5
)

var errOverdraft = errors.New("overdraft")

// A request adds amount, which may be negative, to an account. The reply is the new balance. If
// limit is set, the request asks how much the account could pay at most instead.
type request struct {
	amount int
	limit  bool
	reply  actor.Reply[int]
}

// An account is the state of one receiver, and its address.
type account struct {
	ref       actor.Ref[request]
	balance   int
	guarantor *account // or nil
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bank", flag.ContinueOnError)
	flags.SetOutput(stderr)
	transfers := flags.Int("transfers", 1000, "how many there are")
	seed := flags.Uint64("seed", 1, "what the transfers are drawn from")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *transfers < 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "bank: -transfers must not be negative, and there are no arguments")
		return 2
	}
	// without a log, since the deadlock is printed
	cfg := actor.Config{Name: "bank", Logger: zap.NewNop()}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := actor.Run(ctx, cfg, func(t *actor.Tasklet) error {
		return open(t, stdout, *transfers, *seed)
	})
	if err != nil {
		fmt.Fprintln(stderr, "bank:", err)
		return 1
	}
	return 0
}

// open runs one day of the bank.
func open(t *actor.Tasklet, w io.Writer, transfers int, seed uint64) error {
	var accounts []*account
	for _, name := range []string{"ada", "bob", "cleo", "dan"} {
		a := &account{balance: opening}
		a.ref = actor.Receiver(t, a.handle, actor.Name(name))
		accounts = append(accounts, a)
	}
	if err := audit(t, w, accounts); err != nil {
		return err
	}

	var all []*actor.Task[int]
	for i := range tellers {
		n := (transfers + i) / tellers // adds up to transfers
		draw := rand.New(rand.NewPCG(seed, uint64(i)))
		all = append(all, actor.New(t, func(t *actor.Tasklet) (int, error) { return work(t, accounts, n, draw) }))
	}
	results, err := actor.JoinAll(t, all...)
	if err != nil {
		return err
	}
	refused := 0
	for _, r := range results {
		if r.Err != nil {
			return r.Err
		}
		refused += r.Value
	}
	fmt.Fprintf(w, "%d transfers, %d more were refused\n", transfers-refused, refused)
	if err := audit(t, w, accounts); err != nil {
		return err
	}

	// The limit of ada depends on bob, and the limit of bob on ada, which is busy calling bob.
	ada, bob := accounts[0], accounts[1]
	ada.guarantor, bob.guarantor = bob, ada
	_, err = ada.limit(t)
	var deadlock *actor.DeadlockError
	if !errors.As(err, &deadlock) {
		return fmt.Errorf("expected a deadlock, got %w", err)
	}
	fmt.Fprintln(w, "the wait was refused:", deadlock)
	return audit(t, w, accounts)
}

// handle handles one request.
func (a *account) handle(t *actor.Tasklet, q request) error {
	if q.limit {
		most := a.balance
		if a.guarantor != nil {
			more, err := a.guarantor.limit(t)
			if err != nil {
				return q.reply.Fail(t, err) // the caller decides what it means
			}
			most += more
		}
		return q.reply.Send(t, most)
	}
	if a.balance+q.amount < 0 {
		return q.reply.Fail(t, errOverdraft)
	}
	a.balance += q.amount
	return q.reply.Send(t, a.balance)
}

// add and limit call the receiver of the account from another tasklet.
func (a *account) add(t *actor.Tasklet, amount int) (balance int, err error) {
	return actor.Call(t, a.ref, func(r actor.Reply[int]) request { return request{amount: amount, reply: r} })
}

func (a *account) limit(t *actor.Tasklet) (most int, err error) {
	return actor.Call(t, a.ref, func(r actor.Reply[int]) request { return request{limit: true, reply: r} })
}

// work is the body of a teller, which makes n transfers. It returns the number of refused
// transfers.
func work(t *actor.Tasklet, accounts []*account, n int, draw *rand.Rand) (refused int, err error) {
	for range n {
		from, to := accounts[draw.IntN(len(accounts))], accounts[draw.IntN(len(accounts))]
		switch err := transfer(t, from, to, 1+draw.IntN(opening)); {
		case errors.Is(err, errOverdraft):
			refused++
		case err != nil:
			return refused, err
		}
	}
	return refused, nil
}

// transfer moves amount, or moves nothing and returns the reason.
func transfer(t *actor.Tasklet, from, to *account, amount int) error {
	if _, err := from.add(t, -amount); err != nil {
		return fmt.Errorf("%s pays %s %d: %w", from.ref.Name(), to.ref.Name(), amount, err)
	}
	if _, err := to.add(t, amount); err != nil {
		_, back := from.add(t, amount)
		return errors.Join(err, back)
	}
	return nil
}

// audit asks every account, while no transfer is half done.
func audit(t *actor.Tasklet, w io.Writer, accounts []*account) error {
	total := 0
	for _, a := range accounts {
		balance, err := a.add(t, 0)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s %d, ", a.ref.Name(), balance)
		total += balance
	}
	fmt.Fprintf(w, "together %d\n", total)
	if want := opening * len(accounts); total != want {
		return fmt.Errorf("the audit found %d instead of %d", total, want)
	}
	return nil
}
