// Chat is a server for people with telnet or nc. A client that connects joins the room, and each
// line that it sends goes to all other clients.
//
//	main        accepts connections
//	├─ room     a receiver: knows the clients, and sends them what is said
//	├─ ada      reads the lines of one connection and sends them to the room
//	│  └─ out   a receiver: writes lines to ada's connection; its mailbox is bounded
//	└─ bob
//	   └─ out
//
// The room never waits. If a client cannot write as fast as the others talk, its mailbox overflows.
// Then the oldest lines are dropped, and the client is told how many it missed; or, with -slow
// disconnect, the client is disconnected. At the end the server accounts for every line that was to
// be sent.
//
// Run it with
//
//	go run ./examples/chat -addr 127.0.0.1:7000 -queue 64 -slow drop
//
// and talk to it with nc 127.0.0.1 7000. Lines that begin with a slash are commands for the server:
// /name NAME, /who, /quit. An interrupt or SIGTERM ends it; queued lines are still written, for at
// most -grace. A second one ends it at once.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	return runContext(ctx, args, stdout, stderr)
}

type options struct {
	addr    string
	queue   int
	slow    string
	clients int
	grace   time.Duration
}

func runContext(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("chat", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	flags.StringVar(&o.addr, "addr", "127.0.0.1:7000", "where to listen, for TCP")
	flags.IntVar(&o.queue, "queue", 64, "how many lines wait for a client at most; less than 64 may be too little for a burst")
	flags.StringVar(&o.slow, "slow", "drop", "what becomes of a client for which more would wait: drop (its oldest lines), disconnect")
	flags.IntVar(&o.clients, "clients", 1000, "how many there are at most")
	flags.DurationVar(&o.grace, "grace", 2*time.Second, "how long what is queued for a client that leaves is still written")
	verbose := flags.Bool("v", false, "log failures of connections")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	wrong := ""
	switch {
	case flags.NArg() > 0:
		wrong = fmt.Sprintf("there are no arguments, but %q", flags.Args())
	case o.queue < 1 || o.queue > mailbox.MaxCap:
		wrong = fmt.Sprintf("-queue must be 1 to %d", mailbox.MaxCap)
	case o.slow != "drop" && o.slow != "disconnect":
		wrong = "-slow must be drop or disconnect"
	case o.clients < 1:
		wrong = "-clients must be 1 or more"
	case o.grace < 0:
		wrong = "-grace must not be negative"
	}
	if wrong != "" {
		fmt.Fprintln(stderr, "chat:", wrong)
		return 2
	}
	s := &server{o: o, log: stdout}
	logger := zap.NewNop()
	if *verbose {
		logger = zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()), zapcore.Lock(zapcore.AddSync(stderr)), zap.WarnLevel))
	}
	err := actor.Run(context.Background(), actor.Config{Name: "chat", Logger: logger, OnEvent: s.books.onEvent}, func(t *actor.Tasklet) error {
		return s.main(t, ctx)
	})
	if err == nil {
		s.books.summary(stdout)
		err = s.books.check()
	}
	if err != nil {
		fmt.Fprintln(stderr, "chat:", err)
		return 1
	}
	return 0
}
