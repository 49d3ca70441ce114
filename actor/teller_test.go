package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// testCore is a core that does f for each entry.
type testCore struct {
	zapcore.LevelEnabler
	f func(zapcore.Entry, map[string]any)
}

func (c testCore) With([]zapcore.Field) zapcore.Core { return c }
func (c testCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}
func (c testCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	c.f(e, enc.Fields)
	return nil
}
func (c testCore) Sync() error { return nil }

// A sink that panics or ends its goroutine hits nobody: the other sink is told, once, and goes on,
// and so do all tasklets. In whatever event it happens, and on however many schedulers.
func TestSinksThatFail(t *testing.T) {
	ways := map[string]func(){
		"panic":       func() { panic("boom") },
		"Goexit":      runtime.Goexit,
		"bad panic":   func() { panic(&faultyValue{}) },
		"wrong panic": func() { panic(errors.New("scheduler: x")) },
	}
	for how, fails := range ways {
		for _, who := range []string{"hook", "log", "level"} {
			for _, kind := range []string{"system_start", "spawn", "kill", "exit", "dead_letter", "failure", "system_stop"} {
				for _, schedulers := range []int{1, 2} {
					if who == "level" && kind != "spawn" {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/%d", how, who, kind, schedulers), func(t *testing.T) {
						var mu sync.Mutex
						var hooked, logged []string
						failed := 0
						fail := func() { failed++; mu.Unlock(); defer mu.Lock(); fails() }
						core := testCore{zap.DebugLevel, func(_ zapcore.Entry, m map[string]any) {
							mu.Lock()
							defer mu.Unlock()
							logged = append(logged, m["event"].(string))
							if who == "log" && m["event"] == kind {
								fail()
							}
						}}
						if who == "level" {
							var asked atomic.Int32
							core.LevelEnabler = zap.LevelEnablerFunc(func(zapcore.Level) bool {
								if asked.Add(1) == 5 {
									mu.Lock()
									defer mu.Unlock()
									fail()
								}
								return true
							})
						}
						clock := scheduler.NewVirtualClock(time.Time{})
						cfg := actor.Config{Clock: clock, Schedulers: schedulers, Logger: zap.New(core), OnEvent: func(e actor.EventRecord) {
							mu.Lock()
							defer mu.Unlock()
							hooked = append(hooked, e.Kind.String())
							if who == "hook" && e.Kind.String() == kind {
								fail()
							}
						}}
						where := actor.OnScheduler(schedulers - 1)
						require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
							r := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
								if n == 0 {
									return errTest
								}
								t.Sleep(time.Hour)
								return nil
							}, where)
							for i := range 3 {
								_ = r.Send(t0, i)
							}
							t0.Sleep(time.Millisecond)
							r.Kill()
							_ = r.Join(t0)
							n, err := actor.Call(t0, actor.Receiver(t0, answer, where), askOne)
							require.NoError(t, err)
							require.Equal(t, 1, n)
							return nil
						}))
						require.Equal(t, 1, failed, "it is not called again")
						other, report := logged, "hook_panic"
						if who != "hook" {
							other, report = hooked, "log_panic"
						}
						require.Equal(t, 1, countOf(other, report), other)
						require.Equal(t, 1, countOf(other, "system_stop"), other)
					})
				}
			}
		}
	}
}

type faultyValue struct{}

func (*faultyValue) Error() string  { panic("its text panics") }
func (*faultyValue) String() string { panic("its text panics") }

func countOf(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// A sink that does not return is passed over: the other one is told, tasklets go on, and Run
// returns. When it is back, it is called again, and what it missed is counted.
func TestSinksThatBlock(t *testing.T) {
	for _, who := range []string{"hook", "log"} {
		for _, schedulers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", who, schedulers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					goOn := make(chan struct{})
					var mu sync.Mutex
					var told [2][]string
					blocked := false
					tell := func(i int, kind string, blocks bool) {
						mu.Lock()
						told[i] = append(told[i], kind)
						stop := blocks && kind == "failure" && !blocked
						blocked = blocked || stop
						mu.Unlock()
						if stop {
							<-goOn
						}
					}
					cfg := actor.Config{
						Schedulers: schedulers, StallAfter: -1,
						Logger: zap.New(testCore{zap.DebugLevel, func(_ zapcore.Entry, m map[string]any) {
							tell(0, m["event"].(string), who == "log")
						}}),
						OnEvent: func(e actor.EventRecord) { tell(1, e.Kind.String(), who == "hook") },
					}
					begin := time.Now()
					run := func(t0 *actor.Tasklet) error {
						r := actor.Receiver(t0, func(*actor.Tasklet, int) error { return errTest }, actor.OnScheduler(schedulers-1))
						_ = r.Send(t0, 1)
						r.Close()
						_ = r.Join(t0)
						n, err := actor.Call(t0, actor.Receiver(t0, answer), askOne)
						require.NoError(t, err)
						require.Equal(t, 1, n)
						return nil
					}
					require.NoError(t, actor.Run(context.Background(), cfg, run))
					require.Less(t, time.Since(begin), 5*time.Second)
					bad, good, stall := 0, 1, "log_stall"
					if who == "hook" {
						bad, good, stall = 1, 0, "hook_stall"
					}
					mu.Lock()
					require.Equal(t, 1, countOf(told[good], stall), told[good])
					require.Equal(t, 1, countOf(told[good], "system_stop"))
					require.Equal(t, "failure", told[bad][len(told[bad])-1], "it is not called while it does not return")
					mu.Unlock()
					close(goOn)
					time.Sleep(time.Second)
					mu.Lock()
					defer mu.Unlock()
					require.Equal(t, "events_dropped", told[bad][len(told[bad])-1], "it is called again")
					require.Equal(t, "events_dropped", told[good][len(told[good])-1])
				})
			})
		}
	}
}

// The time in which the whole process did not run does not count as time of a sink.
func TestSinkOfAStoppedProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		var written []string
		sys, err := actor.Start(actor.Config{StallAfter: -1, Logger: zap.New(testCore{
			zap.DebugLevel, func(_ zapcore.Entry, m map[string]any) {
				written = append(written, m["event"].(string))
				if m["event"] == "close" {
					<-goOn
				}
			}})})
		require.NoError(t, err)
		over := make(chan struct{})
		go func() {
			defer close(over)
			sys.Emit(actor.EventRecord{Kind: event.Close, Tasklet: sys.Root()})
		}()
		synctest.Wait()
		actor.AgeCalls(sys, time.Hour)
		time.Sleep(600 * time.Millisecond) // the process runs again
		select {
		case <-over:
			t.Fatal("the caller does not wait")
		default:
		}
		close(goOn)
		<-over
		require.NoError(t, sys.Stop(context.Background()))
		require.NotContains(t, written, "log_stall")
		require.NotContains(t, written, "events_dropped")
		require.Contains(t, written, "system_stop")
	})
}

// OnEvent can't park a tasklet: that is refused, with the name of the tasklet and of OnEvent, and
// OnEvent is called on. No kill is swallowed.
func TestOnEventThatParks(t *testing.T) {
	for name, park := range map[string]func(*actor.Tasklet){
		"Sleep": func(t *actor.Tasklet) { t.Sleep(time.Hour) },
		"Yield": func(t *actor.Tasklet) { t.Yield() },
		"Join":  func(t *actor.Tasklet) { _ = actor.Go(t.System(), nop).Join(t) },
		"Await": func(t *actor.Tasklet) {
			_, _ = actor.Await(t, func(context.Context) (int, error) { return 0, nil })
		},
		"Call": func(t *actor.Tasklet) { _, _ = actor.Call(t, actor.Receiver(t.System(), answer), askOne) },
	} {
		for _, schedulers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", name, schedulers), func(t *testing.T) {
				var mu sync.Mutex
				var problems, kinds []string
				cfg := actor.Config{Schedulers: schedulers, Logger: zap.NewNop(), OnEvent: func(e actor.EventRecord) {
					mu.Lock()
					kinds = append(kinds, e.Kind.String())
					if e.Kind == event.HookPanic {
						problems = append(problems, e.Err.Error())
					}
					mu.Unlock()
					if e.Kind == event.Failure {
						park(e.Tasklet)
					}
				}}
				require.NoError(t, actor.Run(context.Background(), cfg, func(t0 *actor.Tasklet) error {
					a := actor.Receiver(t0, func(t *actor.Tasklet, n int) error {
						if n == 1 {
							return errTest
						}
						t.Sleep(time.Hour)
						return nil
					}, actor.Name("a"), actor.OnScheduler(schedulers-1))
					_ = a.Send(t0, 1)
					_ = a.Send(t0, 2)
					t0.Sleep(time.Millisecond)
					a.Kill()
					var j *actor.JoinError
					require.ErrorAs(t, a.Tasklet().Join(t0), &j)
					require.Equal(t, actor.ErrKilled, j.Cause)
					return nil
				}))
				require.Len(t, problems, 1)
				require.Contains(t, problems[0], "/tasklet/a blocks in Config.OnEvent")
				require.True(t, slices.Contains(kinds, "kill") && slices.Contains(kinds, "system_stop"), kinds)
			})
		}
	}
}

// A scheduler that makes more events than the log takes is held up; another one, that makes few,
// goes on; the queue stays small, and Run returns soon.
func TestSlowSinkHoldsUpTheFlooderOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written atomic.Int64
		slow := testCore{zap.DebugLevel, func(zapcore.Entry, map[string]any) { written.Add(1); time.Sleep(time.Millisecond) }}
		var made, ticks int
		var emitted int64
		cfg := actor.Config{Schedulers: 2, Logger: zap.New(slow), StallAfter: -1}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		begin := time.Now()
		_ = actor.Run(ctx, cfg, func(t0 *actor.Tasklet) error {
			actor.Go(t0, func(t *actor.Tasklet) error {
				for {
					t.Sleep(10 * time.Millisecond)
					ticks++
					actor.Go(t, nop)
				}
			})
			actor.Go(t0, func(t *actor.Tasklet) error {
				for {
					for range 5 {
						actor.Go(t, nop)
						made++
					}
					t.Sleep(time.Millisecond)
				}
			}, actor.OnScheduler(1))
			t0.Sleep(4 * time.Second)
			emitted = written.Load()
			t0.Sleep(time.Hour)
			return nil
		})
		require.Greater(t, ticks, 300, "the other scheduler goes on")
		require.InDelta(t, written.Load(), 2*(made+ticks), 20, "every event is written")
		require.Greater(t, emitted, int64(3000))
		require.Less(t, time.Since(begin), 6*time.Second, "Run returns soon")
	})
}

// When a system ends and its log is far behind, Run does not wait for all that is in the queue.
func TestEndWithAQueueOfEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dropped atomic.Int64
		slow := testCore{zap.DebugLevel, func(_ zapcore.Entry, m map[string]any) {
			if m["event"] == "events_dropped" {
				dropped.Store(m["count"].(int64))
			}
			time.Sleep(900 * time.Millisecond)
		}}
		cfg := actor.Config{Schedulers: 2, Logger: zap.New(slow), StallAfter: -1}
		sys, err := actor.Start(cfg)
		require.NoError(t, err)
		for range 40 {
			go sys.Emit(actor.EventRecord{Kind: event.Close, Tasklet: sys.Root()})
		}
		synctest.Wait()
		begin := time.Now()
		require.NoError(t, sys.Stop(context.Background()))
		require.Less(t, time.Since(begin), 5*time.Second)
		require.Greater(t, dropped.Load(), int64(10))
	})
}

func answer(t *actor.Tasklet, r actor.Reply[int]) error { return r.Send(t, 1) }
func askOne(r actor.Reply[int]) actor.Reply[int]        { return r }
