// Slow is a program with three defects: one tasklet takes most of the processor, one allocates far
// too much, and one holds up its scheduler from time to time. docs/profiling.md finds them, each
// with another tool of Go, by the names of the tasklets.
//
// Run it with
//
//	go run ./examples/slow
//
// and look at http://localhost:6060/debug/tasklets/ and http://localhost:6060/debug/pprof/. It ends
// after -seconds, or on Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"runtime/trace"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/flight"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("slow", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:6060", "serve the pages at this `address`")
	dir := flags.String("dir", ".", "write recordings of stalls into this `folder`")
	seconds := flags.Int("seconds", 600, "end after this many")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() > 0 || *seconds <= 0 {
		fmt.Fprintln(stderr, "slow: there are no arguments, and -seconds is positive")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*seconds)*time.Second)
	defer cancel()
	if err := serve(ctx, *addr, *dir, stdout); err != nil {
		fmt.Fprintln(stderr, "slow:", err)
		return 1
	}
	return 0
}

// serve runs the program until ctx ends.
func serve(ctx context.Context, addr, dir string, stdout io.Writer) error {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 2 * time.Second, MaxBytes: 4 << 20})
	if err := recorder.Start(); err != nil {
		return err
	}
	defer recorder.Stop()
	stalls := flight.NewWriter(recorder, flight.Files(dir, 3))
	system, err := actor.Start(actor.Config{
		Name:          "slow",
		ProfileLabels: true,           // CPU profiles by tasklet
		Measure:       true,           // times of handlers on the page
		Around:        flight.Regions, // a region for each message in execution traces
		OnEvent:       stalls.OnEvent, // what happened before a stall, as a file
	})
	if err != nil {
		return err
	}
	defer system.Stop(context.WithoutCancel(ctx))
	shop(system)

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/tasklets/", inspector.Handler(system))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	server := &http.Server{Handler: mux}
	defer server.Close()
	go server.Serve(listener) // it ends with Close
	fmt.Fprintf(stdout, "http://%s/debug/tasklets/\n", listener.Addr())
	<-ctx.Done()
	return nil
}
