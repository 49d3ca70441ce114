package flight_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/trace"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/actor/flight"
)

func started(tb testing.TB) *trace.FlightRecorder {
	r := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(tb, r.Start())
	tb.Cleanup(r.Stop)
	return r
}

// memory is a writer that knows whether it was closed.
type memory struct {
	bytes.Buffer
	closed atomic.Bool
}

func (m *memory) Close() error { m.closed.Store(true); return nil }

// report is what the event of a recording says.
type report struct {
	path  string
	err   error
	bytes int64
}

// system starts a system that reports recordings.
func system(tb testing.TB, cfg actor.Config) (*actor.System, <-chan report) {
	reports := make(chan report, 10)
	next := cfg.OnEvent
	cfg.Name, cfg.Logger = "s", zap.NewNop()
	cfg.OnEvent = func(e actor.EventRecord) {
		if e.Kind == flight.Recorded {
			reports <- report{e.Path, e.Err, e.Fields[0].Integer}
		}
		if next != nil {
			next(e)
		}
	}
	s, err := actor.Start(cfg)
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, s.Stop(context.Background())) })
	return s, reports
}

func TestRecordsAStall(t *testing.T) {
	m := new(memory)
	w := flight.NewWriter(started(t), func(e actor.EventRecord) (io.WriteCloser, error) {
		require.Equal(t, "/s/hog", e.Path)
		return m, nil
	})
	// A slow machine has shorter stalls.
	s, reports := system(t, actor.Config{OnEvent: w.OnEvent, StallAfter: 100 * time.Millisecond})
	actor.Go(s, func(t *actor.Tasklet) error {
		for !m.closed.Load() { // the recording is written while the tasklet still stalls
		}
		return nil
	}, actor.Name("hog"))
	r := <-reports
	require.NoError(t, r.err)
	require.Equal(t, "/s/hog", r.path)
	require.EqualValues(t, m.Len(), r.bytes)
	require.True(t, strings.HasPrefix(m.String(), "go 1."), "the header of a trace: %.16q", m.String())
}

// Of many stalls one a minute is recorded, and other events never are.
func TestRecordsOnceAMinute(t *testing.T) {
	var mu sync.Mutex
	var opened []time.Duration
	zero := time.Unix(1e9, 0)
	w := flight.NewWriter(started(t), func(e actor.EventRecord) (io.WriteCloser, error) {
		mu.Lock()
		defer mu.Unlock()
		opened = append(opened, e.Time.Sub(zero))
		return new(memory), nil
	})
	s, reports := system(t, actor.Config{})
	at := func(d time.Duration, k event.Kind) {
		w.OnEvent(actor.EventRecord{Kind: k, Time: zero.Add(d), Tasklet: s.Root()})
	}
	at(0, event.StallOver)
	at(0, event.Spawn)
	at(time.Second, event.Stall)
	require.NoError(t, (<-reports).err)
	for d := range 60 {
		at(time.Second+time.Duration(d)*time.Second, event.Stall)
	}
	at(61*time.Second, event.Stall)
	require.NoError(t, (<-reports).err)
	at(90*time.Second, event.Stall)
	at(time.Hour, event.StallOver)
	require.Equal(t, []time.Duration{time.Second, 61 * time.Second}, opened)
}

// A writer that blocks does not hold up OnEvent, and no other recording begins before it is over.
func TestWriterThatBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, opened := make(chan struct{}), 0
		w := flight.NewWriter(trace.NewFlightRecorder(trace.FlightRecorderConfig{}), func(actor.EventRecord) (io.WriteCloser, error) {
			opened++ // a second call at the same time is a data race
			<-release
			return nil, errors.New("no space")
		})
		for hour := range 10 {
			w.OnEvent(actor.EventRecord{Kind: event.Stall, Time: time.Unix(1e9+int64(hour)*3600, 0)})
			synctest.Wait()
			require.Equal(t, 1, opened)
		}
		close(release)
		synctest.Wait()
		w.OnEvent(actor.EventRecord{Kind: event.Stall, Time: time.Unix(2e9, 0)})
		synctest.Wait()
		require.Equal(t, 2, opened)
	})
}

type failing struct {
	write func() error
	close func() error
}

func (f failing) Write(p []byte) (int, error) { return len(p), f.write() }
func (f failing) Close() error                { return f.close() }

func TestWriterThatFails(t *testing.T) {
	ok, full := func() error { return nil }, errors.New("disk full")
	for name, c := range map[string]struct {
		stopped bool
		open    func() (io.WriteCloser, error)
		want    string
	}{
		"not running":     {true, func() (io.WriteCloser, error) { return failing{ok, ok}, nil }, "disabled flight recorder"},
		"write":           {false, func() (io.WriteCloser, error) { return failing{func() error { return full }, ok}, nil }, "disk full"},
		"close":           {false, func() (io.WriteCloser, error) { return failing{ok, func() error { return full }}, nil }, "disk full"},
		"panic of open":   {false, func() (io.WriteCloser, error) { panic("boom") }, "flight: the writer of a recording panicked: boom"},
		"panic of write":  {false, func() (io.WriteCloser, error) { return failing{func() error { panic("boom") }, ok}, nil }, "panicked: boom"},
		"Goexit of close": {false, func() (io.WriteCloser, error) { return failing{ok, func() error { runtime.Goexit(); return nil }}, nil }, "called runtime.Goexit"},
	} {
		t.Run(name, func(t *testing.T) {
			r := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
			if !c.stopped {
				r = started(t)
			}
			w := flight.NewWriter(r, func(actor.EventRecord) (io.WriteCloser, error) { return c.open() })
			s, reports := system(t, actor.Config{})
			for n := range 2 { // the second one shows that it continues
				w.OnEvent(actor.EventRecord{Kind: event.Stall, Time: time.Unix(1e9+int64(n)*60, 0), Tasklet: s.Root()})
				require.ErrorContains(t, (<-reports).err, c.want)
			}
		})
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	open := flight.Files(dir, 2)
	for n := range 5 {
		f, err := open(actor.EventRecord{})
		require.NoError(t, err)
		_, err = f.Write([]byte{byte('0' + n)})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	for name, want := range map[string]string{"stall-1.trace": "4", "stall-2.trace": "3"} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, want, string(got), name)
	}
	_, err := flight.Files(filepath.Join(dir, "missing"), 1)(actor.EventRecord{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestMisuse(t *testing.T) {
	open := flight.Files(t.TempDir(), 1)
	require.PanicsWithValue(t, "flight: NewWriter with a nil recorder or a nil function", func() { flight.NewWriter(nil, open) })
	require.Panics(t, func() { flight.NewWriter(trace.NewFlightRecorder(trace.FlightRecorderConfig{}), nil) })
	require.PanicsWithValue(t, "flight: Files to keep 0 recordings: the number must be positive", func() { flight.Files("", 0) })
}

type parcel struct{}

// While a trace is recorded, each call of a handler is a region of the message's type with the path
// of its tasklet, also one that panics or is killed. Otherwise Regions only calls next.
func TestRegions(t *testing.T) {
	var calls int
	run := func() {
		calls = 0
		actortest.Run(t, func(t *actor.Tasklet) {
			packer := actor.Receiver(t, func(t *actor.Tasklet, m any) error {
				calls++
				if _, ok := m.(error); ok {
					return m.(error)
				}
				t.Kill()
				t.Yield() // it ends here
				return nil
			}, actor.Name("packer"), actor.OnFailure(actor.Resume))
			actor.Interval(t, time.Second, func(t *actor.Tasklet) error {
				calls++
				return actor.ErrStop
			}, actor.Name("clock"))
			for _, m := range []any{io.ErrNoProgress, parcel{}} {
				require.NoError(actortest.TB(t), packer.Send(t, m))
			}
			_ = packer.Join(t)
			_, _ = t.JoinChildren(t)
		}, actortest.Allow(event.Failure), actortest.Allow(event.Exit), actortest.Configure(func(c *actor.Config) { c.Around = flight.Regions }))
		require.Equal(t, 3, calls)
	}
	run() // nothing is recorded

	var recorded bytes.Buffer
	require.NoError(t, trace.Start(&recorded))
	run()
	trace.Stop()
	for _, text := range []string{"*errors.errorString", "flight_test.parcel", "tick", "/packer", "/clock", "tasklet"} {
		require.True(t, bytes.Contains(recorded.Bytes(), []byte(text)), text)
	}
}
