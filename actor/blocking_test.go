package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// The claims of docs/blocking.md. Its programs are in blocking_example_test.go; see
// TestBlockingGuide.

// watched runs main until it returns, and tells of stalls of 20 ms.
func watched(t *testing.T, onStall func(actor.EventRecord), main func(t *actor.Tasklet) error) {
	t.Helper()
	cfg := actor.Config{Name: "shop", Logger: zap.NewNop(), StallAfter: 20 * time.Millisecond, OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.Stall {
			onStall(e)
		}
	}}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
}

// A blocker is a call in which a tasklet waits for something else than the scheduler, until release
// is called from elsewhere.
type blocker struct {
	row     string // of the table in the guide
	frame   string // of the call, in the stack of the report
	prepare func(t *testing.T) (call func(*actor.Tasklet), release func())
}

var blockers = []blocker{
	{"`time.Sleep`", "time.Sleep", func(*testing.T) (func(*actor.Tasklet), func()) {
		var over atomic.Bool
		return func(*actor.Tasklet) {
			for !over.Load() {
				time.Sleep(5 * time.Millisecond)
			}
		}, func() { over.Store(true) }
	}},
	{"a Go channel, `select`, `<-ctx.Done()`", "channelReceive", func(*testing.T) (func(*actor.Tasklet), func()) {
		c := make(chan int)
		return func(*actor.Tasklet) { channelReceive(c) }, func() { close(c) }
	}},
	{"a Go channel, `select`, `<-ctx.Done()`", "channelSend", func(*testing.T) (func(*actor.Tasklet), func()) {
		c := make(chan int)
		return func(*actor.Tasklet) { channelSend(c) }, func() { <-c }
	}},
	{"a Go channel, `select`, `<-ctx.Done()`", "contextDone", func(*testing.T) (func(*actor.Tasklet), func()) {
		ctx, cancel := context.WithCancel(context.Background())
		return func(*actor.Tasklet) { contextDone(ctx) }, cancel
	}},
	{"`sync.Mutex`, also one inside a library", "sync.(*Mutex).Lock", func(*testing.T) (func(*actor.Tasklet), func()) {
		var mu sync.Mutex
		mu.Lock()
		return func(*actor.Tasklet) { mu.Lock() }, mu.Unlock
	}},
	{"`sync.WaitGroup`, `sync.Cond`", "sync.(*WaitGroup).Wait", func(*testing.T) (func(*actor.Tasklet), func()) {
		var wg sync.WaitGroup
		wg.Add(1)
		return func(*actor.Tasklet) { wg.Wait() }, wg.Done
	}},
	{"`sync.WaitGroup`, `sync.Cond`", "sync.(*Cond).Wait", func(*testing.T) (func(*actor.Tasklet), func()) {
		c := sync.NewCond(new(sync.Mutex))
		over := false
		return func(*actor.Tasklet) {
				c.L.Lock()
				defer c.L.Unlock()
				for !over {
					c.Wait()
				}
			}, func() {
				c.L.Lock()
				defer c.L.Unlock()
				over = true
				c.Broadcast()
			}
	}},
	{"a long computation", "compute", func(*testing.T) (func(*actor.Tasklet), func()) {
		var over atomic.Bool
		return func(*actor.Tasklet) { compute(&over) }, func() { over.Store(true) }
	}},
	{"a file, `os/exec`, a call into C", "os.(*File).Read", func(t *testing.T) (func(*actor.Tasklet), func()) {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		t.Cleanup(func() { r.Close() })
		return func(*actor.Tasklet) { _, _ = r.Read(make([]byte, 1)) }, func() { w.Close() }
	}},
	{"a file, `os/exec`, a call into C", "os/exec.(*Cmd).Wait", func(t *testing.T) (func(*actor.Tasklet), func()) {
		c := exec.Command(os.Args[0], "-test.run=^TestBlockingChild$")
		c.Env = append(os.Environ(), "BLOCKING_CHILD=wait")
		stdin, err := c.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, c.Start())
		return func(*actor.Tasklet) { _ = c.Wait() }, func() { stdin.Close() }
	}},
	{"a connection of package `net`", "net.(*conn).Read", func(t *testing.T) (func(*actor.Tasklet), func()) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		other, err := l.Accept()
		require.NoError(t, err)
		return func(*actor.Tasklet) { _, _ = c.Read(make([]byte, 1)) }, func() { other.Close() }
	}},
	{"`net/http`, `database/sql` and their like", "net/http.(*Client).Get", func(t *testing.T) (func(*actor.Tasklet), func()) {
		answer := make(chan int)
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-answer }))
		t.Cleanup(s.Close)
		return func(*actor.Tasklet) {
			if r, err := s.Client().Get(s.URL); err == nil {
				r.Body.Close()
			}
		}, func() { close(answer) }
	}},
	{"a blocking call with a foreign context, as `ref.Send(context.Background(), m)`", "actor.Ref[...].Send", func(t *testing.T) (func(*actor.Tasklet), func()) {
		full := actor.NewRef[int](actor.MailboxLen(1))
		require.NoError(t, full.TrySend(context.Background(), 1))
		ctx, cancel := context.WithCancel(context.Background())
		return func(*actor.Tasklet) { _ = full.Send(ctx, 2) }, cancel
	}},
	{"`fmt.Println` to a slow standard output", "fmt.Fprintln", func(t *testing.T) (func(*actor.Tasklet), func()) {
		r, w, err := os.Pipe() // of which nobody reads
		require.NoError(t, err)
		return func(*actor.Tasklet) {
			for range 100 {
				fmt.Fprintln(w, strings.Repeat("x", 4096))
			}
			w.Close()
		}, func() { go func() { _, _ = io.Copy(io.Discard, r); r.Close() }() }
	}},
	{"`t.Log()` to a slow sink", "zap.(*Logger).Info", func(t *testing.T) (func(*actor.Tasklet), func()) {
		sink := &slowSink{open: make(chan int)}
		log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), sink, zap.InfoLevel))
		return func(*actor.Tasklet) { log.Info("x") }, func() { close(sink.open) }
	}},
}

func channelReceive(c chan int)       { <-c }
func channelSend(c chan int)          { c <- 1 }
func contextDone(ctx context.Context) { <-ctx.Done() }

func compute(over *atomic.Bool) {
	for !over.Load() {
		runtime.Gosched()
	}
}

type slowSink struct{ open chan int }

func (s *slowSink) Write(p []byte) (int, error) { <-s.open; return len(p), nil }
func (s *slowSink) Sync() error                 { return nil }

// What the guide calls blocking holds up everybody, and is reported with who and where; the same in
// Await holds up nobody.
func TestBlockers(t *testing.T) {
	for _, b := range blockers {
		t.Run(b.frame, func(t *testing.T) {
			call, release := b.prepare(t)
			rounds, during := 0, 0
			var report actor.EventRecord
			stalled := 0
			watched(t, func(e actor.EventRecord) {
				if e.Path != "/shop/blocked" {
					return // a slow machine
				}
				if stalled++; stalled == 1 {
					report = e
					release()
				}
			}, func(t *actor.Tasklet) error {
				other := actor.Loop(t, func(*actor.Tasklet) error { rounds++; return nil })
				t.Yield()
				before := rounds
				blocked := actor.Go(t, func(t *actor.Tasklet) error {
					before = rounds
					call(t)
					during = rounds - before
					return nil
				}, actor.Name("blocked"))
				err := blocked.Join(t)
				other.Kill()
				return err
			})
			require.Zero(t, during, "the others ran")
			require.NotZero(t, rounds)
			require.Positive(t, stalled)
			require.Contains(t, report.Stack.String(), b.frame)
		})
		t.Run(b.frame+" in Await", func(t *testing.T) {
			call, release := b.prepare(t)
			watched(t, func(actor.EventRecord) {}, func(t *actor.Tasklet) error {
				rounds := 0
				other := actor.Loop(t, func(*actor.Tasklet) error {
					if rounds++; rounds == 10 {
						go release()
					}
					return nil
				})
				blocked := actor.Go(t, func(t *actor.Tasklet) error {
					_, err := actor.Await(t, func(context.Context) (struct{}, error) { call(nil); return struct{}{}, nil })
					return err
				}, actor.Name("blocked"))
				err := blocked.Join(t) // after ten rounds of the other
				other.Kill()
				return err
			})
		})
	}
}

// Go's tools have their likes in package scheduler: who waits there holds up nobody.
func TestSchedulerToolsPark(t *testing.T) {
	var (
		channel scheduler.Chan[int]
		mutex   scheduler.Mutex
		units   = scheduler.NewSemaphore(1)
		event   scheduler.Event
		group   scheduler.WaitGroup
	)
	for name, tool := range map[string]struct{ prepare, wait, release func(t *actor.Tasklet) error }{
		"Chan": {
			func(t *actor.Tasklet) error { return nil },
			func(t *actor.Tasklet) error { _, err := channel.Receive(t); return err },
			func(t *actor.Tasklet) error { return channel.Send(t, 1) },
		},
		"Mutex": {
			func(t *actor.Tasklet) error { return mutex.Lock(t) },
			func(t *actor.Tasklet) error { return mutex.Lock(t) },
			func(t *actor.Tasklet) error { mutex.Unlock(); return nil },
		},
		"Semaphore": {
			func(t *actor.Tasklet) error { return units.Acquire(t, 1) },
			func(t *actor.Tasklet) error { return units.Acquire(t, 1) },
			func(t *actor.Tasklet) error { units.Release(1); return nil },
		},
		"Event": {
			func(t *actor.Tasklet) error { return nil },
			func(t *actor.Tasklet) error { return event.Wait(t) },
			func(t *actor.Tasklet) error { event.Set(); return nil },
		},
		"WaitGroup": {
			func(t *actor.Tasklet) error { group.Add(1); return nil },
			func(t *actor.Tasklet) error { return group.Wait(t) },
			func(t *actor.Tasklet) error { group.Done(); return nil },
		},
		"Sleep": {
			func(t *actor.Tasklet) error { return nil },
			func(t *actor.Tasklet) error { t.Sleep(time.Millisecond); return nil },
			func(t *actor.Tasklet) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				require.NoError(t, tool.prepare(t0))
				waiting := actor.Go(t0, tool.wait)
				for range 10 {
					t0.Yield()
					require.False(t, waiting.HasFinished())
				}
				require.NoError(t, tool.release(t0))
				return waiting.Join(t0)
			})
		})
	}
}

// The sink of the guide never waits: what the writer can't take is dropped and counted.
func TestLogSinkThatNeverWaits(t *testing.T) {
	slow := &slowSink{open: make(chan int)}
	sink := &lines{queue: make(chan []byte, 10)}
	written := 0
	var over sync.WaitGroup
	over.Go(func() {
		for p := range sink.queue {
			_, _ = slow.Write(p)
			written++
		}
	})
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zapcore.EncoderConfig{}), sink, zap.InfoLevel))
	for range 100 {
		log.Info("x")
	}
	close(slow.open)
	close(sink.queue)
	over.Wait()
	require.Equal(t, int64(100), int64(written)+sink.dropped.Load())
	require.GreaterOrEqual(t, sink.dropped.Load(), int64(89), "ten wait, and one is being written")
}

// TestBlockingChild is the program that is waited for in TestBlockers, and the one that ends in
// TestLockOSThread.
func TestBlockingChild(t *testing.T) {
	switch os.Getenv("BLOCKING_CHILD") {
	case "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "lock":
		_ = actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
			for range 2 {
				actor.Go(t, func(t *actor.Tasklet) error {
					runtime.LockOSThread()
					defer runtime.UnlockOSThread()
					t.Sleep(time.Millisecond)
					return nil
				})
			}
			_, err := t.JoinChildren(t)
			return err
		})
	}
}

// A tasklet that parks with a locked thread ends the program; in Await a thread may be locked.
func TestLockOSThread(t *testing.T) {
	c := exec.Command(os.Args[0], "-test.run=^TestBlockingChild$")
	c.Env = append(os.Environ(), "BLOCKING_CHILD=lock")
	out, err := c.CombinedOutput()
	if checked {
		require.Contains(t, string(out), "blocks while its goroutine is locked to an OS thread")
	} else {
		require.Error(t, err)
		require.True(t, strings.Contains(string(out), "fatal error: coro: OS thread locking must match"), "%.300s", out)
	}

	run(t, func(t0 *actor.Tasklet) error {
		_, err := actor.Await(t0, func(context.Context) (int, error) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			return 0, nil
		})
		return err
	})
}

// A sync.Mutex that is held over a blocking point stops everybody for good: the next who locks it
// keeps the one who would unlock it from running. A scheduler.Mutex parks instead.
func TestMutexOverABlockingPoint(t *testing.T) {
	var mu sync.Mutex
	stalls := 0
	watched(t, func(e actor.EventRecord) {
		if strings.HasSuffix(e.Path, "/second") {
			stalls++
			mu.Unlock() // nobody else can
		}
	}, func(t *actor.Tasklet) error {
		first := actor.Go(t, func(t *actor.Tasklet) error {
			mu.Lock()
			t.Sleep(time.Millisecond) // others run, and lock it
			if mu.TryLock() {
				panic("it was unlocked, and the second has not locked it")
			}
			mu.Unlock()
			return nil
		}, actor.Name("first"))
		second := actor.Go(t, func(*actor.Tasklet) error { mu.Lock(); return nil }, actor.Name("second"))
		return errors.Join(second.Join(t), first.Join(t))
	})
	require.Equal(t, 1, stalls)
}

// The report in the guide is what this prints: without the id, addresses, lines and folders.
func TestStallReport(t *testing.T) {
	var out bytes.Buffer
	enc := zap.NewDevelopmentEncoderConfig()
	enc.TimeKey = ""
	logger := zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(enc), zapcore.Lock(zapcore.AddSync(&out)), zap.WarnLevel))
	var mu sync.Mutex // that of a library which is busy
	mu.Lock()
	cfg := actor.Config{Name: "shop", Logger: logger, OnEvent: func(e actor.EventRecord) {
		if e.Kind == event.Stall {
			mu.Unlock()
		}
	}}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		prices := actor.Receiver(t, func(t *actor.Tasklet, item string) error { return lookUp(&mu, item) }, actor.Name("prices"))
		if err := prices.Send(t, "tea"); err != nil {
			return err
		}
		prices.Close()
		return prices.Join(t)
	})
	require.NoError(t, err)
	report, _, _ := strings.Cut(out.String(), "\nWARN")
	report, stack, found := strings.Cut(report, `, "stack": "`)
	require.True(t, found)
	report = regexp.MustCompile(`"tasklet": "[^"]*", `).ReplaceAllString(report, "")
	stack = strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(stack)
	// on a slow machine more
	report = regexp.MustCompile(`"for_seconds": [0-9.]+`).ReplaceAllString(report, `"for_seconds": 0.1`) + "}\n"
	for _, m := range regexp.MustCompile(`(?m)^(\S+)\(\.\.\.\)\n\t\S*?([^/\s]+/[^/\s]+\.go):\d+ \+0x\w+$`).FindAllStringSubmatch(stack, -1) {
		if !strings.HasPrefix(m[1], "internal/") { // Go's own, which changes
			report += fmt.Sprintf("    %-63s %s\n", m[1], m[2])
		}
		if strings.HasSuffix(m[1], "(*runner).Run") {
			break // below are the scheduler and the runtime
		}
	}
	guide, err := os.ReadFile("../docs/blocking.md")
	require.NoError(t, err)
	_, block, _ := strings.Cut(string(guide), "```text\n")
	block, _, _ = strings.Cut(block, "```")
	require.Equal(t, block, report)
}

func lookUp(mu *sync.Mutex, item string) error {
	mu.Lock()
	defer mu.Unlock()
	return nil
}

// Each Go block of the guide is part of an example, each example is in it, and so is each kind of
// blocker.
func TestBlockingGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/blocking.md")
	require.NoError(t, err)
	source, err := os.ReadFile("blocking_example_test.go")
	require.NoError(t, err)
	squeeze := func(s string) string { // without indents
		return regexp.MustCompile(`(?m)^\s+`).ReplaceAllString(strings.TrimSpace(s), "")
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	for _, b := range blocks {
		require.Contains(t, squeeze(string(source)), squeeze(b[1]))
	}
	for _, name := range regexp.MustCompile(`(?m)^func Example_blocking\w+`).FindAllString(string(source), -1) {
		_, body, _ := strings.Cut(string(source), name+"() {")
		body, _, _ = strings.Cut(body, "\n}\n")
		require.True(t, slices.ContainsFunc(blocks, func(b []string) bool { return strings.Contains(squeeze(body), squeeze(b[1])) }), name)
	}
	for _, b := range blockers {
		require.Contains(t, string(guide), "| "+b.row+" |")
	}
}
