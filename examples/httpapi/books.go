package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// books are what a bank writes down: in a real one the database, here two maps. They outlive the
// accounts' tasklets, which crash, and end when they are idle. Everybody who uses them runs on one
// scheduler, one at a time, so there is no lock.
type books struct {
	balances map[string]int64
	postings map[string]posting // by id
}

// A posting is done once, however often it is asked for: its id says which it is.
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

// What is added to the id of a transfer for its two postings.
const (
	outOf = "/out"
	into  = "/in"
)

// check finds out whether the balances are what the postings make, and whether all transfers are
// whole.
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

// total is what is in all accounts.
func (b *books) total() (sum int64) {
	for _, balance := range b.balances {
		sum += balance
	}
	return sum
}
