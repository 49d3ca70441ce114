package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// books are the records of the bank: a database in a real one, here two maps. They outlive the
// tasklets of accounts, which crash, and end when they are idle. All tasklets that use them run on
// one scheduler, one at a time, so they need no lock.
type books struct {
	balances map[string]int64
	postings map[string]posting // by id
}

// A posting is done once, however often it is requested. Its id identifies it.
type posting struct {
	account string
	amount  int64 // may be negative
	balance int64 // after it
}

func newBooks() *books {
	return &books{balances: make(map[string]int64), postings: make(map[string]posting)}
}

func (b *books) write(id string, p posting) {
	b.postings[id] = p
	b.balances[p.account] = p.balance
}

// Suffixes that make the ids of a transfer's two postings from its id.
const (
	outOf = "/out"
	into  = "/in"
)

// check returns an error if the balances differ from the sums of the postings, or a transfer is
// only half done.
func (b *books) check() error {
	sums := make(map[string]int64)
	for id, p := range b.postings {
		sums[p.account] += p.amount
		if transfer, found := strings.CutSuffix(id, outOf); found {
			if in := b.postings[transfer+into]; in.amount != -p.amount {
				return fmt.Errorf("transfer %s took out %d and paid in %d", transfer, -p.amount, in.amount)
			}
		}
		if transfer, found := strings.CutSuffix(id, into); found && b.postings[transfer+outOf].amount != -p.amount {
			return fmt.Errorf("transfer %s paid in what was not taken out", transfer)
		}
	}
	if !maps.Equal(sums, b.balances) {
		return fmt.Errorf("the balances are %v, the postings make %v", b.balances, sums)
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if sums[name] < 0 {
			return fmt.Errorf("account %s has %d", name, sums[name])
		}
	}
	return nil
}

// total returns the sum of all balances.
func (b *books) total() (sum int64) {
	for _, balance := range b.balances {
		sum += balance
	}
	return sum
}
