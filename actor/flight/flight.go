// Package flight saves what a program did before a tasklet stalled. A [trace.FlightRecorder] of the
// standard library keeps the last seconds of an execution trace in memory. When a tasklet keeps its
// scheduler for too long, a [Writer] writes the recording to a file, which go tool trace shows:
// which tasklet ran, what it did, and who waited.
//
//	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: 5 * time.Second})
//	if err := recorder.Start(); err != nil {
//		return err
//	}
//	defer recorder.Stop()
//	stalls := flight.NewWriter(recorder, flight.Files("/var/tmp", 5))
//	err := actor.Run(ctx, actor.Config{OnEvent: stalls.OnEvent, Around: flight.Regions}, run)
//
// With [Regions], traces also show each message: which tasklet handled it, and when.
package flight

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime/trace"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/guard"
)

// Recorded is the kind of the event for each recording that was written, or could not be. Its
// fields are bytes and error.
var Recorded = event.New("stall_recorded", zap.WarnLevel)

// every is the least time between two recordings of a Writer.
const every = time.Minute

// A Writer writes a recording when a tasklet stalls, at most once a minute. Its methods may be
// called from any goroutine, and several systems may share it. Use [NewWriter] to make one.
type Writer struct {
	// Set when it is made, then read-only.
	rec  *trace.FlightRecorder
	open func(stall actor.EventRecord) (io.WriteCloser, error)

	// mu protects the following.
	mu   sync.Mutex
	next time.Time // no recording is begun before; zero at first
	busy bool      // a recording is being written
}

// NewWriter returns a Writer of the recordings of r, which the caller starts and stops. For each
// recording, open is called with the event of the stall and returns where to write it. The Writer
// closes that when the recording is written. Both happen on a goroutine of their own, while the
// tasklet may still be stalled, and no scheduler waits for it.
//
// The event [Recorded] reports each recording. If r does not run, open or the writer fails, panics
// or calls runtime.Goexit, the event has the error. NewWriter panics if r or open is nil.
func NewWriter(r *trace.FlightRecorder, open func(stall actor.EventRecord) (io.WriteCloser, error)) *Writer {
	if r == nil || open == nil {
		panic("flight: NewWriter with a nil recorder or a nil function")
	}
	return &Writer{rec: r, open: open}
}

// OnEvent begins a recording if e is an [event.Stall], and ignores other events. It is meant for
// actor.Config.OnEvent, or to be called there. It never waits for the recording. A stall within a
// minute of the last one that was recorded, or while that is being written, is not recorded.
func (w *Writer) OnEvent(e actor.EventRecord) {
	if e.Kind != event.Stall || !w.begin(e.Time) {
		return
	}
	go w.record(e)
}

// begin reports whether a recording is due at the time now of the system's clock.
func (w *Writer) begin(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.busy || now.Before(w.next) {
		return false
	}
	w.busy, w.next = true, now.Add(every)
	return true
}

// record writes a recording and reports it.
func (w *Writer) record(e actor.EventRecord) {
	var n int64
	var err error
	if fault := guard.Call(func() { n, err = w.write(e) }); fault != nil {
		err = fmt.Errorf("flight: the writer of a recording %s", fault)
	}
	w.mu.Lock()
	w.busy = false
	w.mu.Unlock()
	if e.Tasklet == nil {
		return
	}
	e.Tasklet.System().Emit(actor.EventRecord{Kind: Recorded, Tasklet: e.Tasklet, Err: err, Fields: []zap.Field{zap.Int64("bytes", n)}})
}

func (w *Writer) write(e actor.EventRecord) (n int64, err error) {
	out, err := w.open(e)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := out.Close(); err == nil {
			err = e
		}
	}()
	return w.rec.WriteTo(out)
}

// Files returns a function for [NewWriter] that writes to the files stall-1.trace to
// stall-<keep>.trace in the folder dir, in turn, so that the last keep recordings remain. A program
// that starts again begins with the first. Files panics if keep is not positive.
func Files(dir string, keep int) func(actor.EventRecord) (io.WriteCloser, error) {
	if keep <= 0 {
		panic(fmt.Sprintf("flight: Files to keep %d recordings: the number must be positive", keep))
	}
	n := 0 // a Writer calls it once at a time
	return func(actor.EventRecord) (io.WriteCloser, error) {
		n = n%keep + 1
		return os.Create(filepath.Join(dir, fmt.Sprintf("stall-%d.trace", n)))
	}
}

// Regions is a hook for actor.Config.Around, or [actor.Around], that makes a region of each call of
// a handler while an execution trace is recorded, also by a [trace.FlightRecorder]. The type of the
// region is that of the message, such as "shop.Order", or "tick" for a call of Interval, Rate or
// Loop. The log of the region has the path of the tasklet, under the category "tasklet". A region
// lasts from the begin of the handler to its end, also by a panic or a kill, and includes the time
// for which the tasklet is parked.
//
// While nothing is recorded, Regions costs what a hook costs; see docs/profiling.md.
func Regions(ctx context.Context, m any, next func(context.Context) error) error {
	if !trace.IsEnabled() {
		return next(ctx)
	}
	kind := "tick"
	if m != nil {
		kind = reflect.TypeOf(m).String()
	}
	defer trace.StartRegion(ctx, kind).End()
	trace.Log(ctx, "tasklet", actor.Current(ctx).Path())
	return next(ctx)
}
