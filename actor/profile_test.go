package actor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// labelsHere returns the profiler labels of the calling goroutine, as a goroutine profile shows
// them, or "" for none.
//
//go:noinline
func labelsHere() string {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 1)
	for group := range strings.SplitSeq(b.String(), "\n\n") {
		if !strings.Contains(group, "actor_test.labelsHere+") {
			continue
		}
		for line := range strings.Lines(group) {
			if labels, ok := strings.CutPrefix(line, "# labels: "); ok {
				return strings.TrimSpace(labels)
			}
		}
	}
	return ""
}

func labelsOf(kind, path string) string {
	return fmt.Sprintf(`{"kind":%q, "tasklet":%q}`, kind, path)
}

// runProfiled runs main with labels on a virtual clock.
func runProfiled(tb testing.TB, main func(t *actor.Tasklet) error) {
	cfg := actor.Config{
		Name: "p", ProfileLabels: true,
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Seed: 1,
	}
	require.NoError(tb, actor.Run(context.Background(), cfg, main))
}

// Each function of a tasklet runs with its labels, on whichever goroutine that is.
func TestProfileLabelsInEveryPhase(t *testing.T) {
	const handler = "TestProfileLabelsInEveryPhase.func"
	for name, c := range map[string]struct {
		start func(t *actor.Tasklet, look func())
		want  string
		times int
	}{
		"main": {func(t *actor.Tasklet, look func()) { look() }, labelsOf("main", "/p"), 1},
		"go": {func(t *actor.Tasklet, look func()) {
			actor.Go(t, func(t *actor.Tasklet) error { look(); t.Yield(); look(); return nil }, actor.Name("job"))
		}, labelsOf("task", "/p/job"), 2},
		"receiver": {func(t *actor.Tasklet, look func()) {
			r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { look(); t.Sleep(time.Second); look(); return nil }, actor.Name("r"))
			_, _ = r.Send(t, 1), r.Send(t, 2)
		}, labelsOf("receiver", "/p/r"), 4},
		"one among siblings": {func(t *actor.Tasklet, look func()) {
			for range 3 {
				r := actor.Receiver(t, func(t *actor.Tasklet, m func()) error { m(); return nil })
				_ = r.Send(t, func() { look() })
			}
		}, "receiver", 3},
		"init and start": {func(t *actor.Tasklet, look func()) {
			ref := actor.NewRef[int](actor.Name("worker-12"))
			actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(*actor.Tasklet) (actor.Handler[int], error) {
				look()
				return func(*actor.Tasklet, int) error { look(); return nil }, nil
			}), actor.OnStart(func(*actor.Tasklet) error { look(); return nil }))
			_ = ref.Send(t, 1)
		}, labelsOf("receiver", "/p/worker-*"), 3},
		"reader": {func(t *actor.Tasklet, look func()) {
			r := actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[int]) error {
				look()
				for range in.Receive() {
					look()
				}
				return nil
			}, actor.Name("s"))
			_ = r.Send(t, 1)
			t.Sleep(time.Second)
			_ = r.Send(t, 2)
			r.Close()
		}, labelsOf("reader", "/p/s"), 3},
		"interval": {func(t *actor.Tasklet, look func()) {
			n := 0
			actor.Interval(t, time.Second, func(*actor.Tasklet) error {
				look()
				if n++; n == 3 {
					return actor.ErrStop
				}
				return nil
			}, actor.Name("tick"))
		}, labelsOf("interval", "/p/tick"), 3},
		"idle": {func(t *actor.Tasklet, look func()) {
			actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.Name("i"),
				actor.IdleAfter(time.Second, func(*actor.Tasklet) error { look(); return actor.ErrStop }))
		}, labelsOf("receiver", "/p/i"), 1},
		"deferred after a panic": {func(t *actor.Tasklet, look func()) {
			actor.Go(t, func(t *actor.Tasklet) error {
				t.Defer(func() { look() })
				t.Defer(func() { look(); runtime.Goexit() })
				defer look()
				panic("boom")
			}, actor.Name("d"))
		}, labelsOf("task", "/p/d"), 3},
		"resumed after a panic": {func(t *actor.Tasklet, look func()) {
			r := actor.Receiver(t, func(t *actor.Tasklet, m int) error {
				look()
				if m == 1 {
					panic("boom")
				}
				return nil
			}, actor.Name("g"))
			_, _ = r.Send(t, 1), r.Send(t, 2)
		}, labelsOf("receiver", "/p/g"), 2},
		"below others": {func(t *actor.Tasklet, look func()) {
			actor.Go(t, func(t *actor.Tasklet) error {
				return actor.Go(t, func(t *actor.Tasklet) error { look(); return nil }, actor.Name("c:7")).Join(t)
			}, actor.Name("a#1"))
		}, labelsOf("task", "/p/a#*/c:*"), 1},
		"daemon": {func(t *actor.Tasklet, look func()) {
			actor.Go(t, func(t *actor.Tasklet) error { look(); return nil }, actor.Daemon(), actor.Name("d"))
		}, labelsOf("task", "/(daemons)/d"), 1},
		"await": {func(t *actor.Tasklet, look func()) {
			_, _ = actor.Await(t, func(context.Context) (int, error) { look(); return 0, nil })
			look()
		}, labelsOf("main", "/p"), 2},
	} {
		t.Run(name, func(t *testing.T) {
			seen := 0
			runProfiled(t, func(m *actor.Tasklet) error {
				c.start(m, func() {
					seen++
					got := labelsHere()
					switch {
					case c.want == "receiver":
						require.Contains(t, got, handler)
						require.Contains(t, got, `#*"}`)
					default:
						require.Equal(t, c.want, got)
					}
				})
				m.Sleep(time.Minute)
				require.Equal(t, labelsOf("main", "/p"), labelsHere())
				return nil
			})
			require.Equal(t, c.times, seen)
		})
	}
}

// Without the option no tasklet has labels, and what runs between two activations never has any.
func TestProfileLabelsOnlyInsideTasklets(t *testing.T) {
	for on, want := range map[bool]string{true: labelsOf("receiver", "/p/r"), false: ""} {
		s, err := actor.Start(actor.Config{Name: "p", ProfileLabels: on, Logger: zap.NewNop()})
		require.NoError(t, err)
		var inside, between string
		var r actor.Ref[int]
		r = actor.Receiver(s, func(t *actor.Tasklet, m int) error {
			if m == 2 {
				return actor.ErrStop
			}
			inside = labelsHere()
			actor.Pipe(t, func(context.Context) (int, error) { return 2, nil }, r, func(m int, _ error) int {
				between = labelsHere() // after the activation
				return m
			})
			return nil
		}, actor.Name("r"))
		require.NoError(t, r.Send(context.Background(), 1))
		require.NoError(t, r.Join(context.Background()))
		require.NoError(t, s.Stop(context.Background()))
		require.Equal(t, want, inside)
		require.Empty(t, between)
	}
}

// The labels of the context of Run and those of pprof.Do are added to those of the tasklet, and
// pprof.Do restores them.
func TestProfileLabelsOfUsersAreAdded(t *testing.T) {
	base := pprof.WithLabels(context.Background(), pprof.Labels("service", "shop"))
	const own, more = `{"kind":"main", "service":"shop", "tasklet":"/p"}`, `{"kind":"main", "request":"42", "service":"shop", "tasklet":"/p"}`
	cfg := actor.Config{Name: "p", ProfileLabels: true, Logger: zap.NewNop()}
	require.NoError(t, actor.Run(base, cfg, func(m *actor.Tasklet) error {
		require.Equal(t, own, labelsHere())
		pprof.Do(m, pprof.Labels("request", "42"), func(ctx context.Context) {
			require.Equal(t, more, labelsHere())
			actor.Yield(ctx)
			require.Equal(t, more, labelsHere())
			done := make(chan string, 1)
			go func() { done <- labelsHere() }()
			require.Equal(t, more, <-done)
		})
		require.Equal(t, own, labelsHere())
		path, _ := pprof.Label(m, "tasklet")
		require.Equal(t, "/p", path)
		pprof.SetGoroutineLabels(context.Background())
		m.Yield()
		require.Empty(t, labelsHere(), "until the end of the activation")
		return nil
	}))
}

// A restarted child, and one on another scheduler, has the same labels as before.
func TestProfileLabelsOnSchedulers(t *testing.T) {
	cfg := actor.Config{Name: "p", ProfileLabels: true, Logger: zap.NewNop(), Schedulers: 3}
	require.NoError(t, actor.Run(context.Background(), cfg, func(m *actor.Tasklet) error {
		for n := range 3 {
			got := ""
			job := actor.Go(m, func(*actor.Tasklet) error { got = labelsHere(); return nil }, actor.OnScheduler(n), actor.Name(fmt.Sprint("job-", n)))
			_ = job.Join(m)
			require.Equal(t, labelsOf("task", "/p/job-*"), got)
		}
		return nil
	}))
}

func TestProfileLabelsArePooledAndBounded(t *testing.T) {
	for name, want := range map[string]string{
		"worker#17": "worker#*", "worker-3": "worker-*", "a_0": "a_*", "conn:8080": "conn:*", "#1": "#*",
		"v2": "v2", "42": "42", "worker-": "worker-", "worker-3b": "worker-3b", "-": "-",
	} {
		require.Equal(t, want, actor.Pooled(name), name)
	}
	start := func(t *actor.Tasklet, name string, seen map[string]int, below func(t *actor.Tasklet)) {
		j := actor.Go(t, func(t *actor.Tasklet) error {
			l, _ := pprof.Label(t, "tasklet")
			seen[l]++
			if below != nil {
				below(t)
			}
			return nil
		}, actor.Name(name))
		_ = j.Join(t)
	}
	runProfiled(t, func(m *actor.Tasklet) error {
		seen := map[string]int{}
		for n := range 1000 {
			start(m, fmt.Sprintf("order %d", n), seen, nil) // a space does not separate a number
		}
		require.Len(t, seen, actor.MaxLabelNames+1)
		require.Equal(t, 1000-actor.MaxLabelNames, seen["/p/*"])
		start(m, "order 3", seen, nil)
		require.Equal(t, 2, seen["/p/order 3"], "a name that was seen before")

		clear(seen)
		for a := range actor.MaxLabelNames + 1 {
			start(m, fmt.Sprintf("order %d", a), seen, func(t *actor.Tasklet) {
				for b := range actor.MaxLabelNames + 1 {
					start(t, fmt.Sprintf("part %d", b), seen, nil)
				}
			})
		}
		require.LessOrEqual(t, len(seen), actor.MaxLabelSets)
		require.Greater(t, len(seen), actor.MaxLabelSets*9/10)
		require.Positive(t, seen["(other)"])
		return nil
	})
	runProfiled(t, func(m *actor.Tasklet) error {
		seen, depth := map[string]int{}, 0
		var deeper func(t *actor.Tasklet)
		deeper = func(t *actor.Tasklet) {
			if depth++; depth < 100 {
				start(t, strings.Repeat("x", 30), seen, deeper)
			}
		}
		deeper(m)
		for l := range seen {
			require.LessOrEqual(t, len(l), actor.MaxLabelPath)
		}
		require.Greater(t, seen["(other)"], 50)
		return nil
	})
}

// A CPU profile has the labels of the tasklet that used the processor.
func TestCPUProfileHasTheLabels(t *testing.T) {
	cpu := func() (profile []byte, err error) {
		var b bytes.Buffer
		if err := pprof.StartCPUProfile(&b); err != nil {
			return nil, err
		}
		runErr := actor.Run(context.Background(), actor.Config{Name: "cpu", ProfileLabels: true, Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
			r := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
				for end := time.Now().Add(5 * time.Millisecond); time.Now().Before(end); {
				}
				return nil
			}, actor.Name("burner-7"))
			for range 20 {
				_ = r.Send(t, 1)
			}
			r.Close()
			return r.Join(t)
		})
		pprof.StopCPUProfile()
		z, err := gzip.NewReader(&b)
		if err != nil {
			return nil, err
		}
		profile, err = io.ReadAll(z) // the strings of a profile are not encoded
		return profile, errors.Join(runErr, err)
	}
	for range 20 { // a busy machine may give it no sample
		profile, err := cpu()
		require.NoError(t, err)
		if bytes.Contains(profile, []byte("/cpu/burner-*")) {
			return
		}
	}
	t.Error("no sample has the label")
}
