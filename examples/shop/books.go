package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/scheduler"
)

// outcome is the result of an order.
type outcome uint8

const (
	placed    outcome = iota // no outcome yet
	done                     // written to the database; a mail follows
	calledOff                // an error occurred, and the worker reported it
	lost                     // in the hands of a worker when it crashed or was stopped
	refused                  // the shop had closed
	outcomes
)

var outcomeNames = [outcomes]string{"left over", "done", "called off", "lost in hand", "refused"}

type mailState uint8

const (
	mailDue mailState = iota
	mailSent
	mailLost
)

// books account for every order.
type books struct {
	entries   []entry // entry i is order i+1
	complete  bool    // no more orders will be placed
	open      int     // orders without an outcome, and mails that are due
	settled   int
	onSettled func(int)
	mistakes  []string
	over      scheduler.Event // nothing is open, or the shop has closed
}

type entry struct {
	outcome outcome
	why     string // or by which worker
	mail    mailState
}

// place enters an order. Orders are placed in the order of their numbers.
func (b *books) place(id int) {
	b.entries = append(b.entries, entry{})
	if len(b.entries) != id {
		b.mistake("order %d is the %dth", id, len(b.entries))
	}
	b.open++
}

// settle records the outcome of an order, which is done once for each.
func (b *books) settle(id int, o outcome, why string) {
	e := &b.entries[id-1]
	if e.outcome != placed {
		b.mistake("order %d is %s and %s", id, outcomeNames[e.outcome], outcomeNames[o])
		return
	}
	e.outcome, e.why = o, why
	if o != done {
		b.open-- // for an order that is done, its mail is due
	}
	b.settled++
	if b.onSettled != nil {
		b.onSettled(b.settled)
	}
	b.look()
}

// mail records the state of the mail about an order.
func (b *books) mail(id int, s mailState) {
	e := &b.entries[id-1]
	if e.outcome != done || e.mail != mailDue {
		b.mistake("a mail about order %d, which is %s", id, outcomeNames[e.outcome])
		return
	}
	e.mail = s
	b.open--
	b.look()
}

// look sets over when there is nothing left to wait for.
func (b *books) look() {
	if b.complete && b.open == 0 {
		b.over.Set()
	}
}

func (b *books) mistake(format string, args ...any) {
	b.mistakes = append(b.mistakes, fmt.Sprintf(format, args...))
}

// count returns the number of orders with each outcome, and the numbers of mails.
func (b *books) count() (orders [outcomes]int, sent, lostMails, due int) {
	for _, e := range b.entries {
		orders[e.outcome]++
		if e.outcome == done {
			switch e.mail {
			case mailSent:
				sent++
			case mailLost:
				lostMails++
			default:
				due++
			}
		}
	}
	return orders, sent, lostMails, due
}

// check returns an error if the account is wrong.
func (b *books) check() error {
	if len(b.mistakes) > 0 {
		return fmt.Errorf("the account is wrong: %s", strings.Join(b.mistakes, "; "))
	}
	return nil
}

// summary accounts for all orders. It must be called when the shop has closed.
func (s *shop) summary(w io.Writer) {
	b := &s.books
	n, sent, lostMails, due := b.count()
	if n[placed] != s.unread {
		b.mistake("%d orders are left over, but the log tells of %d that were not read", n[placed], s.unread)
	}
	fmt.Fprintf(w, "%d orders in %v\n", len(b.entries), s.took.Round(time.Millisecond))
	for _, o := range []outcome{done, calledOff, lost, placed, refused} {
		fmt.Fprintf(w, "  %-13s %6d  %s\n", outcomeNames[o], n[o], b.examples(o))
	}
	fmt.Fprintf(w, "mails: %d sent, %d lost, %d left over\n", sent, lostMails, due)
	total := 0
	for _, path := range slices.Sorted(maps.Keys(s.restarts)) {
		total += s.restarts[path]
	}
	fmt.Fprintf(w, "restarts: %d\n", total)
	for _, path := range slices.Sorted(maps.Keys(s.restarts)) {
		fmt.Fprintf(w, "  %-30s %4d\n", path, s.restarts[path])
	}
}

// examples names some orders with an outcome.
func (b *books) examples(o outcome) string {
	if o == done {
		return ""
	}
	var words []string
	for i, e := range b.entries {
		if e.outcome != o {
			continue
		}
		if len(words) == 3 {
			return strings.Join(append(words, "..."), ", ")
		}
		word := fmt.Sprint("#", i+1)
		if e.why != "" {
			word += " (" + e.why + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}
