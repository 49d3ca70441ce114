package main

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

// Order is what the tasklets hand on: from orders to tax, and from there to history.
type Order struct {
	Number  int
	Article string
	Net     int // in cents
	Tax     int
}

// shop starts the tasklets: orders come at a rate, get their tax, and go into the history, from
// which a report is made every five seconds.
func shop(s actor.Spawner) {
	history := actor.Receiver(s, new(History).add, actor.Name("history"), actor.MailboxLen(256))
	tax := actor.Receiver(s, func(t *actor.Tasklet, o Order) error {
		o.Tax = taxOf(o)
		return history.Send(t, o)
	}, actor.Name("tax"), actor.MailboxLen(256))
	n := 0
	actor.Rate(s, 2000, func(t *actor.Tasklet, _ time.Time) error {
		n++
		return tax.Send(t, Order{Number: n, Article: fmt.Sprintf("book-%d", n%1000), Net: 100 + n%900})
	}, actor.Name("orders"))
	actor.Interval(s, 5*time.Second, func(t *actor.Tasklet) error {
		report()
		return nil
	}, actor.Name("report"))
}

// taxOf is the first defect: it compiles the pattern for each order.
func taxOf(o Order) int {
	if regexp.MustCompile(`^(book|journal|map)-[0-9]{1,6}$`).MatchString(o.Article) {
		return o.Net * 7 / 100
	}
	return o.Net * 19 / 100
}

// History has the last lines of the journal.
type History struct{ lines string }

// add is the second defect: it copies all lines for each order.
func (h *History) add(_ *actor.Tasklet, o Order) error {
	h.lines += fmt.Sprintf("%d %s %d %d\n", o.Number, o.Article, o.Net, o.Tax)
	if len(h.lines) > 32<<10 {
		h.lines = h.lines[strings.IndexByte(h.lines, '\n')+1:]
	}
	return nil
}

// report is the third defect: it sorts two million numbers without giving way to other tasklets.
func report() {
	sums := make([]int, 2_000_000)
	for i := range sums {
		sums[i] = i * 7919 % 2_000_003
	}
	sort.Ints(sums)
}
