// Ticker shows tasklets that act at certain times: one at intervals (Interval), one at a rate
// (Rate), one that waits and then kills the first (Later and Kill), and a failure after which an
// interval continues.
//
// Run it with
//
//	go run ./examples/ticker
//	go run ./examples/ticker -virtual
//
// The second takes no time, because a virtual clock jumps from one deadline to the next. It prints
// the same every time.
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
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("ticker", flag.ContinueOnError)
	flags.SetOutput(stderr)
	virtual := flags.Bool("virtual", false, "let no time pass")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 {
		fmt.Fprintln(stderr, "ticker: there are no arguments")
		return 2
	}
	cfg := actor.Config{Name: "ticker", Logger: zap.NewNop()}
	if *virtual {
		cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	}
	d := &demo{out: stdout}
	cfg.OnEvent = d.onEvent
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := actor.Run(ctx, cfg, d.main); err != nil {
		fmt.Fprintln(stderr, "ticker:", err)
		return 1
	}
	return 0
}

type demo struct {
	out   io.Writer
	start time.Time // of main, on the system's clock
}

func (d *demo) main(t *actor.Tasklet) error {
	d.start = t.System().Now()

	// Every 200 ms, beginning at once: each call begins 200 ms after the last one ended.
	beats := 0
	heart := actor.Interval(t, 200*time.Millisecond, func(t *actor.Tasklet) error {
		beats++
		d.say(t, "beat %d", beats)
		t.Sleep(30 * time.Millisecond) // so this one comes every 230 ms
		if beats == 2 {
			return errors.New("missed a beat") // reported; the next call follows nevertheless
		}
		return nil
	}, actor.Name("heart"), actor.Immediate())

	// Four calls a second: they are due at 250 ms, 500 ms and so on after the start, however long
	// each takes.
	frames := 0
	camera := actor.Rate(t, 4, func(t *actor.Tasklet, now time.Time) error {
		frames++
		d.say(t, "frame %d", frames)
		t.Sleep(time.Duration(frames) * 20 * time.Millisecond)
		if frames == 6 {
			return actor.ErrStop // ends this tasklet
		}
		return nil
	}, actor.Name("camera"))

	// Once, after 900 ms.
	actor.Later(t, 900*time.Millisecond, func(t *actor.Tasklet) error {
		d.say(t, "kills the heart")
		heart.Kill()
		return nil
	}, actor.Name("doctor"))

	// A killed tasklet has failed, so the join returns an error. One that stopped has not.
	if err := heart.Join(t); !errors.Is(err, actor.ErrKilled) {
		return fmt.Errorf("the heart was not killed: %w", err)
	}
	if err := camera.Join(t); err != nil {
		return err
	}
	d.say(t, "%d beats, %d frames", beats, frames)
	return nil
}

// onEvent shows how main's children ended, and which rounds failed. The log has that too; here it
// is part of the output.
func (d *demo) onEvent(e actor.EventRecord) {
	if e.Tasklet.Parent() == nil {
		return
	}
	switch e.Kind {
	case event.Exit:
		d.print(e.Time, e.Path, "ended: %v", actor.KindOf(e.Err))
	case event.Failure:
		d.print(e.Time, e.Path, "failed and goes on: %v", e.Err)
	}
}

func (d *demo) say(t *actor.Tasklet, format string, args ...any) {
	d.print(t.System().Now(), t.Path(), format, args...)
}

func (d *demo) print(at time.Time, who, format string, args ...any) {
	ms := at.Sub(d.start).Milliseconds()
	fmt.Fprintf(d.out, "%4d ms  %-15s  %s\n", ms, who, fmt.Sprintf(format, args...))
}
