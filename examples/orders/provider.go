package main

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// provider simulates a payment provider on the other side of a network. It fails at random: before
// the charge, or after it, so that only the answer is lost. Its ledger is a database of its own,
// which survives this program, as that of a real provider would.
type provider struct {
	ledger   *sql.DB
	failures float64

	mu   sync.Mutex
	rand *rand.Rand // protected by mu
}

var (
	errUnavailable = errors.New("provider: unavailable")
	errAnswerLost  = errors.New("provider: connection closed before the answer")
)

func openProvider(path string, failures float64, seed uint64) (*provider, error) {
	ledger, err := openDB(path, 1, `CREATE TABLE IF NOT EXISTS charges (
		order_id TEXT PRIMARY KEY, amount INTEGER NOT NULL, calls INTEGER NOT NULL)`)
	if err != nil {
		return nil, err
	}
	return &provider{ledger: ledger, failures: failures, rand: rand.New(rand.NewPCG(seed, 0))}, nil
}

func (p *provider) close() error { return p.ledger.Close() }

// charge charges for an order. A repeated call for the same order only counts. It blocks, so a
// tasklet calls it with Await.
func (p *provider) charge(ctx context.Context, order string, amount int64) error {
	p.mu.Lock()
	failed, late := p.rand.Float64() < p.failures, p.rand.IntN(2) == 0
	latency := time.Duration(p.rand.IntN(int(4 * time.Millisecond)))
	p.mu.Unlock()

	select {
	case <-time.After(latency):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if failed && !late {
		return errUnavailable
	}
	_, err := p.ledger.ExecContext(ctx,
		`INSERT INTO charges VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET calls = calls + 1`, order, amount)
	if err == nil && failed {
		err = errAnswerLost
	}
	return err
}
