package tree_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// describes is a Supervisor that is its Describe method.
type describes func(add func(tree.Child)) tree.Supervision

func (d describes) Describe(add func(tree.Child)) tree.Supervision { return d(add) }

// described starts a tasklet with two children, a and b, that is registered with what s returns for
// it, and returns it when all three wait.
func described(t *actor.Tasklet, s func(me *actor.Tasklet) tree.Supervisor) *actor.Tasklet {
	top := actor.Go(t, func(t *actor.Tasklet) error {
		tree.Register(t, s(t))
		for _, name := range []string{"a", "b"} {
			actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name(name))
		}
		t.Sleep(time.Hour)
		return nil
	}, actor.Name("top"))
	t.Sleep(time.Millisecond)
	return top
}

// A child of a program's own supervisor has the same row as one of package supervisor's, in each
// state that it goes through.
func TestOtherSupervisorsLookTheSame(t *testing.T) {
	runWith(t, actor.Config{Name: "app"}, func(t0 *actor.Tasklet) {
		starts := 0
		feed := func() actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error {
				starts++
				t.Sleep(20 * time.Second)
				if starts > 4 {
					return nil
				}
				return errors.New("connection refused")
			})
		}
		k := &keeper{job: feed(), pause: 30 * time.Second, child: tree.Child{ID: "feed"}}
		other := actor.Go(t0, k.run, actor.Name("keeper"))
		ours := start(t0, supervisor.Spec{
			Name: "keeper2", Intensity: supervisor.Unlimited, Backoff: supervisor.Backoff{Min: 30 * time.Second, Max: 30 * time.Second},
			Children: []supervisor.Child{{ID: "feed", Body: feed()}},
		}).Tasklet()
		seen := map[string]bool{}
		for range 40 {
			t0.Sleep(7300 * time.Millisecond)
			want := strings.Split(text(ours), "\n")[2]
			want = regexp.MustCompile(" +").ReplaceAllString(want, " ")
			got := regexp.MustCompile(" +").ReplaceAllString(strings.Split(text(other), "\n")[2], " ")
			require.Equal(t, want, got)
			seen[regexp.MustCompile("[0-9.ms]+").ReplaceAllString(want, "")] = true

			a, b := tree.Snapshot(ours), tree.Snapshot(other)
			require.Equal(t, a[0].Supervision.Total, b[0].Supervision.Total)
			require.Equal(t, a[0].Supervision.Up, b[0].Supervision.Up)
			require.Equal(t, 1, b[0].Supervision.Children)
			require.Equal(t, a[1].Restarts, b[1].Restarts)
			require.Equal(t, a[1].State, b[1].State)
			require.Equal(t, a[1].Until, b[1].Until)
			require.Equal(t, a[1].LastAgo, b[1].LastAgo)
		}
		require.Greater(t, len(seen), 3, "%v", seen)
	})
}

// A supervisor that fails in Describe, blocks there or ends its goroutine costs its own row some of
// its words. The rest of the tree is as ever, in each way of showing it.
func TestDescribeFails(t *testing.T) {
	defer tree.LimitCalls(100 * time.Millisecond)()
	block := make(chan struct{})
	var me *actor.Tasklet
	for name, c := range map[string]struct {
		describe describes
		fault    string
	}{
		"panic": {func(func(tree.Child)) tree.Supervision { panic("slipped\n└─ forged") }, `panicked: slipped\n└─ forged`},
		"late": {func(add func(tree.Child)) tree.Supervision {
			add(tree.Child{ID: "x"})
			_ = []int{}[len("x")]
			return tree.Supervision{}
		}, "panicked: runtime error: index out of range [1] with length 0"},
		"Goexit":    {func(func(tree.Child)) tree.Supervision { runtime.Goexit(); panic("gone") }, "called runtime.Goexit"},
		"parks":     {func(func(tree.Child)) tree.Supervision { me.Sleep(time.Hour); return tree.Supervision{} }, "panicked: "},
		"blocks":    {func(func(tree.Child)) tree.Supervision { <-block; return tree.Supervision{} }, "has not returned in 100ms"},
		"never nil": {(*nilSupervisor)(nil).Describe, "panicked: runtime error: invalid memory address"},
		"zero task": {func(add func(tree.Child)) tree.Supervision {
			add(tree.Child{Tasklet: new(actor.Tasklet)})
			return tree.Supervision{}
		}, "panicked: runtime error"},
		"endless": {func(add func(tree.Child)) tree.Supervision {
			for {
				select {
				case <-block:
					return tree.Supervision{}
				default:
					add(tree.Child{ID: "x"})
				}
			}
		}, "has not returned in 100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			runWith(t, actor.Config{Name: "app"}, func(t0 *actor.Tasklet) {
				top := described(t0, func(t *actor.Tasklet) tree.Supervisor { me = t; return c.describe })
				out := text(top)
				require.Contains(t, out, "Describe "+strings.ReplaceAll(c.fault, "└─", `\u2514\u2500`))
				require.Regexp(t, `(?m)^├─ a +task +sleeping`, out)
				require.Regexp(t, `(?m)^└─ b +task +sleeping`, out)
				require.Len(t, strings.Split(out, "\n"), 5)
				_, jsons, _, js := loggers()
				tree.Log(jsons, top)
				require.Contains(t, js.String(), `"fault":"`)
				require.Contains(t, js.String(), `/a"`)
				rows := tree.Snapshot(t0)
				require.Len(t, rows, 4)
				require.NotEmpty(t, rows[1].Fault)
				require.Nil(t, rows[1].Supervision)
			})
		})
	}
	close(block)
}

type nilSupervisor struct{ strategy string }

func (n *nilSupervisor) Describe(func(tree.Child)) tree.Supervision {
	return tree.Supervision{Strategy: n.strategy}
}

// While a call of Describe has not returned there is no second one, so nothing piles up; when it
// has returned, the supervisor is asked again.
func TestDescribeBlocksOnce(t *testing.T) {
	defer tree.LimitCalls(100 * time.Millisecond)()
	var mu sync.Mutex
	calls := 0
	release := make(chan struct{})
	runWith(t, actor.Config{}, func(t0 *actor.Tasklet) {
		top := described(t0, func(*actor.Tasklet) tree.Supervisor {
			return describes(func(func(tree.Child)) tree.Supervision {
				mu.Lock()
				calls++
				first := calls == 1
				mu.Unlock()
				if first {
					<-release
				}
				return tree.Supervision{Strategy: "mine"}
			})
		})
		require.Contains(t, tree.Snapshot(top)[0].Fault, "has not returned in")
		for range 10 {
			require.Equal(t, "has not returned from an earlier call", tree.Snapshot(top)[0].Fault)
		}
		mu.Lock()
		require.Equal(t, 1, calls)
		mu.Unlock()
		close(release)
		row := tree.Snapshot(top)[0]
		for ; row.Fault != ""; row = tree.Snapshot(top)[0] {
			runtime.Gosched()
		}
		require.Equal(t, "mine", row.Supervision.Strategy)
	})
}

// However many supervisors block, a look takes little more than a second.
func TestManyBlock(t *testing.T) {
	defer tree.LimitCalls(100 * time.Millisecond)()
	release := make(chan struct{})
	runWith(t, actor.Config{}, func(t0 *actor.Tasklet) {
		for range 100 {
			described(t0, func(*actor.Tasklet) tree.Supervisor {
				return describes(func(func(tree.Child)) tree.Supervision { <-release; return tree.Supervision{} })
			})
		}
		begin := time.Now()
		require.Len(t, tree.Snapshot(t0), 301)
		require.Less(t, time.Since(begin), 5*time.Second)
		close(release)
	})
}

// What Describe says is checked: no tasklet is shown where it is not, none twice, and none is
// missing; numbers make sense, and texts are cells.
func TestDescribeLies(t *testing.T) {
	runWith(t, actor.Config{Name: "app"}, func(t0 *actor.Tasklet) {
		stranger := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, actor.Name("stranger"))
		for name, c := range map[string]struct {
			describe func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision
			names    string
			fault    string
		}{
			"nothing": {func(*actor.Tasklet, func(tree.Child)) tree.Supervision { return tree.Supervision{} }, "top a b", ""},
			"strangers": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				for _, k := range []*actor.Tasklet{stranger, me, t0} {
					add(tree.Child{ID: "x", Tasklet: k, Last: actor.Exit{Tasklet: k}})
				}
				return tree.Supervision{}
			}, "top x x x a b", "gave a tasklet that is not its child"},
			"twice": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				for range 3 {
					add(tree.Child{ID: "y", Tasklet: me.Children()[1]})
				}
				return tree.Supervision{}
			}, "top b y y a", "gave a tasklet twice"},
			"all and one twice": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				for _, i := range []int{0, 1, 0} {
					add(tree.Child{ID: "z", Tasklet: me.Children()[i]})
				}
				return tree.Supervision{}
			}, "top a b z", "gave a tasklet twice"},
			"in disorder": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				add(tree.Child{ID: "b", Tasklet: me.Children()[1]})
				add(tree.Child{ID: "a"})
				return tree.Supervision{}
			}, "top b a", ""},
			"names": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				for _, id := range []string{"", "../../x", "e\n└─ f  STALLED"} {
					add(tree.Child{ID: id})
				}
				return tree.Supervision{Strategy: "s\n└─ forged  STALLED"}
			}, `top (unnamed) ..\x2f..\x2fx e\n└─ f  STALLED a b`, ""},
			"numbers": {func(me *actor.Tasklet, add func(tree.Child)) tree.Supervision {
				add(tree.Child{ID: "x", Restarts: -1, Restarting: true, Last: actor.Exit{Kind: 200}})
				add(tree.Child{ID: "a", Restarts: math.MaxInt, Restarting: true, Tasklet: me.Children()[0]})
				return tree.Supervision{Restarts: -1, Max: -1, Period: -1, Total: math.MaxInt, Up: -1, Children: -7}
			}, "top x a b", ""},
		} {
			t.Run(name, func(t *testing.T) {
				top := described(t0, func(me *actor.Tasklet) tree.Supervisor {
					return describes(func(add func(tree.Child)) tree.Supervision { return c.describe(me, add) })
				})
				var names []string
				for _, r := range tree.Snapshot(top) {
					names = append(names, r.Name)
					require.False(t, r.For < 0 || r.Until < 0 || r.LastAgo < 0 || r.Restarts < 0)
				}
				require.Equal(t, c.names, strings.Join(names, " "))
				require.Equal(t, c.fault, tree.Snapshot(top)[0].Fault)
				for _, width := range []int{0, 20, 40, 100} {
					out := text(top, tree.Width(width))
					require.NotContains(t, out, "STALLED\n")
					if width == 0 {
						require.Len(t, strings.Split(out, "\n"), len(names)+2, out)
					}
				}
				_, jsons, _, js := loggers()
				tree.Log(jsons, top)
				require.Equal(t, 1, strings.Count(js.String(), "\n"))
				top.Kill()
				_ = top.Join(t0)
			})
		}
	})
}

// A Describe that keeps add, or calls it from several goroutines, adds nothing later and breaks
// nothing.
func TestDescribeKeepsAdd(t *testing.T) {
	runWith(t, actor.Config{}, func(t0 *actor.Tasklet) {
		var kept func(tree.Child)
		top := described(t0, func(*actor.Tasklet) tree.Supervisor {
			return describes(func(add func(tree.Child)) tree.Supervision {
				kept = add
				var wg sync.WaitGroup
				for range 4 {
					wg.Go(func() {
						for range 100 {
							add(tree.Child{ID: "x"})
						}
					})
				}
				wg.Wait()
				return tree.Supervision{}
			})
		})
		rows := tree.Snapshot(top)
		require.Len(t, rows, 403)
		kept(tree.Child{ID: "late"})
		require.Len(t, rows, 403)
	})
}

// What takes a time of Child and Supervision: any value is shown as a time that makes sense.
func TestOddTimesInATree(t *testing.T) {
	odd := []time.Time{{}, time.Unix(0, 0), time.Unix(-1<<40, 0), time.Unix(1<<40, 0), time.Unix(1<<62, 0), time.Unix(math.MinInt64, 0)}
	runWith(t, actor.Config{}, func(t0 *actor.Tasklet) {
		for _, at := range odd {
			for _, period := range []time.Duration{0, -1, 1, math.MaxInt64, math.MinInt64} {
				top := described(t0, func(me *actor.Tasklet) tree.Supervisor {
					return describes(func(add func(tree.Child)) tree.Supervision {
						add(tree.Child{ID: "x", Restarting: true, Until: at, Restarts: 1, LastAt: at, Last: actor.Exit{Kind: reason.Error, Err: errors.New("e")}})
						add(tree.Child{ID: "a", Tasklet: me.Children()[0], Until: at, LastAt: at, Restarts: 1})
						return tree.Supervision{Period: period, Max: 3}
					})
				})
				rows := tree.Snapshot(top)
				require.Len(t, rows, 4)
				for _, r := range rows {
					require.False(t, r.For < 0 || r.Until < 0 || r.LastAgo < 0, "%+v", r)
				}
				require.NotContains(t, text(top), " -", fmt.Sprint(at, period))
				top.Kill()
				_ = top.Join(t0)
			}
		}
	})
}

// Register is for the inside of a tasklet that has begun and not ended; a second call replaces the
// first; and what is registered is forgotten at the end.
func TestRegister(t *testing.T) {
	runWith(t, actor.Config{}, func(t0 *actor.Tasklet) {
		named := func(s string) tree.Supervisor {
			return describes(func(func(tree.Child)) tree.Supervision { return tree.Supervision{Strategy: s} })
		}
		require.PanicsWithValue(t, "tree: Register of a nil Supervisor", func() { tree.Register(t0, nil) })
		other := described(t0, func(me *actor.Tasklet) tree.Supervisor {
			tree.Register(me, named("first"))
			return named("second")
		})
		require.Equal(t, "second", tree.Snapshot(other)[0].Supervision.Strategy)
		require.Panics(t, func() { tree.Register(other, named("outside")) })
		require.Equal(t, "second", tree.Snapshot(other)[0].Supervision.Strategy)
		other.Kill()
		_ = other.Join(t0)
		require.Nil(t, tree.Snapshot(other)[0].Supervision)

		tree.Register(t0, named("root"))
		require.Equal(t, "root", tree.Snapshot(t0)[0].Supervision.Strategy)
	})
}

// A tree is had while a tasklet holds the scheduler and its supervisor is a program's own, and a
// supervisor that changes is described from several goroutines at once.
func TestDescribeWhileItChanges(t *testing.T) {
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop(), StallAfter: -1})
	require.NoError(t, err)
	k := &keeper{job: actor.GoBody(func(t *actor.Tasklet) error { t.Yield(); return nil }), child: tree.Child{ID: "feed"}, pause: time.Microsecond}
	top := actor.Go(sys, k.run, actor.Name("keeper"))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for range 300 {
				for _, r := range tree.Snapshot(top) {
					if r.Fault != "" || r.Depth > 1 {
						t.Errorf("strange row %+v", r)
					}
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, sys.Stop(context.Background()))
}

// A tasklet whose children are in slots needs no Describe for them: empty slots have rows in their
// places, whoever fills them.
func TestTreeOfSlots(tb *testing.T) {
	runWith(tb, actor.Config{Name: "app"}, func(t0 *actor.Tasklet) {
		sleeps := actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		fails := actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(time.Second); return errors.New("no route to host") })
		waits := actor.NewRef[int](actor.MailboxLen(2))
		slow := actor.NewRef[int]()
		steps := make(map[string]*actor.Slot)
		top := actor.Go(t0, func(t *actor.Tasklet) error {
			slot := func(name string, b actor.Body) *actor.Slot {
				s, err := actor.NewSlot(t, b, nil, actor.Name(name))
				require.NoError(tb, err)
				steps[name] = s
				return s
			}
			for _, name := range []string{"never", "a", "again", "held", "stopped"} {
				b := sleeps
				switch name {
				case "again":
					b = fails
				case "held":
					b = actor.ReceiverBody(waits, func(*actor.Tasklet, int) error { return nil })
				}
				s := slot(name, b)
				if name != "never" {
					_, err := s.Start(t)
					require.NoError(tb, err)
				}
			}
			plain := actor.StartTasklet(t, sleeps, actor.Name("plain"))
			for _, name := range []string{"held", "stopped"} {
				require.NoError(tb, steps[name].Stop(t))
			}
			_ = waits.TrySend(t, 1)
			_ = waits.TrySend(t, 2)
			t.Sleep(2 * time.Second)
			steps["again"].Restarting(3, t.System().Now().Add(time.Minute))
			late := slot("late", actor.ReceiverInitBody(slow, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
				t.Sleep(10 * time.Second)
				return func(*actor.Tasklet, int) error { return nil }, nil
			}))
			_, err := late.Start(t)
			require.NoError(tb, err)
			tree.Register(t, describes(func(add func(tree.Child)) tree.Supervision {
				add(tree.Child{ID: "plain", Tasklet: plain, Restarts: 2, LastAt: t.System().Now(), Last: actor.Exit{Err: errors.New("oh")}})
				for _, name := range []string{"a", "held", "other"} { // some are in slots
					add(tree.Child{ID: name, Restarts: 7})
				}
				return tree.Supervision{Strategy: "own", Max: 5, Period: time.Minute}
			}))
			steps["again"].Retire()
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("top"))

		t0.Sleep(2500 * time.Millisecond)
		golden(tb, "slots_1", text(top))
		t0.Sleep(10 * time.Second)
		golden(tb, "slots_2", text(top))
	})
}
