// Router shows a pool of workers behind a group. Messages with the same key go to the same worker;
// now and then one goes to all of them. There are more messages than the workers can handle, and
// workers are killed amid the load. In the end every message is accounted for: handled, refused
// (the sender knows), a dead letter (it was queued where nobody reads any more) or lost in hand
// (the worker was at it when it was killed).
//
// A worker that is killed is restarted by its supervisor: it keeps its name, its place in the group
// and so its keys, and what is queued is handled by its successor. The last of those that are
// killed is stopped for good: its keys, and no others, move.
//
// Run it with
//
//	go run ./examples/router -workers 4 -keys 100 -messages 5000 -kill 3 -seed 1 -virtual
//
// Without -virtual it takes the time that the workers take, and is a little different each time.
// With -workers 1 -kill 1 nobody is left to choose from.
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

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("router", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.IntVar(&o.workers, "workers", 4, "how many there are")
	flags.IntVar(&o.keys, "keys", 100, "how many there are")
	flags.IntVar(&o.messages, "messages", 5000, "how many there are; one to all counts once")
	flags.IntVar(&o.kill, "kill", 3, "how many times a worker is killed; the last time for good")
	flags.Uint64Var(&o.seed, "seed", 1, "what the keys are drawn from; not 0")
	virtual := flags.Bool("virtual", false, "let no time pass")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if o.workers < 1 || o.keys < 1 || o.messages < 0 || o.kill < 0 || o.seed == 0 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "router: -workers and -keys are 1 or more, -messages and -kill 0 or more, -seed is not 0, and there are no arguments")
		return 2
	}
	r := newRouter(o, stdout)
	cfg := actor.Config{Name: "router", Logger: zap.NewNop(), OnEvent: r.books.onEvent}
	if *virtual {
		cfg.Clock, cfg.Seed = scheduler.NewVirtualClock(time.Time{}), o.seed
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := actor.Run(ctx, cfg, r.main)
	if err == nil {
		r.books.summary(stdout)
		err = r.books.check()
	}
	if err != nil {
		fmt.Fprintln(stderr, "router:", err)
		return 1
	}
	return 0
}

type options struct {
	workers, keys, messages, kill int
	seed                          uint64
}
