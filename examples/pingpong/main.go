// Pingpong lets two tasklets play a ball back and forth, and prints how fast they were. They play
// twice:
//
//   - as receivers: functions that are called with each message, and own no stack while they wait
//     for the next;
//   - as readers: functions with a loop over their mailbox, of which one is parked while the other
//     plays.
//
// Run it with
//
//	go run ./examples/pingpong -n 1000000
//
// The file default.pgo is a profile of this program, by which Go's compiler optimizes it and what
// it uses of the library. It was taken with
//
//	go build -trimpath -pgo=off -o /tmp/pingpong ./examples/pingpong
//	/tmp/pingpong -n 60000000 -cpuprofile examples/pingpong/default.pgo
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// A ball is the message: the number of times that it is still to be played.
type ball int

// A game is two refs. Each player needs the ref of the other, so the refs are made before the
// players.
type game struct {
	ping, pong actor.Ref[ball]
	played     int // counted by both, without a lock: one tasklet runs at a time
}

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("pingpong", flag.ContinueOnError)
	flags.SetOutput(stderr)
	n := flags.Int("n", 1_000_000, "how many messages each pair plays")
	profile := flags.String("cpuprofile", "", "the file to write a CPU profile to")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if *n < 1 || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "pingpong: -n must be at least 1, and there are no arguments")
		return 2
	}
	if *profile != "" {
		f, err := os.Create(*profile)
		if err == nil {
			defer f.Close()
			err = pprof.StartCPUProfile(f)
		}
		if err != nil {
			fmt.Fprintln(stderr, "pingpong:", err)
			return 1
		}
		defer pprof.StopCPUProfile() // before f is closed
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := actor.Run(ctx, actor.Config{Name: "pingpong"}, func(t *actor.Tasklet) error {
		if err := play(t, stdout, "receivers", *n, (*game).startReceivers); err != nil {
			return err
		}
		return play(t, stdout, "readers", *n, (*game).startReaders)
	})
	if err != nil {
		fmt.Fprintln(stderr, "pingpong:", err)
		return 1
	}
	return 0
}

// play serves, waits for the end of both players, and prints the result.
func play(t *actor.Tasklet, w io.Writer, name string, n int, start func(*game, *actor.Tasklet)) error {
	g := &game{ping: actor.NewRef[ball](actor.Name("ping")), pong: actor.NewRef[ball](actor.Name("pong"))}
	start(g, t)
	began := time.Now()
	if err := g.ping.Send(t, ball(n)); err != nil {
		return err
	}
	for _, player := range []actor.Ref[ball]{g.ping, g.pong} {
		if err := player.Join(t); err != nil {
			return err
		}
	}
	took := time.Since(began)
	_, err := fmt.Fprintf(w, "%s: %d messages in %v, %.0f a second\n",
		name, g.played, took.Round(time.Microsecond), float64(g.played)/took.Seconds())
	return err
}

func (g *game) startReceivers(t *actor.Tasklet) {
	playTo := func(other actor.Ref[ball]) func(*actor.Tasklet, ball) error {
		return func(t *actor.Tasklet, b ball) error {
			g.played++
			if b == 1 {
				other.Close() // after the last ball both players end
				return actor.ErrStop
			}
			return other.Send(t, b-1)
		}
	}
	actor.StartTasklet(t, actor.ReceiverBody(g.ping, playTo(g.pong)), actor.OnFailure(actor.Escalate))
	actor.StartTasklet(t, actor.ReceiverBody(g.pong, playTo(g.ping)), actor.OnFailure(actor.Escalate))
}

func (g *game) startReaders(t *actor.Tasklet) {
	playTo := func(other actor.Ref[ball]) func(*actor.Tasklet, *mailbox.Mailbox[ball]) error {
		return func(t *actor.Tasklet, balls *mailbox.Mailbox[ball]) error {
			defer other.Close()
			for b := range balls.Receive() {
				g.played++
				if b == 1 {
					break
				}
				if err := other.Send(t, b-1); err != nil {
					return err
				}
			}
			return nil
		}
	}
	actor.StartTasklet(t, actor.SpawnBody(g.ping, playTo(g.pong)))
	actor.StartTasklet(t, actor.SpawnBody(g.pong, playTo(g.ping)))
}
