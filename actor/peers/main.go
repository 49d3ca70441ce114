// Command peers has the same work done by tasklets, by goroutines with channels, by two other actor
// libraries for Go, and by Erlang, and prints what it costs as Markdown tables:
//
//	go -C actor/peers run .                                              all of it, about ten minutes
//	go -C actor/peers run . -quick                                       a first look
//	go -C actor/peers run . -peers erlang -workloads call,restart
//	go -C actor/peers run . -svg ../../docs/peers.svg -update ../../docs/peers.md
//
// Each measurement is a process of its own. In each round the peers take their turns one after the
// other, and each is compared with the tasklets of the same round, because the speed of a machine
// drifts and all of them drift with it. The tables have the medians with the lowest and the
// highest. A peer that is not installed is skipped, and named.
//
// It is a module of its own, so that no user of the library needs the others.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gotasklet/tasklet/actor/peers/work"
)

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "peers:", err)
		var usage usageError
		if errors.As(err, &usage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// options are what the command line says.
type options struct {
	rounds      int
	quick       bool
	timeout     time.Duration
	peers       []peer
	workloads   []work.Workload
	svg, update string
}

const quickShare = 1.0 / 20

// command is the whole program: tables go to out, progress goes to log.
func command(ctx context.Context, args []string, out, log io.Writer) error {
	o, err := parse(args, log)
	if err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	loadavg, _ := os.ReadFile("/proc/loadavg")
	r := report{rounds: o.rounds, quick: o.quick, load: loadAverage(string(loadavg))}
	if busy(r.load) {
		fmt.Fprintf(log, "the machine is busy with something else (load %.1f): the figures will not be worth much\n", r.load)
	}
	for _, p := range o.peers {
		run, err := p.prepare(ctx, dir)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && p.name == reference:
			return err
		case err != nil:
			r.skipped = append(r.skipped, skip{p, err})
			fmt.Fprintf(log, "skipped %s: %v\n", p.title, err)
		default:
			r.peers = append(r.peers, runnable{p, run})
		}
	}
	if err := r.measure(ctx, o, log); err != nil {
		return err
	}
	text := r.markdown()
	fmt.Fprint(out, text)
	return errors.Join(r.failure(), o.writePage(text), o.writePlot(&r))
}

// check finds a file that cannot be written before the measurement, instead of after it.
func (o options) check() error {
	if o.svg != "" {
		dir := filepath.Dir(o.svg)
		if info, err := os.Stat(dir); err != nil {
			return fmt.Errorf("-svg: %w", err)
		} else if !info.IsDir() {
			return fmt.Errorf("-svg: %s is no directory", dir)
		}
	}
	_, err := o.page("")
	return err
}

// page returns the page of -update with the text in it.
func (o options) page(text string) (string, error) {
	if o.update == "" {
		return "", nil
	}
	page, err := os.ReadFile(o.update)
	if err != nil {
		return "", fmt.Errorf("-update: %w", err)
	}
	updated, err := insert(string(page), text)
	if err != nil {
		return "", fmt.Errorf("-update %s: %w", o.update, err)
	}
	return updated, nil
}

func (o options) writePage(text string) error {
	page, err := o.page(text)
	if err != nil || o.update == "" {
		return err
	}
	return os.WriteFile(o.update, []byte(page), 0o644)
}

func (o options) writePlot(r *report) error {
	if o.svg == "" {
		return nil
	}
	image, err := r.plot()
	if err != nil {
		return fmt.Errorf("-svg: %w", err)
	}
	return os.WriteFile(o.svg, image, 0o644)
}

// parse reads the command line; log gets the usage if it is asked for.
func parse(args []string, log io.Writer) (options, error) {
	o := options{}
	flags := flag.NewFlagSet("peers", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // main prints the error
	flags.IntVar(&o.rounds, "rounds", 6, "how often each is measured, at least 1; with -quick 2 unless said otherwise")
	flags.BoolVar(&o.quick, "quick", false, "do a twentieth of the work: a first look, whose figures are not to be trusted")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long one measurement may take")
	flags.StringVar(&o.svg, "svg", "", "write the plot of the ratios to this `file`")
	flags.StringVar(&o.update, "update", "", "replace the tables between the markers in this Markdown `file`")
	var peerList, workloadList string
	flags.StringVar(&peerList, "peers", "", "measure only these, a `list` with commas of "+strings.Join(names(allPeers, peerName), ", ")+
		"; tasklets are always among them, because the ratios are to them")
	flags.StringVar(&workloadList, "workloads", "", "measure only these, a `list` with commas of "+
		strings.Join(names(work.Workloads, workloadName), ", "))
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(log, "go -C actor/peers run . [flags]")
			flags.SetOutput(log)
			flags.PrintDefaults()
			return o, err
		}
		return o, usagef("%w; see -help", err)
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var err error
	switch {
	case flags.NArg() > 0:
		return o, usagef("unexpected argument %q: all is said by flags, see -help", flags.Arg(0))
	case o.rounds < 1:
		return o, usagef("-rounds %d: at least 1", o.rounds)
	case o.timeout <= 0:
		return o, usagef("-timeout %v: must be more than 0", o.timeout)
	}
	if o.quick && !given["rounds"] {
		o.rounds = 2
	}
	if o.peers, err = choose("-peers", peerList, given["peers"], allPeers, peerName); err != nil {
		return o, err
	}
	if o.peers[0].name != reference {
		o.peers = slices.Insert(o.peers, 0, allPeers[0])
	}
	if o.workloads, err = choose("-workloads", workloadList, given["workloads"], work.Workloads, workloadName); err != nil {
		return o, err
	}
	if o.svg != "" && (len(o.peers) == 1 || !slices.ContainsFunc(o.workloads, func(w work.Workload) bool { return !w.Grows() })) {
		return o, usagef("-svg: there is no ratio to plot: it needs another peer than tasklets, and a workload that all peers do")
	}
	return o, nil
}

func peerName(p peer) string              { return p.name }
func workloadName(w work.Workload) string { return w.Name }

func names[T any](all []T, name func(T) string) []string {
	list := make([]string, len(all))
	for i, x := range all {
		list[i] = name(x)
	}
	return list
}

// choose returns those of all that the list names, in the order of all; all of them if the flag was
// not given.
func choose[T any](flag, list string, given bool, all []T, name func(T) string) ([]T, error) {
	if !given {
		return all, nil
	}
	known := names(all, name)
	wanted := map[string]bool{}
	for word := range strings.SplitSeq(list, ",") {
		word = strings.TrimSpace(word)
		if !slices.Contains(known, word) {
			return nil, usagef("%s: %q is none of %s", flag, word, strings.Join(known, ", "))
		}
		wanted[word] = true
	}
	var chosen []T
	for _, x := range all {
		if wanted[name(x)] {
			chosen = append(chosen, x)
		}
	}
	return chosen, nil
}

// machine says in general words what was measured on.
func machine() string {
	return fmt.Sprintf("%d processors, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// loadAverage is the first figure of a text like Linux's /proc/loadavg: how many wanted a
// processor, on average over the last minute. It is below 0 if that is unknown.
func loadAverage(text string) float64 {
	first, _, _ := strings.Cut(text, " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil || !(load >= 0) {
		return -1
	}
	return load
}

// busy reports whether a load is so high that what is measured under it is not to be trusted.
func busy(load float64) bool { return load > 0.5*float64(runtime.NumCPU()) }
