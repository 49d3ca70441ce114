package supervisor_test

import (
	"context"
	"fmt"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	engine "github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/supervisor"
)

// bench runs main as the root of a system whose log is off.
func bench(b *testing.B, main func(t *actor.Tasklet)) {
	b.Helper()
	b.ReportAllocs()
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop(), StallAfter: -1}, func(t *actor.Tasklet) error {
		b.ResetTimer()
		main(t)
		b.StopTimer()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkHop is what the others are compared with: one hand-over of an unbuffered channel between
// two goroutines.
func BenchmarkHop(b *testing.B) {
	there, back := make(chan int), make(chan int)
	go func() {
		for v := range there {
			back <- v
		}
		close(back)
	}()
	for i := range b.N {
		there <- i
		<-back
	}
	close(there)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/hop")
}

// BenchmarkRestart is a crash, the restart and the next message: budget 12 hops.
func BenchmarkRestart(b *testing.B) {
	for _, how := range []string{"error", "panic"} {
		b.Run(how, func(b *testing.B) {
			bench(b, func(t *actor.Tasklet) {
				ref := actor.NewRef[bool]()
				handled := 0
				body := actor.ReceiverBody(ref, func(_ *actor.Tasklet, crash bool) error {
					switch {
					case crash && how == "panic":
						panic(errCrash)
					case crash:
						return errCrash
					}
					handled++
					engine.TaskOf(t).Wake()
					return nil
				})
				_, err := supervisor.Start(t, supervisor.Spec{
					Intensity: 1 << 30, Period: time.Nanosecond, Children: []supervisor.Child{{ID: "a", Body: body}},
				})
				if err != nil {
					b.Error(err)
					return
				}
				b.ResetTimer()
				for i := range b.N {
					_ = ref.Send(t, true)
					_ = ref.Send(t, false)
					for handled <= i {
						t.Yield()
					}
				}
			})
		})
	}
}

// children are n receivers, each of its own.
func children(n int, refs []actor.Ref[bool]) []supervisor.Child {
	cs := make([]supervisor.Child, n)
	for i := range cs {
		refs[i] = actor.NewRef[bool]()
		cs[i] = supervisor.Child{ID: strconv.Itoa(i), Body: actor.ReceiverBody(refs[i], func(_ *actor.Tasklet, crash bool) error {
			if crash {
				return errCrash
			}
			return nil
		})}
	}
	return cs
}

// BenchmarkChildren does the same for each child of supervisors of different sizes: what one costs
// must not grow with the size by more than the caches explain.
func BenchmarkChildren(b *testing.B) {
	work := []struct {
		name     string
		strategy supervisor.Strategy
		do       func(t *actor.Tasklet, s *supervisor.Supervisor, refs []actor.Ref[bool])
	}{
		{"start", supervisor.OneForOne, nil},
		{"add", supervisor.OneForOne, func(t *actor.Tasklet, s *supervisor.Supervisor, refs []actor.Ref[bool]) {
			more := make([]actor.Ref[bool], len(refs))
			for i, c := range children(len(refs), more) {
				c.ID = "more" + strconv.Itoa(i)
				_, _ = s.StartChild(t, c)
			}
		}},
		{"crash_each", supervisor.OneForOne, func(t *actor.Tasklet, s *supervisor.Supervisor, refs []actor.Ref[bool]) {
			for _, r := range refs {
				_ = r.Send(t, true)
			}
			_, _ = s.Count(t)
		}},
		{"stop_restart_each", supervisor.OneForOne, func(t *actor.Tasklet, s *supervisor.Supervisor, refs []actor.Ref[bool]) {
			for i := range refs {
				_ = s.StopChild(t, strconv.Itoa(i))
			}
			for i := range refs {
				_, _ = s.RestartChild(t, strconv.Itoa(i*7919%len(refs))) // in another order
			}
		}},
		{"crash_one_for_all", supervisor.OneForAll, func(t *actor.Tasklet, s *supervisor.Supervisor, refs []actor.Ref[bool]) {
			_ = refs[len(refs)/2].Send(t, true)
			_, _ = s.Count(t)
		}},
		{"stop", supervisor.OneForOne, func(t *actor.Tasklet, s *supervisor.Supervisor, _ []actor.Ref[bool]) {
			s.Tasklet().Kill()
			_ = s.Tasklet().Join(t)
		}},
	}
	for _, w := range work {
		for _, n := range []int{1000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("%s/%d", w.name, n), func(b *testing.B) {
				bench(b, func(t *actor.Tasklet) {
					for range b.N {
						b.StopTimer()
						refs := make([]actor.Ref[bool], n)
						spec := supervisor.Spec{Strategy: w.strategy, Intensity: 1 << 30, Children: children(n, refs)}
						if w.do == nil {
							b.StartTimer()
						}
						s, err := supervisor.Start(t, spec)
						if err != nil {
							b.Error(err)
							return
						}
						if w.do != nil {
							b.StartTimer()
							w.do(t, s, refs)
						}
						b.StopTimer()
						s.Tasklet().Kill()
						_ = s.Tasklet().Join(t)
					}
				})
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/child")
			})
		}
	}
}

// BenchmarkStopMillion stops a tree of 1,000 supervisors with 1,000 idle receivers each: budget 0.5
// s.
func BenchmarkStopMillion(b *testing.B) {
	for _, shape := range []struct {
		name       string
		sups, each int
	}{{"1000x1000", 1000, 1000}, {"1x1000000", 1, 1_000_000}} {
		b.Run(shape.name, func(b *testing.B) {
			bench(b, func(t *actor.Tasklet) {
				for range b.N {
					b.StopTimer()
					top := supervisor.Spec{}
					for i := range shape.sups {
						top.Children = append(top.Children, supervisor.Child{
							ID:   strconv.Itoa(i),
							Body: supervisor.Body(supervisor.Spec{Children: children(shape.each, make([]actor.Ref[bool], shape.each))}),
						})
					}
					s, err := supervisor.Start(t, top)
					if err != nil {
						b.Error(err)
						return
					}
					t.Sleep(time.Millisecond)
					b.StartTimer()
					s.Tasklet().Kill()
					_ = s.Tasklet().Join(t)
				}
			})
		})
	}
}
