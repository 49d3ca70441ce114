// Wordcount counts the words of text, and shows how the work was done. A reader deals out lines to
// parsers, which send their words to an aggregator. Bounded mailboxes make the faster ones wait.
//
// Run it with files and folders, or without arguments to count standard input:
//
//	go run ./examples/wordcount README.md docs
//	go run ./examples/wordcount -mailbox 1 -parsers 1 README.md docs
//	go run ./examples/wordcount -crash 0.01 -v README.md docs
//
// The words go to standard output, the log to standard error. A line of more than 64 KiB counts as
// several. The exit status is 1 if something was not counted, and the output says what; 2 for wrong
// usage; 130 after an interrupt, with the words counted until then.
package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	return runContext(ctx, args, stdin, stdout, stderr)
}

func runContext(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	c := &counter{words: make(map[string]int)}
	flags := flag.NewFlagSet("wordcount", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: wordcount [flags] [FILE-OR-FOLDER...]    (- or nothing: standard input)")
		flags.PrintDefaults()
	}
	flags.IntVar(&c.cap, "mailbox", mailbox.DefaultCap, "how many messages a mailbox holds")
	flags.IntVar(&c.parsers, "parsers", 4, "how many parsers there are")
	flags.Float64Var(&c.crash, "crash", 0, "probability that a parser fails on a line")
	flags.Uint64Var(&c.seed, "seed", 1, "what -crash draws from")
	top := flags.Int("top", 10, "how many of the commonest words are shown")
	verbose := flags.Bool("v", false, "log starts and ends of tasklets, too")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	wrong := ""
	switch {
	case c.cap < 1 || c.cap > mailbox.MaxCap:
		wrong = fmt.Sprintf("-mailbox must be 1 to %d", mailbox.MaxCap)
	case c.parsers < 1 || c.parsers > 1000:
		wrong = "-parsers must be 1 to 1000"
	case !(c.crash >= 0 && c.crash <= 1):
		wrong = "-crash must be 0 to 1"
	case *top < 0:
		wrong = "-top must not be negative"
	}
	if wrong != "" {
		fmt.Fprintln(stderr, "wordcount:", wrong)
		return 2
	}
	c.source = &source{names: flags.Args(), stdin: stdin}
	if flags.NArg() == 0 {
		c.source.names = []string{"-"}
	}

	level := zap.WarnLevel
	if *verbose {
		level = zap.DebugLevel
	}
	cfg := actor.Config{Name: "wordcount", Logger: textLogger(stderr, level), OnEvent: c.onEvent}
	err := actor.Run(ctx, cfg, c.main)

	out := bufio.NewWriter(stdout)
	c.print(out, *top, err)
	if err := out.Flush(); err != nil {
		fmt.Fprintln(stderr, "wordcount:", err)
		return 1
	}
	for _, p := range c.problems {
		fmt.Fprintln(stderr, "wordcount:", p)
	}
	switch {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "wordcount: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "wordcount:", err)
		return 1
	case len(c.problems) > 0 || len(c.lost) > 0:
		return 1
	}
	return 0
}

// print writes the result. If err is not nil, it is the reason why the result is incomplete.
func (c *counter) print(w io.Writer, top int, err error) {
	if err != nil {
		fmt.Fprintf(w, "PARTIAL RESULT, the run ended early: %v\n\n", err)
	}
	words, total := slices.Collect(maps.Keys(c.words)), 0
	for _, n := range c.words {
		total += n
	}
	slices.SortFunc(words, func(a, b string) int {
		return cmp.Or(cmp.Compare(c.words[b], c.words[a]), strings.Compare(a, b))
	})
	for _, word := range words[:min(top, len(words))] {
		fmt.Fprintf(w, "%8d  %.60s\n", c.words[word], word)
	}
	fmt.Fprintf(w, "\nwords %d, different %d, lines %d, files %d", total, len(words), c.counted, c.files)
	if c.binary > 0 {
		fmt.Fprintf(w, ", left out as binary %d", c.binary)
	}
	fmt.Fprintln(w)
	if err != nil {
		fmt.Fprintf(w, "lines read and not counted: %d\n", c.read-c.counted-len(c.lost))
	}
	if len(c.lost) > 0 {
		fmt.Fprintf(w, "lines lost in crashes: %d: %s\n", len(c.lost), strings.Join(c.lostLines(), ", "))
	}
	fmt.Fprintf(w, "the reader met a full mailbox %d times, and waited %v for room\n", c.heldUp, c.heldFor.Round(time.Microsecond))
	fmt.Fprintf(w, "the aggregator took %d batches, the largest of %d lines\n\n", c.batches, c.maxBatch)
	c.printTree(w)
}

func (c *counter) printTree(w io.Writer) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range c.tree {
		// "parked send to /wordcount/parser-1"
		state := strings.TrimSpace(fmt.Sprint(r.info.State, " ", r.info.Wait, " ", r.info.On))
		fmt.Fprintf(tw, "%s%s\t%s\t%s", strings.Repeat("   ", r.level), r.info.Name, r.info.Kind, state)
		if m := r.info.Mailbox; m != nil {
			fmt.Fprintf(tw, "\tmailbox %d/%d\tpeak %d\thandled %d", m.Len, m.Cap, m.Peak, m.Handled)
		}
		fmt.Fprintln(tw)
	}
	tw.Flush()
}

// textLogger returns a logger that writes lines of text to w.
func textLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	encoder := zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level))
}
