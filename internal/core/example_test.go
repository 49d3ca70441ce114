package core_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/core/coretest"
	"github.com/gotasklet/tasklet/scheduler"
)

func wasKilled(t *core.Task) { fmt.Println(t, "was killed") }

func simulate(tasks ...func(t *core.Task)) {
	if err := coretest.Simulate(wasKilled, tasks...); err != nil {
		fmt.Println(err)
	}
}

func Example() {
	s := core.New(core.Config{Clock: core.NewVirtualClock(time.Time{})})
	start := func(id uint64, f func(t *core.Task)) {
		t := new(core.Task)
		t.Init(s, id, coretest.Once(f, wasKilled))
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
			_ = hours.Send(t, h)
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
	d.Init(s, 2, coretest.Once(func(t *core.Task) {
		for range 2 {
			c.Wake()
			t.Yield()
			fmt.Println("it is", c.State())
		}
		s.Stop()
	}, wasKilled))
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
	clock := core.NewVirtualClock(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC))
	s := core.New(core.Config{Clock: clock})
	var t core.Task
	t.Init(s, 1, coretest.Once(func(t *core.Task) {
		t.Sleep(time.Second)
		fmt.Println(clock.Now())
		s.Stop()
	}, wasKilled))
	t.Wake()
	_ = s.Run()
	// Output: 2000-01-01 00:00:00 +0000 UTC
}

// Ordinary goroutines reach a scheduler through its door.
func ExampleScheduler_InjectFunc() {
	s := core.New(core.Config{})
	var ready scheduler.Event
	var t core.Task
	t.Init(s, 1, coretest.Once(func(t *core.Task) {
		_ = ready.Wait(t)
		fmt.Println("ready")
		s.Stop()
	}, wasKilled))
	t.Wake()
	go s.InjectFunc(ready.Set)
	_ = s.Run()
	// Output: ready
}
