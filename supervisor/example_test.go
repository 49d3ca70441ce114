package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// example runs main in a system on a virtual clock, so that waiting takes no time.
func example(main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Name: "app", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	if err := actor.Run(context.Background(), cfg, main); err != nil {
		fmt.Println("error:", err)
	}
}

// echo is a body that says when it starts and ends, prints its messages, and fails on "crash".
func echo(name string, ref actor.Ref[string]) actor.Body {
	return actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
		fmt.Println(name, "starts")
		t.Defer(func() { fmt.Println(name, "ends") })
		return func(t *actor.Tasklet, m string) error {
			if m == "crash" {
				return errors.New("crash")
			}
			fmt.Println(name, "got", m)
			return nil
		}, nil
	})
}

func ExampleStart() {
	example(func(t *actor.Tasklet) error {
		counter := actor.NewRef[int]()
		body := actor.ReceiverInitBody(counter, func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			sum := 0 // new at every start
			return func(t *actor.Tasklet, n int) error {
				sum += n
				fmt.Println("sum", sum)
				if n < 0 {
					return errors.New("negative")
				}
				return nil
			}, nil
		})
		_, err := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{{ID: "counter", Body: body}}})
		if err != nil {
			return err
		}
		for _, n := range []int{1, 2, -1, 4} { // the ref stays the same over the restart
			if err := counter.Send(t, n); err != nil {
				return err
			}
		}
		t.Sleep(time.Second)
		return nil
	})
	// Output:
	// sum 1
	// sum 3
	// sum 2
	// sum 4
}

func ExampleStart_oneForAll() {
	example(func(t *actor.Tasklet) error {
		a, b := actor.NewRef[string](), actor.NewRef[string]()
		_, err := supervisor.Start(t, supervisor.Spec{Strategy: supervisor.OneForAll, Children: []supervisor.Child{
			{ID: "a", Body: echo("a", a)},
			{ID: "b", Body: echo("b", b)},
		}})
		if err != nil {
			return err
		}
		_ = a.Send(t, "crash")
		t.Sleep(time.Second)
		_ = b.Send(t, "hello")
		t.Sleep(time.Second)
		return nil // the supervisor is a child of t, and is stopped with it
	})
	// Output:
	// a starts
	// b starts
	// a ends
	// b ends
	// a starts
	// b starts
	// b got hello
	// b ends
	// a ends
}

func ExampleBody() {
	example(func(t *actor.Tasklet) error {
		worker := actor.NewRef[string]()
		inner := supervisor.Spec{Children: []supervisor.Child{{ID: "worker", Body: echo("worker", worker)}}}
		top, err := supervisor.Start(t, supervisor.Spec{
			Name:     "top",
			Children: []supervisor.Child{{ID: "inner", Body: supervisor.Body(inner)}},
		})
		if err != nil {
			return err
		}
		fmt.Println(worker)
		_ = worker.Send(t, "crash")
		_ = worker.Send(t, "crash") // once more within 5 s than inner allows: top restarts it
		_ = worker.Send(t, "hello")
		t.Sleep(time.Second)
		children, err := top.Children(t)
		fmt.Println(children[0].ID, children[0].State)
		return err
	})
	// Output:
	// worker starts
	// /app/top/inner/worker
	// worker ends
	// worker starts
	// worker ends
	// worker starts
	// worker got hello
	// inner running
	// worker ends
}

func ExampleSupervisor_StartChild() {
	example(func(t *actor.Tasklet) error {
		s, err := supervisor.Start(t, supervisor.Spec{Name: "sessions"})
		if err != nil {
			return err
		}
		ann := actor.NewRef[string]()
		task, err := s.StartChild(t, supervisor.Child{ID: "ann", Body: echo("ann", ann)})
		if err != nil {
			return err
		}
		fmt.Println(task.Path())
		_, err = s.StartChild(t, supervisor.Child{ID: "ann", Body: echo("ann", actor.NewRef[string]())})
		fmt.Println(err)
		fmt.Println(s.StopChild(t, "ann"))
		fmt.Println(ann.Send(t, "hello"))
		fmt.Println(s.DeleteChild(t, "bob"))
		return nil
	})
	// Output:
	// ann starts
	// /app/sessions/ann
	// supervisor: a child with this ID is running
	// ann ends
	// <nil>
	// mailbox: closed
	// supervisor: no child with this ID
}

func ExamplePool() {
	example(func(t *actor.Tasklet) error {
		pool, err := supervisor.StartPool(t, supervisor.PoolSpec[string]{
			Name: "downloads",
			Max:  2,
			Child: func(file string) supervisor.Child {
				return supervisor.Child{ID: file, Restart: supervisor.Transient, Body: actor.GoBody(func(t *actor.Tasklet) error {
					t.Sleep(time.Second)
					fmt.Println("got", file)
					return nil
				})}
			},
		})
		if err != nil {
			return err
		}
		for _, file := range []string{"a", "b", "c"} {
			if _, err := pool.Start(t, file); err != nil {
				fmt.Println(err)
			}
		}
		t.Sleep(2 * time.Second)
		fmt.Println(pool.Len(), "left")
		return nil
	})
	// Output:
	// supervisor: pool /app/downloads is full: it has 2 children
	// got a
	// got b
	// 0 left
}

func ExampleBackoff() {
	example(func(t *actor.Tasklet) error {
		begin := t.System().Now()
		_, err := supervisor.Start(t, supervisor.Spec{
			Intensity: 10, Period: time.Minute,
			Backoff: supervisor.Backoff{Min: time.Second, Max: 5 * time.Second},
			Children: []supervisor.Child{{ID: "a", Body: actor.GoBody(func(t *actor.Tasklet) error {
				fmt.Println("try at", t.System().Now().Sub(begin))
				return errors.New("not there")
			})}},
		})
		t.Sleep(20 * time.Second)
		return err
	})
	// Output:
	// try at 0s
	// try at 1s
	// try at 3s
	// try at 7s
	// try at 12s
	// try at 17s
}

func ExampleSupervisor_Children() {
	describe := func(c supervisor.ChildInfo) string {
		if c.Tasklet == nil {
			return fmt.Sprintf("%s child %s is %s", c.Restart, c.ID, c.State)
		}
		return fmt.Sprintf("%s child %s is %s as %s", c.Restart, c.ID, c.State, c.Tasklet)
	}
	example(func(t *actor.Tasklet) error {
		once := actor.GoBody(func(*actor.Tasklet) error { return nil })
		s, err := supervisor.Start(t, supervisor.Spec{Name: "jobs", Children: []supervisor.Child{
			{ID: "clock", Body: actor.IntervalBody(time.Minute, func(*actor.Tasklet) error { return nil })},
			{ID: "import", Body: once, Restart: supervisor.Transient},
		}})
		if err != nil {
			return err
		}
		t.Sleep(time.Second)
		children, err := s.Children(t)
		for _, c := range children {
			fmt.Println(describe(c))
		}
		return err
	})
	// Output:
	// permanent child clock is running as /app/jobs/clock
	// transient child import is stopped
}
