// Router shows a pool of workers behind a group. Messages with the same key go to the same worker,
// and some messages go to all workers. There are more messages than the workers can handle, and
// workers are killed under load. At the end every message is accounted for: it was handled, refused
// (the sender knows), a dead letter (it was queued for a worker that will not read it) or lost in
// hand (the worker was killed while it handled it).
//
// A killed worker is restarted by its supervisor. It keeps its name and its place in the group, and
// so its keys, and the next incarnation handles the queued messages. The last worker that is killed
// is stopped permanently: its keys, and no others, move.
//
// Run it with
//
//	go run ./examples/router -workers 4 -keys 100 -messages 5000 -kill 3 -seed 1 -virtual
//
// Without -virtual it takes as long as the workers need, and differs a little each time. With
// -workers 1 -kill 1 no worker is left to choose.
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
	flags.IntVar(&o.kill, "kill", 3, "how many times a worker is killed; the last time permanently")
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
