package actor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

var rewrite = flag.Bool("rewrite", false, "write the files in testdata anew; commit only what you understand")

// golden compares got with a file in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	want, have := strings.Split(string(text), "\n"), strings.Split(got, "\n")
	for i := range max(len(want), len(have)) {
		var w, h string
		if i < len(want) {
			w = want[i]
		}
		if i < len(have) {
			h = have[i]
		}
		require.Equal(t, w, h, "line %d of %s; if it is meant, run with -rewrite", i+1, file)
	}
}

// record is run that gives all events.
func record(t *testing.T, main func(t *actor.Tasklet) error) (es []actor.EventRecord) {
	t.Helper()
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(),
		OnEvent: func(e actor.EventRecord) { es = append(es, e) },
	}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
	return es
}

// only gives those of one kind.
func only(es []actor.EventRecord, kind event.Kind) (some []actor.EventRecord) {
	for _, e := range es {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}

// fieldsOf gives what the event adds to its entry.
func fieldsOf(e actor.EventRecord) map[string]any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range e.Fields {
		f.AddTo(enc)
	}
	return enc.Fields
}

// secret is a message whose contents must not be in any log.
type secret struct {
	text  string
	reply actor.Reply[int]
}

const hidden = "the secret"

// everything makes each kind of event happen that a virtual clock allows.
func everything(t0 *actor.Tasklet) error {
	pause := func() { t0.Sleep(2 * time.Second) } // over the window of the limits
	msg := secret{text: hidden}
	fail := func(_ *actor.Tasklet, _ secret) error { return errTest }

	// failure, resumed; then close and a normal exit
	r := actor.Receiver(t0, fail, actor.Name("resumes"))
	_ = r.Send(t0, msg)
	_ = drain(t0, r)
	// message_lost and an exit with an error, dead_letter for the one behind
	r = actor.Receiver(t0, fail, actor.Name("stops"), actor.OnFailure(actor.End))
	_ = r.Send(t0, msg)
	_ = r.Send(t0, msg)
	_ = r.Join(t0)
	pause()
	// a panic
	k := actor.Go(t0, func(*actor.Tasklet) error { panic("oh") }, actor.Name("panics"))
	_ = k.Join(t0)
	// shutdown
	k = actor.Go(t0, func(*actor.Tasklet) error { return actor.ErrShutdown }, actor.Name("shutdown"))
	_ = k.Join(t0)
	// escalate
	k = actor.Go(t0, func(t *actor.Tasklet) error {
		actor.Go(t, func(*actor.Tasklet) error { return errTest }, actor.OnFailure(actor.Escalate), actor.Name("child"))
		t.Sleep(time.Hour)
		return nil
	}, actor.Name("parent"))
	_ = k.Join(t0)
	// overflow and dead_letter
	full := actor.NewRef[secret](actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest), actor.Name("full"))
	_ = full.Send(t0, msg)
	_ = full.Send(t0, msg)
	pause()
	// kill, kill_recovered, kill again, exit
	k = actor.Go(t0, func(t *actor.Tasklet) error {
		func() { defer func() { recover() }(); t.Sleep(time.Hour) }()
		t.Sleep(time.Hour)
		return nil
	}, actor.Name("recovers"))
	t0.Yield()
	k.Kill()
	t0.Sleep(time.Second)
	k.Kill()
	_ = k.Join(t0)
	// deadlock, firm and soft
	k = actor.Go(t0, func(t *actor.Tasklet) error { return t.Join(t) }, actor.Name("self"))
	_ = k.Join(t0)
	k = actor.Go(t0, func(t *actor.Tasklet) error {
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		return t.Join(ctx)
	}, actor.Name("soft"))
	_ = k.Join(t0)
	// call_timeout, reply_late
	var late secret
	r = actor.Receiver(t0, func(t *actor.Tasklet, m secret) error {
		if late = m; m.text == hidden {
			m.reply.Delegate(t)
			return nil
		}
		return nil
	}, actor.Name("late"))
	ctx, cancel := actor.WithTimeout(t0, time.Second)
	defer cancel()
	_, _ = actor.Call(ctx, r, func(r actor.Reply[int]) secret { return secret{hidden, r} })
	_ = late.reply.Send(t0, 1)
	// ticks_missed
	k = actor.Rate(t0, 1, func(t *actor.Tasklet, _ time.Time) error { t.Sleep(3500 * time.Millisecond); return nil }, actor.Name("slow"))
	t0.Sleep(10 * time.Second)
	k.Kill()
	_ = k.Join(t0)
	// stop_timeout, after as many kills as it takes
	actor.Go(t0, func(t *actor.Tasklet) error {
		for {
			func() { defer func() { recover() }(); t.Sleep(time.Hour) }()
		}
	}, actor.Name("stubborn"))
	actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Daemon(), actor.Name("daemon"))
	t0.Yield()
	return nil
}

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// Rule 38: the log of every kind of event, as JSON: the keys event, system, tasklet, path, kind,
// message; the level; the time of the system's clock. Never what is in a message.
func TestRule38GoldenLog(t *testing.T) {
	var log bytes.Buffer
	enc := zap.NewProductionEncoderConfig()
	enc.TimeKey, enc.EncodeTime = "time", zapcore.ISO8601TimeEncoder
	core := zapcore.NewCore(zapcore.NewJSONEncoder(enc), zapcore.Lock(zapcore.AddSync(&log)), zap.DebugLevel)
	var es []actor.EventRecord
	cfg := actor.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core), Name: "shop",
		OnEvent: func(e actor.EventRecord) { es = append(es, e) },
	}
	err := actor.Run(context.Background(), cfg, everything)
	var se *actor.StopError
	require.True(t, errors.As(err, &se))
	require.NotContains(t, log.String(), hidden)

	var out strings.Builder
	for line := range strings.Lines(log.String()) {
		var entry map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		require.Equal(t, "shop", entry["system"])
		require.NotEmpty(t, entry["event"])
		require.NotEmpty(t, entry["path"], line)
		if entry["path"] != "full" { // a ref that has no tasklet
			require.NotEmpty(t, entry["tasklet"], line)
			require.NotEmpty(t, entry["kind"], line)
		}
		if stack, ok := entry["stack"].(string); ok {
			require.Contains(t, stack, "event_test.go")
			line = strings.Replace(line, string(must(json.Marshal(stack))), `"..."`, 1)
		}
		out.WriteString(uuids.ReplaceAllString(line, "ID"))
	}
	golden(t, "events.txt", out.String())

	// The hook has seen all, in order; the log all but what a limit held back.
	seen := map[event.Kind]bool{}
	for i, e := range es {
		require.Equal(t, uint64(i+1), e.Seq)
		if i > 0 {
			require.False(t, e.Time.Before(es[i-1].Time))
		}
		seen[e.Kind] = true
	}
	for k := event.Kind(1); k.String() != "unknown"; k++ {
		switch k {
		case event.Stall, event.StallOver, event.Leak, // have tests of their own
			event.NotRestarted, // in package supervisor
			event.Crash, event.HookPanic, event.HookStall, event.LogPanic, event.LogStall, event.EventsDropped:
		default:
			require.True(t, seen[k], k)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A stall is told of by the watchdog, with the stack of who keeps the scheduler, and its end too.
func TestStallEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var es []actor.EventRecord
		cfg := actor.Config{Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
			mu.Lock()
			defer mu.Unlock()
			es = append(es, e)
		}}
		require.NoError(t, actor.Run(t.Context(), cfg, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, hog, actor.Name("hog"))
			return k.Join(t0)
		}))
		stalls, overs := only(es, event.Stall), only(es, event.StallOver)
		require.Len(t, stalls, 1)
		require.Len(t, overs, 1)
		require.Equal(t, "/tasklet/hog", stalls[0].Path)
		require.Equal(t, "/tasklet/hog", overs[0].Path)
		require.Contains(t, stalls[0].Stack.String(), "actor_test.hog")
		require.Equal(t, 100*time.Millisecond, fieldsOf(stalls[0])["for"])
	})
}

// hog keeps its scheduler for a second, as a call would that can't park.
func hog(*actor.Tasklet) error { time.Sleep(time.Second); return nil }

// observe is run whose log is looked at.
func observe(t *testing.T, level zapcore.Level, main func(t *actor.Tasklet) error) *observer.ObservedLogs {
	t.Helper()
	core, logs := observer.New(level)
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.New(core)}
	require.NoError(t, actor.Run(context.Background(), cfg, main))
	return logs
}

// keysOf gives the keys of entries, with their levels.
func keysOf(logs *observer.ObservedLogs) (keys []string) {
	for _, e := range logs.All() {
		keys = append(keys, fmt.Sprint(e.Level, " ", e.ContextMap()["event"]))
	}
	return keys
}

// The levels of exits; a logger without debug sees no spawn and no normal exit.
func TestEventLevels(t *testing.T) {
	main := func(t0 *actor.Tasklet) error {
		for _, f := range []func(*actor.Tasklet) error{
			nop,
			func(*actor.Tasklet) error { return actor.ErrShutdown },
			func(*actor.Tasklet) error { return errTest },
			func(*actor.Tasklet) error { panic("oh") },
			func(t *actor.Tasklet) error { t.Kill(); t.Yield(); return nil },
		} {
			_ = actor.Go(t0, f).Join(t0)
		}
		actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		return nil
	}
	require.Equal(t, []string{
		"info system_start",
		"debug spawn", "debug exit",
		"debug spawn", "debug exit",
		"debug spawn", "warn exit",
		"debug spawn", "error exit",
		"debug spawn", "debug kill", "info exit",
		"debug spawn", "debug kill", "debug exit", // stopped with its parent
		"debug exit",
		"info system_stop",
	}, keysOf(observe(t, zap.DebugLevel, main)))
	require.Equal(t, []string{"info system_start", "warn exit", "error exit", "info exit", "info system_stop"},
		keysOf(observe(t, zap.InfoLevel, main)))
	require.Equal(t, []string{"warn exit", "error exit"}, keysOf(observe(t, zap.WarnLevel, main)))
}

// Of a flood the first entry is written at once, and then one a second, which tells how many others
// there were; what is held back at the end is written before the entry that the system has stopped.
func TestEventRateLimits(t *testing.T) {
	logs := observe(t, zap.InfoLevel, func(t0 *actor.Tasklet) error {
		full := actor.NewRef[int](actor.MailboxLen(1), actor.Overflow(mailbox.DropNewest), actor.Name("full"))
		for range 11 { // one is kept, ten are dropped
			_ = full.Send(t0, 1)
		}
		t0.Sleep(time.Second)
		for range 5 {
			_ = full.Send(t0, 1)
		}
		return nil
	})
	var got []string
	for _, e := range logs.All() {
		m := e.ContextMap()
		got = append(got, fmt.Sprint(e.Time.Second(), "s ", m["event"], " ", m["suppressed"], " ", m["suppressed_messages"]))
	}
	require.Equal(t, []string{
		"0s system_start <nil> <nil>",
		"0s overflow <nil> <nil>", "0s dead_letter <nil> <nil>",
		"1s overflow 8 8", "1s dead_letter 8 8", // the last of the nine that were held back
		"1s overflow 4 4", "1s dead_letter 4 4",
		"1s system_stop <nil> <nil>",
	}, got)
}

// Rule 38: a panic of OnEvent is reported once, and switches it off; nobody else is hurt, also when
// others emit at the same time.
func TestRule38OnEventPanics(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	calls := 0
	s, err := actor.Start(actor.Config{Logger: zap.New(core), OnEvent: func(e actor.EventRecord) {
		if calls++; e.Kind == event.Spawn {
			panic(errTest)
		}
	}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if err := actor.Go(s, nop).Join(context.Background()); err != nil {
					panic(err)
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(context.Background()))
	require.Equal(t, []string{"error hook_panic"}, keysOf(logs))
	require.Equal(t, 2, calls)
}

// Rule 38: OnEvent is called one at a time, in order, without gaps, whoever emits. It may kill and
// close, which are events too.
func TestRule38OnEventInOrder(t *testing.T) {
	var busy sync.Mutex
	var seqs []uint64
	var killed sync.Map
	s, err := actor.Start(actor.Config{Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
		if !busy.TryLock() {
			panic("two at a time")
		}
		defer busy.Unlock()
		seqs = append(seqs, e.Seq)
		if e.Kind == event.Spawn {
			killed.Store(e.Tasklet, true)
			e.Tasklet.Kill()
		}
	}})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				k := actor.Go(s, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
				if err := k.Join(context.Background()); !errors.Is(err, actor.ErrKilled) {
					panic(err)
				}
				ref := actor.Receiver(s, func(*actor.Tasklet, int) error { return nil })
				ref.Close()
				_ = ref.Join(context.Background())
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Stop(context.Background()))
	for i, seq := range seqs {
		require.Equal(t, uint64(i+1), seq)
	}
	require.Greater(t, len(seqs), 8*20*4)
}

// A tasklet that returns the error of another's end has failed, whatever the other has done.
func TestEndOfWhoReturnsAnothersEnd(t *testing.T) {
	logs := observe(t, zap.InfoLevel, func(t0 *actor.Tasklet) error {
		join := func(name string, other *actor.Tasklet) {
			k := actor.Go(t0, func(t *actor.Tasklet) error { return other.Join(t) }, actor.Name(name))
			_ = k.Join(t0)
		}
		join("a", actor.Go(t0, func(*actor.Tasklet) error { panic("oh") }, actor.Name("panics")))
		victim := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("victim"))
		victim.Kill()
		join("b", victim)
		return nil
	})
	var texts []string
	for _, e := range logs.All() {
		if strings.HasPrefix(e.Message, "/") {
			texts = append(texts, e.Message)
		}
	}
	require.Equal(t, []string{"/tasklet/panics panicked", "/tasklet/a failed", "/tasklet/victim was killed", "/tasklet/b failed"}, texts)
}

// System.Emit puts events of others into the same order, with a kind of their own.
func TestEmitAndRegister(t *testing.T) {
	es := record(t, func(t0 *actor.Tasklet) error {
		t0.System().Emit(actor.EventRecord{Kind: ownEvent, Tasklet: t0, Fields: []zap.Field{zap.Int("n", 1)}})
		t0.System().Emit(actor.EventRecord{Kind: ownEvent})
		return nil
	})
	es = only(es, ownEvent)
	require.Len(t, es, 2)
	require.Equal(t, "own_event", es[0].Kind.String())
	require.Equal(t, "/tasklet", es[0].Path)
	require.Empty(t, es[1].Path)
	require.Equal(t, es[0].Seq+1, es[1].Seq)
	require.Equal(t, "unknown", event.Kind(200).String())
	logs := observe(t, zap.ErrorLevel, func(t0 *actor.Tasklet) error {
		require.True(t, extension.Wants(t0.System(), ownEvent))
		require.False(t, extension.Wants(t0.System(), event.Spawn))
		t0.System().Emit(actor.EventRecord{Kind: ownEvent, Tasklet: t0})
		return nil
	})
	require.Equal(t, []string{"error own_event"}, keysOf(logs))
	require.Equal(t, "/tasklet: own_event", logs.All()[0].Message)
}

var ownEvent = event.New("own_event", zap.ErrorLevel)

// t.Log has the tasklet's fields, and the time of the system's clock.
func TestLogOfATasklet(t *testing.T) {
	logs := observe(t, zap.InfoLevel, func(t0 *actor.Tasklet) error {
		t0.Sleep(90 * time.Second)
		t0.Log().Warn("hello", zap.Int("n", 1))
		return nil
	})
	e := logs.FilterMessage("hello").All()[0]
	require.Equal(t, time.Date(2000, 1, 1, 0, 1, 30, 0, time.UTC), e.Time)
	m := e.ContextMap()
	require.Equal(t, "/tasklet", m["path"])
	require.Equal(t, "tasklet", m["system"])
	require.Regexp(t, uuids, m["tasklet"])
	require.Equal(t, int64(1), m["n"])
}

// Without a logger, warnings and errors go to standard error as text.
func TestDefaultLogger(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	old := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = old }()
	err = actor.Run(context.Background(), actor.Config{Clock: scheduler.NewVirtualClock(time.Time{})}, func(t0 *actor.Tasklet) error {
		_ = actor.Go(t0, func(*actor.Tasklet) error { return errTest }, actor.Name("x")).Join(t0)
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, w.Close())
	var out bytes.Buffer
	_, err = out.ReadFrom(r)
	require.NoError(t, err)
	require.Regexp(t, `^2000-01-01T00:00:00.000Z\tWARN\t/tasklet/x failed\t\{"system": "tasklet", "event": "exit", .*"error": "test"\}\n$`, out.String())
}

// What nobody wants to see costs nothing.
func TestEventsOffAllocateNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	run(t, func(t0 *actor.Tasklet) error {
		s := t0.System()
		e := actor.EventRecord{Kind: event.Failure, Tasklet: t0, Err: errTest}
		require.Zero(t, testing.AllocsPerRun(100, func() { s.Emit(e) }))
		runtime.KeepAlive(e)
		return nil
	})
}

// The first and the last event of a system are those of the system itself.
func TestEventsOfASystem(t *testing.T) {
	var kinds []event.Kind
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) { kinds = append(kinds, e.Kind) }}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
		return actor.Go(t0, func(*actor.Tasklet) error { return nil }).Join(t0)
	}))
	require.Equal(t, event.SystemStart, kinds[0])
	require.Equal(t, event.SystemStop, kinds[len(kinds)-1])
}
