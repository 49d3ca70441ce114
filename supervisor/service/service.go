// Package service runs a system as the main part of a process: until its main function ends, until
// the process is asked to end by a signal, or until a part ends that the program can't do without;
// see [EndWith]. Then what was accepted is handled first, and the rest is stopped; see
// actor.System.Drain.
//
//	func main() {
//		os.Exit(service.Run(actor.Config{Name: "shop", Logger: logger}, service.Options{}, shop))
//	}
package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// Options say how the process ends. The zero value is ready to use.
type Options struct {
	// Signals are the signals that ask the process to end. The default is SIGTERM, which service
	// managers and container runtimes send, and os.Interrupt, which is Ctrl-C.
	Signals []os.Signal
	// Drain is the time for the work that was accepted, from the first signal on, or from the end
	// of a part of [EndWith]. It should be less than the time after which the process is killed
	// from outside. The default is 20 s. It must not be negative.
	Drain time.Duration
}

// defaultDrain is less than the 30 s after which Kubernetes kills a process.
const defaultDrain = 20 * time.Second

// Run runs main as the root of a system, as actor.Run does, and returns the exit code of the
// process when all tasklets have finished:
//
//	0   main has ended without a failure, or everything was drained after a signal, or after the end
//	    of a part of EndWith
//	1   main or a part of EndWith has failed, or something was not done in time, or opts is invalid
//
// After the first signal the tree is written to the log, and the system drains. If that takes
// longer than Options.Drain, the tree is written again, which shows what is left, and the system is
// stopped. A second signal does the same at once. A third one ends the process as if Run were not
// there. Each step is an entry in the log of cfg, with draining, drain_cut, drained or undrained as
// the value of the key "event".
//
// Run must not be called inside a tasklet.
func Run(cfg actor.Config, opts Options, main func(t *actor.Tasklet) error) (code int) {
	if opts.Drain < 0 {
		fmt.Fprintf(os.Stderr, "service: Options.Drain is %v: negative\n", opts.Drain)
		return 1
	}
	if opts.Drain == 0 {
		opts.Drain = defaultDrain
	}
	if len(opts.Signals) == 0 {
		opts.Signals = []os.Signal{syscall.SIGTERM, os.Interrupt}
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, opts.Signals...)
	defer signal.Stop(signals)

	started := make(chan *actor.System, 1)
	ended := make(chan error, 1)
	part := make(chan *actor.Tasklet, 1)
	go func() {
		ended <- actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
			e := endings.Of(t.System())
			e.mu.Lock()
			e.first = part
			e.mu.Unlock()
			defer e.mainEnded()
			started <- t.System()
			return main(t)
		})
	}()
	select {
	case err := <-ended:
		if len(started) == 0 && err != nil {
			fmt.Fprintln(os.Stderr, "service:", err) // there was no system to log it
		}
		return max(codeOf(err), endedWith(part))
	case p := <-part:
		err := drain(<-started, trigger{part: p}, signals, opts.Drain)
		<-ended
		return max(codeOf(err), codeOf(p.Join(outside)))
	case sig := <-signals:
		select {
		case err := <-ended: // before it has started
			return codeOf(err)
		case sys := <-started:
			err := drain(sys, trigger{signal: sig}, signals, opts.Drain)
			<-ended // its error is that of a stop
			return max(codeOf(err), endedWith(part))
		}
	}
}

// outside is the context of calls that no tasklet makes.
var outside = context.Background()

// endedWith returns the exit code because of a part that has ended before main, or in a drain.
func endedWith(part chan *actor.Tasklet) int {
	select {
	case p := <-part:
		return codeOf(p.Join(outside))
	default:
		return 0
	}
}

// codeOf returns the exit code. The log has the error.
func codeOf(err error) int {
	if actor.KindOf(err).Failure() {
		return 1
	}
	return 0
}

// errSignal is the cause of the end of a drain that a second signal has cut short.
var errSignal = errors.New("service: a second signal")

// trigger says why a drain begins. One of its fields is nil.
type trigger struct {
	signal os.Signal
	part   *actor.Tasklet // it has ended
}

// logOf returns the log of sys. As in the entries of the library's events, a caller and a stack
// would be the library's own.
func logOf(sys *actor.System) *zap.Logger {
	none := zap.LevelEnablerFunc(func(zapcore.Level) bool { return false })
	return sys.Root().Log().WithOptions(zap.WithCaller(false), zap.AddStacktrace(none))
}

// drain drains sys because of why.
func drain(sys *actor.System, why trigger, signals chan os.Signal, limit time.Duration) error {
	begin := time.Now()
	log := logOf(sys)
	say(func() {
		level, fs := zap.InfoLevel, []zap.Field{zap.String("event", "draining"), zap.Float64("limit_seconds", limit.Seconds())}
		if why.part == nil {
			fs = append(fs, zap.String("signal", why.signal.String()))
		} else {
			fs = append(fs, zap.String("ended", fields.Name(why.part.Path())))
			if err := why.part.Join(outside); err != nil {
				level, fs = zap.ErrorLevel, append(fs, zap.NamedError("error", fields.Error(err)))
			}
		}
		log.Log(level, "draining", fs...)
		tree.Log(log, sys.Root())
	})
	ctx, cancel := context.WithCancelCause(context.Background())
	over := make(chan struct{})
	go func() {
		cause := context.DeadlineExceeded
		timer := time.NewTimer(limit)
		defer timer.Stop()
		if why.part != nil {
			select {
			case <-over:
				return
			case <-timer.C:
				timer.Reset(0)
			case <-signals: // it asks for what is already being done
			}
		}
		select {
		case <-over:
			return
		case <-timer.C:
		case <-signals:
			cause = errSignal
			signal.Stop(signals)
		}
		say(func() {
			log.Warn("stopping before everything is drained", zap.String("event", "drain_cut"), zap.NamedError("reason", cause))
			tree.Log(log, sys.Root())
		})
		cancel(cause)
	}()
	err := sys.Drain(ctx)
	close(over)
	cancel(nil)
	say(func() {
		if err != nil {
			log.Error("not everything was drained", zap.String("event", "undrained"), zap.Error(err), zap.Float64("took_seconds", time.Since(begin).Seconds()))
		} else {
			log.Info("drained", zap.String("event", "drained"), zap.Float64("took_seconds", time.Since(begin).Seconds()))
		}
	})
	return err
}

// say calls f, which writes to the user's log. A logger that fails must not keep the process.
func say(f func()) {
	if fault := guard.Call(f); fault != nil {
		fmt.Fprintf(os.Stderr, "service: the log can't be written: what does it %s\n", fault)
	}
}
