package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/gotasklet/tasklet/registry/cluster"
)

// ledger stands for a database that all processes share. It keeps the balances, and for each
// account the greatest token that it has seen: a change with a smaller one comes from an owner of
// the past, and is refused. It is safe for use by several goroutines.
type ledger struct {
	mu        sync.Mutex // protects the following
	accounts  map[string]*account
	closed    bool // no new transfers
	transfers int
	refused   int
}

type account struct {
	token   cluster.Token
	balance int64
	out     map[string]transfer // debited here and not known to have arrived, by number
	in      map[string]bool     // the numbers of those that have arrived
}

// transfer is money on its way.
type transfer struct {
	ID     string
	To     string
	Amount int64
}

// entry is a request to the ledger: What is "open", "debit", "credit" or "settle".
type entry struct {
	What    string
	Account string
	Token   cluster.Token
	transfer
}

// answer is the state of the account after an entry.
type answer struct {
	Balance int64
	Out     []transfer // only for "open"
}

func newLedger() *ledger { return &ledger{accounts: map[string]*account{}} }

// Errors of the ledger.
var (
	errOldToken  = errors.New("the account has another owner now")
	errOverdrawn = errors.New("the account has too little money")
	errClosed    = errors.New("the ledger takes no new transfers")
)

// close makes the ledger refuse new transfers, so that pending can only sink. Without it a request
// that was under way could begin a transfer after the last look at pending.
func (l *ledger) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
}

// do carries out an entry. An entry that comes again has no further effect.
func (l *ledger) do(e entry) (answer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.accounts[e.Account]
	if a == nil {
		a = &account{balance: opening, out: map[string]transfer{}, in: map[string]bool{}}
		l.accounts[e.Account] = a
	}
	if e.Token.Less(a.token) {
		l.refused++
		return answer{}, errOldToken
	}
	a.token = e.Token
	r := answer{}
	switch e.What {
	case "open":
		for _, t := range a.out {
			r.Out = append(r.Out, t)
		}
	case "debit":
		if _, again := a.out[e.ID]; !again {
			if l.closed {
				return answer{}, errClosed
			}
			if a.balance < e.Amount {
				return answer{}, errOverdrawn
			}
			a.balance -= e.Amount
			a.out[e.ID] = e.transfer
			l.transfers++
		}
	case "credit":
		if !a.in[e.ID] {
			a.in[e.ID] = true
			a.balance += e.Amount
		}
	case "settle":
		delete(a.out, e.ID)
	default:
		return answer{}, fmt.Errorf("ledger: no entry %q", e.What)
	}
	r.Balance = a.balance
	return r, nil
}

// pending returns the number of transfers that are not known to have arrived.
func (l *ledger) pending() int { return l.summary().pending }

type summary struct {
	accounts, transfers, pending, refused int
	sum                                   int64 // with what is on its way
}

func (l *ledger) summary() summary {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := summary{accounts: len(l.accounts), transfers: l.transfers, refused: l.refused}
	for _, a := range l.accounts {
		s.sum += a.balance
		s.pending += len(a.out)
		for _, t := range a.out {
			if to := l.accounts[t.To]; to == nil || !to.in[t.ID] {
				s.sum += t.Amount
			}
		}
	}
	return s
}

// waiting returns the accounts with transfers that are not known to have arrived.
func (l *ledger) waiting() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, a := range l.accounts {
		if len(a.out) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// ServeHTTP takes an entry as JSON. A GET returns waiting.
func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		_ = json.NewEncoder(w).Encode(l.waiting())
		return
	}
	var e entry
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a, err := l.do(e)
	switch {
	case errors.Is(err, errOldToken):
		http.Error(w, err.Error(), http.StatusConflict)
	case errors.Is(err, errOverdrawn):
		http.Error(w, err.Error(), http.StatusPaymentRequired)
	case errors.Is(err, errClosed):
		http.Error(w, err.Error(), http.StatusGone)
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	default:
		_ = json.NewEncoder(w).Encode(a)
	}
}

// getWaiting returns waiting of the ledger at url. It blocks.
func getWaiting(ctx context.Context, url string) (names []string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	err = json.NewDecoder(resp.Body).Decode(&names)
	return names, err
}

// post sends an entry to the ledger at url. It blocks.
func post(ctx context.Context, url string, e entry) (a answer, err error) {
	text, err := json.Marshal(e)
	if err != nil {
		return a, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return a, err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		err = json.NewDecoder(resp.Body).Decode(&a)
		return a, err
	case http.StatusConflict:
		return a, errOldToken
	case http.StatusPaymentRequired:
		return a, errOverdrawn
	case http.StatusGone:
		return a, errClosed
	}
	return a, fmt.Errorf("ledger: %s", resp.Status)
}
