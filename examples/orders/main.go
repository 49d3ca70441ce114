// Orders takes orders over HTTP, stores them in SQLite, and has them paid by a provider that often
// fails. It is a small service with all that a real one needs:
//
//	shop            supervisor: restarts what fails
//	├─ writer       the only tasklet that writes to the database, in batches; see store.go
//	├─ failed       puts payments that keep failing at the end of the line
//	├─ payments     a queue of work with several workers, retries and a breaker; see payment.go
//	├─ outbox       hands the orders that are not paid to the queue
//	├─ customers    one tasklet per customer, who has a credit limit; see customer.go
//	└─ api          the HTTP server; see api.go
//
// Run it with
//
//	go run . -db orders.db
//	curl -d '{"customer": "ada", "item": "tea", "amount": 250}' localhost:8080/orders
//	curl localhost:8080/orders/ada-1
//	curl localhost:8080/customers/ada
//
// # What is guaranteed
//
// An order that was answered with 201 is in the database, whatever happens to the process, also by
// kill -9. It is paid exactly once. SIGTERM and Ctrl-C end the program in order: requests that were
// accepted are answered, payments that were begun are finished, and the exit code is 0. Orders that
// are not paid by then are paid after the next start.
//
// The state of all tasklets is written to the log every 5 s, and at once with kill -USR1. A browser
// on the same machine sees it at http://localhost:8080/debug/tasklets/, and Prometheus scrapes
// http://localhost:8080/metrics.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/service"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

// options are the flags.
type options struct {
	addr, db string
	workers  int
	failures float64
	seed     uint64
	debug    bool
}

// run returns the exit code: 0 after an orderly end, 1 after a failure, 2 if a flag is wrong.
func run(args []string, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "orders:", err)
		return 2
	}
	code, err := serve(o)
	if err != nil {
		fmt.Fprintln(stderr, "orders:", err)
		return 1
	}
	return code
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("orders", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&o.addr, "addr", "localhost:8080", "where to listen, as `host:port`; port 0 is any free one")
	flags.StringVar(&o.db, "db", "orders.db", "the `file` of the database; the simulated provider has one beside it")
	flags.IntVar(&o.workers, "workers", 4, "how many payments are in flight at a time, 1 to 64")
	flags.Float64Var(&o.failures, "failures", 0.1, "the probability that the payment provider fails, 0 to 1")
	flags.Uint64Var(&o.seed, "seed", 1, "what the failures are drawn from")
	flags.BoolVar(&o.debug, "debug", false, "serve POST /debug/crash-worker, which kills a payment worker, and allow actions on the pages")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			flags.SetOutput(stderr)
			flags.Usage()
		}
		return o, err
	}
	if _, err := net.ResolveTCPAddr("tcp", o.addr); err != nil {
		return o, fmt.Errorf("-addr: %w", err)
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("there are no arguments, but there is %q", flags.Arg(0))
	case o.db == "":
		return o, errors.New("-db must not be empty")
	case o.workers < 1 || o.workers > 64:
		return o, fmt.Errorf("-workers must be 1 to 64, not %d", o.workers)
	case !(o.failures >= 0 && o.failures <= 1):
		return o, fmt.Errorf("-failures must be 0 to 1, not %v", o.failures)
	}
	return o, nil
}

// serve runs the program until it is asked to end.
func serve(o options) (code int, err error) {
	cfg := zap.NewProductionConfig()
	cfg.Sampling = nil // a sampler would drop entries without a trace
	logger, err := cfg.Build()
	if err != nil {
		return 1, err
	}
	store, err := openStore(o.db)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, store.close()) }()
	provider, err := openProvider(o.db+".provider", o.failures, o.seed)
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, provider.close()) }()

	return service.Run(actor.Config{Name: "orders", Logger: logger, Measure: true}, service.Options{}, func(t *actor.Tasklet) error {
		return shop(t, o, store, provider)
	}), nil
}

// shop is the main function of the system. The order of the children matters: they are drained in
// reverse, so each of them can still use those above it.
func shop(t *actor.Tasklet, o options, store *store, provider *provider) error {
	defer tree.OnSignal(t.System(), t.Log())()
	metrics, scraped, err := newMetrics()
	if err != nil {
		return err
	}
	if err := metrics.Add(t.System()); err != nil {
		return err
	}
	payments, err := newPayments(t.System(), store, provider, o.workers)
	if err != nil {
		return err
	}
	customers := newCustomers(store)
	api := newAPI(t.System(), o, store, payments, customers, scraped)

	top, err := supervisor.Start(t, supervisor.Spec{
		Name:      "shop",
		Intensity: 10,
		Period:    10 * time.Second,
		Backoff:   supervisor.Backoff{Min: 100 * time.Millisecond, Max: time.Second},
		LogEvery:  5 * time.Second,
		Children: []supervisor.Child{
			{ID: "writer", Body: actor.BatchReceiverBody(store.writer, maxBatch, 0, store.write)},
			{ID: "failed", Body: actor.ReceiverBody(payments.failed, payments.postpone)},
			{ID: "payments", Body: payments.queue.Body()},
			{ID: "outbox", Body: actor.IntervalBody(outboxEvery, payments.feed)},
			{ID: "customers", Body: customers.Body()},
			{ID: "api", Body: actor.GoBody(api.serve)},
		},
	})
	if err != nil {
		return err
	}
	return top.Tasklet().Join(t)
}
