package scheduler_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
)

// once is a Runner that runs once.
type once func(t *core.Task)

func (f once) Run(t *core.Task) {
	defer func() {
		switch v := recover(); v.(type) {
		case nil:
		case *core.Exit:
			fmt.Println(t, "was killed")
		default:
			panic(v)
		}
		t.Finish()
	}()
	f(t)
}

// simulate runs the tasks, numbered from 1, on a virtual clock until nobody can go on. Then it
// kills who is left.
func simulate(tasks ...once) {
	var s *core.Scheduler
	s = core.New(core.Config{
		Clock: scheduler.NewVirtualClock(time.Time{}),
		Hooks: core.Hooks{Quiescent: func() { s.Stop() }},
	})
	for i, f := range tasks {
		t := new(core.Task)
		t.Init(s, uint64(i+1), f)
		t.Wake()
	}
	if err := s.Run(); err != nil {
		fmt.Println(err)
	}
}

// The program of the package's documentation.
func Example() {
	s := core.New(core.Config{Clock: scheduler.NewVirtualClock(time.Time{})})
	start := func(id uint64, f once) {
		t := new(core.Task)
		t.Init(s, id, f)
		t.Wake()
	}
	var hours scheduler.Chan[int]
	start(1, func(t *core.Task) {
		for h := range hours.All(t) {
			fmt.Println("it is", h)
		}
	})
	start(2, func(t *core.Task) {
		for h := 6; h <= 24; h += 6 {
			t.Sleep(6 * time.Hour)
			_ = hours.Send(t, h) // nobody closes it
		}
		s.Stop()
	})
	_ = s.Run()
	// Output:
	// it is 6
	// it is 12
	// it is 18
	// it is 24
	// task 1 was killed
}

// counter is stackless: it never blocks, so it owns no stack while it waits to be woken.
type counter struct {
	core.Task
	n int
}

func (c *counter) Run(t *core.Task) {
	c.n++
	fmt.Println("called", c.n)
}

func ExampleTask() {
	s := core.New(core.Config{})
	var c counter
	c.Init(s, 1, &c)
	var d core.Task
	d.Init(s, 2, once(func(t *core.Task) {
		for range 2 {
			c.Wake()
			t.Yield()
			fmt.Println("it is", c.State())
		}
		s.Stop()
	}))
	d.Wake()
	_ = s.Run()
	// Output:
	// called 1
	// it is idle
	// called 2
	// it is idle
}

func ExampleTask_Kill() {
	var victim *core.Task
	simulate(func(t *core.Task) {
		victim = t
		defer fmt.Println("cleaned up")
		t.Sleep(time.Hour)
		fmt.Println("never printed")
	}, func(t *core.Task) {
		t.Sleep(time.Minute)
		victim.Kill(false)
	})
	// Output:
	// cleaned up
	// task 1 was killed
}

func ExampleWithTimeout() {
	simulate(func(t *core.Task) {
		begin := t.Scheduler().Now()
		ctx, cancel := core.WithTimeout(t, 3*time.Second)
		defer cancel()
		var never scheduler.Event
		err := never.Wait(ctx)
		fmt.Println(err, "after", t.Scheduler().Now().Sub(begin), errors.Is(err, context.DeadlineExceeded))
	})
	// Output: timeout after 3s true
}

func ExampleVirtualClock() {
	clock := scheduler.NewVirtualClock(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC))
	s := core.New(core.Config{Clock: clock})
	var t core.Task
	t.Init(s, 1, once(func(t *core.Task) {
		t.Sleep(time.Second)
		fmt.Println(clock.Now())
		s.Stop()
	}))
	t.Wake()
	_ = s.Run()
	// Output: 2000-01-01 00:00:00 +0000 UTC
}

// Ordinary goroutines reach a scheduler through its door.
func ExampleScheduler_InjectFunc() {
	s := core.New(core.Config{})
	var ready scheduler.Event
	var t core.Task
	t.Init(s, 1, once(func(t *core.Task) {
		_ = ready.Wait(t)
		fmt.Println("ready")
		s.Stop()
	}))
	t.Wake()
	go s.InjectFunc(ready.Set)
	_ = s.Run()
	// Output: ready
}

func ExampleChan() {
	c := scheduler.NewChan[string](1)
	simulate(func(t *core.Task) {
		for _, word := range []string{"so", "it", "goes"} {
			if err := c.Send(t, word); err != nil {
				fmt.Println(err)
			}
		}
		c.Close()
	}, func(t *core.Task) {
		for word := range c.All(t) {
			fmt.Println(word)
		}
		_, err := c.Receive(t)
		fmt.Println(err)
	})
	// Output:
	// so
	// it
	// goes
	// scheduler: closed channel
}

// Two tasks lock two mutexes in opposite order. The one that would close the ring is told, and
// gives way.
func ExampleMutex() {
	var a, b scheduler.Mutex
	both := func(first, second *scheduler.Mutex) once {
		return func(t *core.Task) {
			_ = first.Lock(t)
			defer first.Unlock()
			t.Yield()
			if err := second.Lock(t); err != nil {
				fmt.Println(err)
				return
			}
			defer second.Unlock()
			fmt.Println(t, "has both")
		}
	}
	simulate(both(&a, &b), both(&b, &a))
	// Output:
	// deadlock: task 2 in mutex held by task 1, task 1 in mutex held by task 2
	// task 1 has both
}

// Three pieces of work, two at a time.
func ExampleSemaphore() {
	slots := scheduler.NewSemaphore(2)
	work := func(t *core.Task) {
		if err := slots.Acquire(t, 1); err != nil {
			fmt.Println(err)
			return
		}
		defer slots.Release(1)
		fmt.Println(t, "begins at", t.Scheduler().Now().Format("15:04:05"))
		t.Sleep(10 * time.Second)
	}
	simulate(work, work, work)
	// Output:
	// task 1 begins at 00:00:00
	// task 2 begins at 00:00:00
	// task 3 begins at 00:00:10
}

func ExampleEvent() {
	var open scheduler.Event
	guest := func(t *core.Task) {
		if err := open.Wait(t); err == nil {
			fmt.Println(t, "comes in")
		}
	}
	simulate(guest, guest, func(t *core.Task) {
		t.Sleep(time.Hour)
		fmt.Println("open")
		open.Set()
	}, guest)
	// Output:
	// open
	// task 1 comes in
	// task 2 comes in
	// task 4 comes in
}

func ExampleWaitGroup() {
	var running scheduler.WaitGroup
	running.Add(2)
	step := func(t *core.Task) {
		defer running.Done()
		t.Sleep(time.Duration(t.ID()) * time.Second)
		fmt.Println(t, "is done")
	}
	simulate(step, step, func(t *core.Task) {
		if err := running.Wait(t); err == nil {
			fmt.Println("all are")
		}
	})
	// Output:
	// task 1 is done
	// task 2 is done
	// all are
}
