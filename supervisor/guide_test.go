package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// The programs of docs/supervision.md. Each of its Go blocks stands here, or in
// tree/example_test.go, to the letter; see TestGuide.

// demo runs main on a virtual clock.
func demo(main func(t *actor.Tasklet)) {
	cfg := actor.Config{Name: "app", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		main(t)
		return nil
	})
	if err != nil {
		fmt.Println("error:", err)
	}
}

func Example_tree() {
	demo(func(t *actor.Tasklet) {
		conn, cache := actor.NewRef[string](), actor.NewRef[string]()
		serve := func(t *actor.Tasklet, question string) error { return nil }

		shop, err := supervisor.Start(t, supervisor.Spec{
			Name: "shop",
			Children: []supervisor.Child{
				{ID: "db", Body: supervisor.Body(supervisor.Spec{
					// the cache is worth nothing without its connection
					Strategy: supervisor.RestForOne,
					Children: []supervisor.Child{
						{ID: "conn", Body: actor.ReceiverBody(conn, serve)},
						{ID: "cache", Body: actor.ReceiverBody(cache, serve)},
					},
				})},
				{ID: "metrics", Body: actor.IntervalBody(time.Minute, func(t *actor.Tasklet) error { return nil })},
			},
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = tree.Write(os.Stdout, shop.Tasklet())
	})
	// Output:
	// supervision tree  system=app tasklets=5 restarts=0 stalled=0
	// shop         supervisor  one_for_one    up 0ms  restarts 0/1 in 5s
	// ├─ db        supervisor  rest_for_one   up 0ms  restarts 0/1 in 5s
	// │  ├─ conn   receiver    idle           mailbox 0/1024
	// │  └─ cache  receiver    idle           mailbox 0/1024
	// └─ metrics   interval    sleeping 1m0s
}

func Example_strategy() {
	demo(func(t *actor.Tasklet) {
		for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.RestForOne, supervisor.OneForAll} {
			fmt.Printf("%v:", strategy)
			var children []supervisor.Child
			for _, id := range []string{"a", "b", "c"} {
				first := true
				children = append(children, supervisor.Child{ID: id, Body: actor.GoBody(func(t *actor.Tasklet) error {
					fmt.Print(" +", id)
					t.Defer(func() { fmt.Print(" -", id) })
					t.Sleep(time.Second)
					if id == "b" && first {
						first = false
						return errors.New("crash")
					}
					t.Sleep(time.Hour)
					return nil
				})})
			}
			s, _ := supervisor.Start(t, supervisor.Spec{Strategy: strategy, Children: children})
			t.Sleep(2 * time.Second)
			fmt.Println(" and so it goes on")
			_ = s.StopChild(t, "c")
			_ = s.StopChild(t, "b")
			_ = s.StopChild(t, "a")
			fmt.Println()
		}
	})
	// Output:
	// one_for_one: +a +b +c -b +b and so it goes on
	//  -c -b -a
	// rest_for_one: +a +b +c -b -c +b +c and so it goes on
	//  -c -b -a
	// one_for_all: +a +b +c -b -c -a +a +b +c and so it goes on
	//  -c -b -a
}

func Example_restartType() {
	demo(func(t *actor.Tasklet) {
		ends := map[string]error{"normal": nil, "shutdown": actor.ErrShutdown, "error": errors.New("crash")}
		for _, end := range []string{"normal", "shutdown", "error"} {
			for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Transient, supervisor.Temporary} {
				starts := 0
				s, _ := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{
					{ID: "child", Restart: restart, Body: actor.GoBody(func(t *actor.Tasklet) error {
						if starts++; starts == 1 {
							return ends[end]
						}
						t.Sleep(time.Hour)
						return nil
					})},
				}})
				t.Sleep(time.Second)
				kept, _ := s.Children(t)
				fmt.Printf("%-8v %-9v: %d starts, specs kept: %d\n", end, restart, starts, len(kept))
			}
		}
	})
	// Output:
	// normal   permanent: 2 starts, specs kept: 1
	// normal   transient: 1 starts, specs kept: 1
	// normal   temporary: 1 starts, specs kept: 0
	// shutdown permanent: 2 starts, specs kept: 1
	// shutdown transient: 1 starts, specs kept: 1
	// shutdown temporary: 1 starts, specs kept: 0
	// error    permanent: 2 starts, specs kept: 1
	// error    transient: 2 starts, specs kept: 1
	// error    temporary: 1 starts, specs kept: 0
}

func Example_inHand() {
	demo(func(t *actor.Tasklet) {
		for _, retry := range []int{0, 1} {
			ref := actor.NewRef[string]()
			counter := actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
				n := 0 // made anew at every start
				return func(t *actor.Tasklet, word string) error {
					n++
					fmt.Print(" ", n, ":", word)
					if word == "poison" {
						panic("does not agree with me")
					}
					return nil
				}, nil
			})
			_, _ = supervisor.Start(t, supervisor.Spec{
				Intensity: 5,
				Children:  []supervisor.Child{{ID: "counter", Body: counter, Retry: retry}},
			})
			fmt.Printf("retry %d:", retry)
			for _, word := range []string{"one", "two", "poison", "three", "four"} {
				_ = ref.Send(t, word) // the same ref before and after the restart
			}
			t.Sleep(time.Second)
			fmt.Println()
		}
	})
	// Output:
	// retry 0: 1:one 2:two 3:poison 1:three 2:four
	// retry 1: 1:one 2:two 3:poison 1:poison 1:three 2:four
}

func Example_backoff() {
	demo(func(t *actor.Tasklet) {
		start := t.System().Now()
		_, _ = supervisor.Start(t, supervisor.Spec{
			Intensity: 10, Period: time.Minute,
			// Factor 2, no Jitter
			Backoff: supervisor.Backoff{Min: time.Second, Max: 10 * time.Second},
			Children: []supervisor.Child{{ID: "feed", Body: actor.GoBody(func(t *actor.Tasklet) error {
				fmt.Print(t.System().Now().Sub(start), " ")
				return errors.New("connection refused")
			})}},
		})
		t.Sleep(30 * time.Second)
		fmt.Println()
	})
	// Output:
	// 0s 1s 3s 7s 15s 25s
}

func Example_stop() {
	demo(func(t *actor.Tasklet) {
		start := t.System().Now()
		child := func(id string, takes, shutdown time.Duration) supervisor.Child {
			return supervisor.Child{ID: id, Shutdown: shutdown, Body: actor.GoBody(func(t *actor.Tasklet) error {
				defer func() { fmt.Printf("%s ended after %v\n", id, t.System().Now().Sub(start)) }()
				defer t.Sleep(takes) // clean up; a hard kill cuts it short
				t.Sleep(time.Hour)
				return nil
			})}
		}
		s, _ := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{
			child("quick", time.Second, 0),
			child("slow", 8*time.Second, 0), // 0 is 5 s
			child("patient", 8*time.Second, actor.Infinity),
			child("brutal", 8*time.Second, actor.BrutalKill),
		}})
		t.Yield()
		s.Tasklet().Kill()
		_ = s.Tasklet().Join(t)
	})
	// Output:
	// brutal ended after 0s
	// patient ended after 8s
	// slow ended after 13s
	// quick ended after 14s
}

func Example_giveUp() {
	demo(func(t *actor.Tasklet) {
		starts := 0
		inner := supervisor.Body(supervisor.Spec{
			Intensity: 2,
			Children: []supervisor.Child{{ID: "crash", Body: actor.GoBody(func(t *actor.Tasklet) error {
				starts++
				return errors.New("crash")
			})}},
		})
		outer, _ := supervisor.Start(t, supervisor.Spec{
			Intensity: 3,
			Children:  []supervisor.Child{{ID: "inner", Body: inner, Restart: supervisor.Transient}},
		})
		err := outer.Tasklet().Join(t)
		fmt.Println(starts, "starts:", errors.Is(err, supervisor.ErrIntensity), err)
	})
	// Output:
	// 12 starts: true /app/supervisor#1: supervisor: too many restarts
}

func Example_autoShutdown() {
	demo(func(t *actor.Tasklet) {
		work := func(d time.Duration) actor.Body {
			return actor.GoBody(func(t *actor.Tasklet) error { t.Sleep(d); return nil })
		}
		start := t.System().Now()
		batch, _ := supervisor.Start(t, supervisor.Spec{
			AutoShutdown: supervisor.AllSignificant,
			Children: []supervisor.Child{
				{ID: "helper", Body: work(time.Hour)},
				{ID: "part1", Body: work(time.Second), Restart: supervisor.Transient, Significant: true},
				{ID: "part2", Body: work(3 * time.Second), Restart: supervisor.Transient, Significant: true},
			},
		})
		fmt.Println(batch.Tasklet().Join(t), "after", t.System().Now().Sub(start))
	})
	// Output:
	// <nil> after 3s
}

func Example_call() {
	demo(func(t *actor.Tasklet) {
		type question struct {
			n     int
			reply actor.Reply[int]
		}
		ref := actor.NewRef[question]()
		divide := func(t *actor.Tasklet, q question) error {
			return q.reply.Send(t, 100/q.n)
		}
		_, _ = supervisor.Start(t, supervisor.Spec{
			Children: []supervisor.Child{{ID: "divide", Body: actor.ReceiverBody(ref, divide)}},
		})
		for _, n := range []int{4, 0, 5} {
			answer, err := actor.Call(t, ref, func(r actor.Reply[int]) question { return question{n, r} })
			fmt.Println(answer, err)
		}
	})
	// Output:
	// 25 <nil>
	// 0 /app/supervisor#1/divide: panic: runtime error: integer divide by zero
	// 20 <nil>
}

func Example_reading() {
	demo(func(t *actor.Tasklet) {
		slow, mails := actor.NewRef[int](actor.MailboxLen(2)), actor.NewRef[int](actor.MailboxLen(8))
		s, _ := supervisor.Start(t, supervisor.Spec{
			Name: "shop", Backoff: supervisor.Backoff{Min: time.Minute},
			Children: []supervisor.Child{
				{ID: "feed", Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(20 * time.Second)
					return errors.New("connection refused")
				})},
				{ID: "worker", Body: actor.ReceiverBody(slow, func(t *actor.Tasklet, n int) error {
					t.Sleep(time.Hour)
					return nil
				})},
				{ID: "mailer", Body: actor.ReceiverBody(mails, func(t *actor.Tasklet, n int) error {
					return slow.Send(t, n)
				})},
			},
		})
		for n := range 8 {
			_ = mails.Send(t, n)
		}
		t.Sleep(30 * time.Second)
		_ = tree.Write(os.Stdout, s.Tasklet())
	})
	// Output:
	// supervision tree  system=app tasklets=3 restarts=1 stalled=0 restarting=1 full=1
	// shop                   supervisor  one_for_one        up 30s  restarts 0/1 in 5s
	// ├─ feed    RESTARTING  task        restarting in 50s  last: connection refused (10s ago)
	// ├─ worker              receiver    sleeping 59m30s    mailbox 2/2 FULL for 30s  1 waiting to send  handled 1
	// └─ mailer              receiver    parked 30s in send to /app/shop/worker  mailbox 4/8 peak 8  handled 4
}

// keep is the body of a supervisor of our own. It restarts its job after each failure, with a
// delay, at most max times.
func keep(name string, job actor.Body, max int, delay time.Duration) actor.Body {
	// onEnd must not block, so the mailbox of the ends has no bound.
	ends := actor.NewRef[actor.Exit](actor.Name(name), actor.Overflow(mailbox.Unbounded))
	family := actor.Family{Kind: "keeper", Bodies: []actor.Body{job}}
	return actor.Supervise(ends, family, func(t *actor.Tasklet) (func(*actor.Tasklet, actor.Exit) error, error) {
		onEnd := func(e actor.Exit) { _ = ends.TrySend(context.Background(), e) }
		slot, err := actor.NewSlot(t, job, onEnd, actor.Name("job"))
		if err != nil {
			return nil, err // the body or an option is wrong
		}
		if _, err := slot.Start(t); err != nil {
			return nil, err
		}
		restarts := 0
		return func(t *actor.Tasklet, e actor.Exit) error {
			switch {
			case !e.Kind.Failure():
				return actor.ErrStop // the job is done, and so is its keeper
			case restarts == max:
				return e.Failure()
			}
			restarts++
			slot.Restarting(restarts, t.System().Now().Add(delay)) // for the tree
			t.Sleep(delay)
			_, err := slot.Start(t)
			return err
		}, nil
	})
}

func Example_link() {
	demo(func(t *actor.Tasklet) {
		locks, _ := supervisor.Start(t, supervisor.Spec{Name: "locks"})
		lock := actor.GoBody(func(t *actor.Tasklet) error {
			t.Defer(func() { fmt.Println("the lock is free:", t.Killed().Cause) })
			t.Sleep(time.Hour)
			return nil
		})
		report, _ := locks.StartChild(t, supervisor.Child{ID: "report", Body: lock, Restart: supervisor.Temporary})
		job := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Second); return errors.New("no paper") }, actor.Name("job"))
		unlink, _ := actor.Link(job, report)
		_ = report.Join(t)
		fmt.Println(unlink())
	})
	// Output:
	// the lock is free: linked to /app/job: no paper
	// false
}

func Example_ownSupervisor() {
	demo(func(t *actor.Tasklet) {
		orders := actor.NewRef[string]()
		job := actor.ReceiverBody(orders, func(t *actor.Tasklet, order string) error { return errors.New("out of " + order) })
		s, err := supervisor.Start(t, supervisor.Spec{Name: "shop", Children: []supervisor.Child{
			{ID: "till", Body: keep("till", job, 2, 30*time.Second)},
		}})
		if err != nil {
			fmt.Println(err)
			return
		}
		_ = orders.Send(t, "paper")
		_ = orders.Send(t, "ink")
		t.Sleep(10 * time.Second)
		_ = tree.Write(os.Stdout, s.Tasklet())
	})
	// Output:
	// supervision tree  system=app tasklets=2 restarts=0 stalled=0 restarting=1
	// shop                   supervisor  one_for_one        up 10s  restarts 0/1 in 5s
	// └─ till                keeper      sleeping 20s       mailbox 0/∞  handled 1
	//    └─ job  RESTARTING  receiver    restarting in 20s  mailbox 1/1024 peak 2  handled 1  last: out of paper (10s ago)
}

// Each Go block of the guide is part of this file or of the other one, and each text block is an
// output in it.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/supervision.md")
	require.NoError(t, err)
	source, err := os.ReadFile("guide_test.go")
	require.NoError(t, err)
	trees, err := os.ReadFile("tree/example_test.go")
	require.NoError(t, err)
	squeeze := func(s string) string { // without indents
		return regexp.MustCompile(`(?m)^\s+`).ReplaceAllString(strings.TrimSpace(s), "")
	}
	outputs := regexp.MustCompile(`(?m)^\t// ?`).ReplaceAllString(string(source)+string(trees), "")
	code, more := squeeze(string(source)), squeeze(string(trees))
	blocks := regexp.MustCompile("(?s)```(go|text)\n(.*?)```").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, blocks)
	goBlocks := 0
	for _, b := range blocks {
		if b[1] == "go" {
			if strings.Contains(more, squeeze(b[2])) {
				continue
			}
			goBlocks++
			require.Contains(t, code, squeeze(b[2]))
		} else {
			require.Contains(t, outputs, strings.TrimSpace(b[2]))
		}
	}
	// One example has a block of its own for the supervisor that it uses.
	examples := strings.Count(string(source), "\nfunc Example_") + strings.Count(string(source), "\nfunc keep(")
	require.Equal(t, examples, goBlocks, "every example is in the guide")
}
