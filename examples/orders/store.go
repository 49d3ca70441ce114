package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"

	"go.uber.org/zap"
	_ "modernc.org/sqlite" // the driver

	"github.com/gotasklet/tasklet/actor"
)

const (
	maxBatch  = 256    // changes in one transaction
	maxUnpaid = 10_000 // orders that may wait for their payment
)

// schema has a row in the outbox for each order that is not paid. The row is written in the
// transaction that stores the order, so no crash can separate them. The same holds for the row of a
// request that has a key, which finds the order if the client sends the request again.
const schema = `
CREATE TABLE IF NOT EXISTS orders (
	id       TEXT PRIMARY KEY,
	customer TEXT NOT NULL,
	number   INTEGER NOT NULL,
	item     TEXT NOT NULL,
	amount   INTEGER NOT NULL,
	paid     INTEGER NOT NULL DEFAULT 0,
	UNIQUE (customer, number)
);
CREATE TABLE IF NOT EXISTS outbox (
	place    INTEGER PRIMARY KEY AUTOINCREMENT,
	order_id TEXT NOT NULL UNIQUE REFERENCES orders
);
CREATE TABLE IF NOT EXISTS requests (
	customer TEXT NOT NULL,
	key      TEXT NOT NULL,
	order_id TEXT NOT NULL REFERENCES orders,
	PRIMARY KEY (customer, key)
);`

// order is an order as it is stored and shown. Amounts are in cents.
type order struct {
	ID       string `json:"id"`
	Customer string `json:"customer"`
	Number   int    `json:"number"`
	Item     string `json:"item"`
	Amount   int64  `json:"amount"`
	Paid     bool   `json:"paid"`
}

// account is what is known about a customer.
type account struct {
	Customer string `json:"customer"`
	Orders   int    `json:"orders"`
	Unpaid   int    `json:"unpaid"`
	Spent    int64  `json:"spent"`
}

// store keeps the orders in SQLite. Every change goes through the writer, a tasklet, which commits
// many changes with one write to the disk. Tasklets that read use Await, because a query would
// block their scheduler. Goroutines, such as those of net/http, read directly.
type store struct {
	db     *sql.DB // one connection, of the writer
	reads  *sql.DB
	writer actor.Ref[change]
}

func openStore(path string) (*store, error) {
	db, err := openDB(path, 1, schema)
	if err != nil {
		return nil, err
	}
	reads, err := openDB(path, 4, "PRAGMA query_only = 1")
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &store{db: db, reads: reads, writer: actor.NewRef[change](actor.MailboxLen(maxBatch))}, nil
}

func (s *store) close() error { return errors.Join(s.reads.Close(), s.db.Close()) }

// openDB opens a database with at most conns connections, and executes first on it.
func openDB(path string, conns int, first string) (*sql.DB, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	settings := url.Values{
		"_pragma": {
			"busy_timeout(5000)", // the default is not to wait for a lock at all
			// A commit to the write-ahead log is one sequential write, and readers do not wait for
			// it. FULL syncs the log before the commit returns. A killed process loses nothing
			// with less, because the kernel has the data by then, but a loss of power does.
			"journal_mode(WAL)",
			"synchronous(FULL)",
		},
		// A transaction that begins as a reader could fail in its middle, when it wants to write.
		"_txlock": {"immediate"},
	}
	name := url.URL{Scheme: "file", Path: filepath.ToSlash(full), RawQuery: settings.Encode()}
	db, err := sql.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(conns)
	if _, err := db.Exec(first); err != nil {
		return nil, errors.Join(fmt.Errorf("open database %q: %w", path, err), db.Close())
	}
	return db, nil
}

// A change is a request to the writer. It is answered when it is committed.
type change struct {
	apply func(tx *transaction) error
	reply actor.Reply[struct{}]
}

// transaction is the transaction of a batch.
type transaction struct {
	*sql.Tx
	unpaid int // the length of the outbox
}

// A refusal is an error of a change that has changed nothing. The others of its batch are not
// affected.
type refusal string

func (r refusal) Error() string { return string(r) }

const (
	errTaken  refusal = "the number of the order is taken"
	errUnpaid refusal = "too many orders wait for their payment"
)

// write is the handler of the writer. The answer follows the commit, so a caller that has got it
// knows that its change is on the disk.
func (s *store) write(t *actor.Tasklet, batch []change) error {
	refusals, err := actor.Await(t, func(context.Context) ([]error, error) { return s.commit(batch) })
	if err != nil {
		t.Log().Error("cannot write to the database", zap.Error(err), zap.Int("changes", len(batch)))
	}
	for i, c := range batch {
		switch {
		case err != nil:
			_ = c.reply.Fail(t, err) // a caller that no longer waits has no use for the answer
		case refusals[i] != nil:
			_ = c.reply.Fail(t, refusals[i])
		default:
			_ = c.reply.Send(t, struct{}{})
		}
	}
	return nil
}

// commit applies all changes in one transaction. It uses no context: a statement that is cut off by
// its context makes SQLite roll back, and the statements after it would be committed one by one.
func (s *store) commit(batch []change) (refusals []error, err error) {
	tx, err := s.db.Begin()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback()
			_, _ = s.db.Exec("ROLLBACK") // a commit that has failed can leave the transaction open
		}
	}()
	batchTx := &transaction{Tx: tx}
	if err := tx.QueryRow(`SELECT count(*) FROM outbox`).Scan(&batchTx.unpaid); err != nil {
		return nil, err
	}
	refusals = make([]error, len(batch))
	for i, c := range batch {
		err := c.apply(batchTx)
		if errors.As(err, new(refusal)) {
			refusals[i] = err
		} else if err != nil {
			return nil, err
		}
	}
	return refusals, tx.Commit()
}

// do has the writer apply a change, and returns nil when it is committed.
func (s *store) do(t *actor.Tasklet, apply func(tx *transaction) error) error {
	_, err := actor.Call(t, s.writer, func(reply actor.Reply[struct{}]) change { return change{apply, reply} })
	return err
}

// add stores an order, and puts it into the outbox. key is the key of the request, or "".
func (s *store) add(t *actor.Tasklet, o order, key string) error {
	return s.do(t, func(tx *transaction) error {
		if tx.unpaid >= maxUnpaid {
			return errUnpaid
		}
		result, err := tx.Exec(`INSERT INTO orders (id, customer, number, item, amount) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
			o.ID, o.Customer, o.Number, o.Item, o.Amount)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil {
			return err
		} else if n == 0 {
			return errTaken
		}
		tx.unpaid++
		if key != "" {
			if _, err = tx.Exec(`INSERT INTO requests VALUES (?, ?, ?)`, o.Customer, key, o.ID); err != nil {
				return err
			}
		}
		_, err = tx.Exec(`INSERT INTO outbox (order_id) VALUES (?)`, o.ID)
		return err
	})
}

// markPaid takes an order out of the outbox. It can be repeated.
func (s *store) markPaid(t *actor.Tasklet, id string) error {
	return s.do(t, func(tx *transaction) error {
		_, err := tx.Exec(`UPDATE orders SET paid = 1 WHERE id = ?`, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM outbox WHERE order_id = ?`, id)
		return err
	})
}

// moveBack puts an order at the end of the outbox.
func (s *store) moveBack(t *actor.Tasklet, id string) error {
	return s.do(t, func(tx *transaction) error {
		_, err := tx.Exec(`UPDATE outbox SET place = (SELECT max(place) + 1 FROM outbox) WHERE order_id = ?`, id)
		return err
	})
}

// unpaid returns the first orders of the outbox, at most limit.
func (s *store) unpaid(t *actor.Tasklet, limit int) ([]payment, error) {
	return actor.Await(t, func(ctx context.Context) (all []payment, err error) {
		rows, err := s.reads.QueryContext(ctx,
			`SELECT id, amount FROM outbox JOIN orders ON id = order_id ORDER BY place LIMIT ?`, limit)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var p payment
			if err := rows.Scan(&p.order, &p.amount); err != nil {
				return nil, err
			}
			all = append(all, p)
		}
		return all, rows.Err()
	})
}

// order returns an order, or sql.ErrNoRows.
func (s *store) order(ctx context.Context, id string) (o order, err error) {
	err = s.reads.QueryRowContext(ctx, `SELECT id, customer, number, item, amount, paid FROM orders WHERE id = ?`, id).
		Scan(&o.ID, &o.Customer, &o.Number, &o.Item, &o.Amount, &o.Paid)
	return o, err
}

// requested returns the order of the customer's request with that key, or sql.ErrNoRows.
func (s *store) requested(ctx context.Context, customer, key string) (o order, err error) {
	var id string
	err = s.reads.QueryRowContext(ctx, `SELECT order_id FROM requests WHERE customer = ? AND key = ?`, customer, key).Scan(&id)
	if err != nil {
		return o, err
	}
	return s.order(ctx, id)
}

// account returns the sums of a customer, which are 0 for one without orders.
func (s *store) account(ctx context.Context, customer string) (account, error) {
	a := account{Customer: customer}
	err := s.reads.QueryRowContext(ctx,
		`SELECT count(*), count(*) - coalesce(sum(paid), 0), coalesce(sum(amount), 0) FROM orders WHERE customer = ?`, customer).
		Scan(&a.Orders, &a.Unpaid, &a.Spent)
	return a, err
}
