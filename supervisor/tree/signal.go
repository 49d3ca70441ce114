package tree

import (
	"fmt"
	"os"
	"os/signal"
	"sync"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/guard"
)

// OnSignal writes the tree of s to the log, as [Log] does, whenever the process gets one of the
// signals. With a nil logger it writes to standard error, as [Write] does. It works while a tasklet
// holds the scheduler, which is the moment that it is meant for. From the second signal on it shows
// rates since the last one.
//
// Without signals it waits for SIGUSR1, and on macOS and the BSDs also for SIGINFO, which Ctrl-T
// sends from a terminal. They do not end the process. SIGQUIT is not among them, because Go's
// reaction to it, which prints the stacks of all goroutines and exits, is the last resort; pass it
// to OnSignal to get the tree instead. On systems without these signals, such as Windows, OnSignal
// without signals has no effect.
//
// stop ends OnSignal, and returns when no tree is being written any more. Calling it twice has no
// effect.
func OnSignal(s *actor.System, logger *zap.Logger, sig ...os.Signal) (stop func()) {
	if len(sig) == 0 {
		sig = demands
	}
	if len(sig) == 0 {
		return func() {} // signal.Notify without signals would catch all of them
	}
	got := make(chan os.Signal, 1)
	quit, gone := make(chan struct{}), make(chan struct{})
	signal.Notify(got, sig...)
	go func() {
		defer close(gone)
		var rates Rates
		for {
			select {
			case <-quit:
				return
			case <-got:
				dump(s, logger, &rates)
			}
		}
	}()
	var once sync.Once
	return func() {
		once.Do(func() {
			signal.Stop(got)
			close(quit)
		})
		<-gone
	}
}

// dump writes the tree. A logger that fails, or a method of a written value, does not end the
// process.
func dump(s *actor.System, logger *zap.Logger, rates *Rates) {
	fault := guard.Call(func() {
		if logger != nil {
			Log(logger, s.Root(), WithRates(rates))
		} else {
			_ = Write(os.Stderr, s.Root(), WithRates(rates))
		}
	})
	if fault != nil {
		fmt.Fprintf(os.Stderr, "tree: the tree of %s can't be written: what does it %s\n", s.Name(), fault)
	}
}
