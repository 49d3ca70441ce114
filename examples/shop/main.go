// Shop takes orders, and keeps its books correct while parts of it crash:
//
//	shop          one_for_one
//	├─ db         rest_for_one: the cache depends on the connection
//	│  ├─ conn    the database's connection
//	│  └─ cache   prices; empty after a restart
//	├─ orders     one_for_one: a crash of one worker does not affect the others
//	│  └─ worker-1 to worker-8
//	└─ mailer     a mail for each order that is done
//
// Failures are drawn from a seed: workers, the connection, the cache and the mailer sometimes
// panic. The tree is logged every second, and a summary accounts for every order: done, called off,
// lost in the hands of a worker that crashed, or left over when the shop had to close.
//
// Run it with
//
//	go run ./examples/shop -seed 7 -orders 10000 -crash 0.01
//
// With -virtual the seconds are those of a virtual clock: the run takes no time, and is the same
// every time. With -crash 0.4 the supervisors give up. Ctrl-C closes the shop early, and the
// summary is still correct.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("shop", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.Uint64Var(&o.seed, "seed", 1, "what the orders and failures are drawn from; not 0")
	flags.IntVar(&o.orders, "orders", 10000, "how many there are")
	flags.Float64Var(&o.crash, "crash", 0.01, "how probable a crash is with each order, 0 to 1")
	flags.BoolVar(&o.virtual, "virtual", false, "let no time pass")
	flags.BoolVar(&o.verbose, "v", false, "log every failure and restart, not only the trees")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if o.orders < 0 || o.seed == 0 || !(o.crash >= 0 && o.crash <= 1) || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "shop: -orders is 0 or more, -seed is not 0, -crash is 0 to 1, and there are no arguments")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s, err := trade(ctx, o, stderr)
	s.summary(stdout)
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stdout, "closed early, because of an interrupt")
	case err != nil:
		fmt.Fprintln(stdout, "closed early:", err)
	}
	if err := s.books.check(); err != nil {
		fmt.Fprintln(stderr, "shop:", err)
		return 1
	}
	return 0
}

type options struct {
	seed             uint64
	orders           int
	crash            float64
	virtual, verbose bool
	onSettled        func(n int) // for tests: n orders have an outcome
}

// trade runs the shop until all orders have an outcome, the shop gives up, or ctx is done.
func trade(ctx context.Context, o options, log io.Writer) (*shop, error) {
	s := newShop(o)
	cfg := actor.Config{Name: "trade", Seed: o.seed, Logger: logger(log, o.verbose), OnEvent: s.onEvent}
	if o.virtual {
		cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	}
	err := actor.Run(ctx, cfg, func(t *actor.Tasklet) error {
		start := t.System().Now()
		defer func() { s.took = t.System().Now().Sub(start) }()
		return s.open(t)
	})
	return s, err
}

// logger writes the trees of supervisors and other entries at level info, or all entries.
func logger(w io.Writer, everything bool) *zap.Logger {
	cfg := zap.NewDevelopmentEncoderConfig()
	cfg.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	level := zap.LevelEnablerFunc(func(l zapcore.Level) bool { return l == zap.InfoLevel || everything && l > zap.InfoLevel })
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(cfg), zapcore.Lock(zapcore.AddSync(w)), level))
}

// open is the main tasklet. It starts the shop, places the orders, and waits until each has an
// outcome.
func (s *shop) open(t *actor.Tasklet) error {
	top, err := supervisor.Start(t, s.spec())
	if err != nil {
		return err
	}
	// If the shop gives up, the remaining orders are not settled.
	var failure error
	actor.Go(t, func(t *actor.Tasklet) error {
		failure = top.Tasklet().Join(t)
		s.books.over.Set()
		return nil
	}, actor.Name("closing"))

	for id := 1; id <= s.orders; id++ {
		if err := s.bring(t, order{id: id, item: s.draw.IntN(items)}); err != nil {
			break // the shop has closed permanently
		}
	}
	s.books.complete = true
	s.books.look()
	return errors.Join(s.books.over.Wait(t), failure)
}

// bring sends an order to a worker, and waits while the worker's mailbox is full.
func (s *shop) bring(t *actor.Tasklet, o order) error {
	s.books.place(o.id) // before the send, as it may be done before Send returns
	err := errors.New("closed while it was brought")
	defer func() { // also if this tasklet is killed while it waits
		if err != nil {
			s.books.settle(o.id, refused, err.Error())
		}
	}()
	err = s.workers[o.id%workers].Send(t, o)
	return err
}
