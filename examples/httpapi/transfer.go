package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

var errUnderWay = errors.New("this transfer is under way")

// underWay is the maximal number of transfers at a time.
const underWay = 64

// A transfer moves amount between two accounts. The reply is the balance of the first one
// afterwards.
type transfer struct {
	id, from, to string
	amount       int64
	reply        actor.Reply[int64]
}

// transfers carries out each transfer in a child. A transfer that has begun is finished even if its
// client goes away. When the mailbox is closed, transfers ends after the last one.
func (b *bank) transfers(t *actor.Tasklet, inbox *mailbox.Mailbox[transfer]) error {
	free := scheduler.NewSemaphore(underWay)
	ids := make(map[string]bool) // of transfers under way
	for x := range inbox.Receive() {
		// While this waits the mailbox fills, and then clients are refused.
		if err := free.Acquire(t, 1); err != nil {
			return err
		}
		if !x.reply.Awaited() {
			b.skipped++
			free.Release(1)
			continue
		}
		if ids[x.id] { // a repetition: the client should wait for the result of the first
			free.Release(1)
			_ = answer(x.reply.Fail(t, errUnderWay))
			continue
		}
		ids[x.id] = true
		clerk := actor.Go(t, func(t *actor.Tasklet) error {
			defer func() { delete(ids, x.id); free.Release(1) }()
			return b.carryOut(t, x)
		}, actor.Name("transfer "+x.id))
		x.reply.Delegate(clerk) // the child answers; if it fails, the call returns its error
	}
	_, err := t.JoinChildren(t)
	return err
}

func (b *bank) carryOut(t *actor.Tasklet, x transfer) error {
	balance, err := b.insist(t, x.from, x.id+outOf, -x.amount)
	if err != nil {
		return answer(x.reply.Fail(t, err))
	}
	if _, err := b.insist(t, x.to, x.id+into, x.amount); err != nil {
		return fmt.Errorf("transfer %s is half done: %w", x.id, err)
	}
	return answer(x.reply.Send(t, balance))
}

// insist asks an account until it answers. A crash, or a full mailbox, is no answer. Asking again
// does no harm, since a posting is done once.
func (b *bank) insist(t *actor.Tasklet, name, id string, amount int64) (int64, error) {
	for {
		balance, err := b.ask(t, name, id, amount)
		var crashed *actor.JoinError
		if !errors.As(err, &crashed) && !errors.Is(err, mailbox.ErrFull) || errors.Is(err, errShut) {
			return balance, err
		}
		t.Sleep(5 * time.Millisecond)
	}
}
