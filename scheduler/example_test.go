package scheduler_test

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
)

// run runs main as the root of a system on a virtual clock, and waits for its children.
func run(main func(t *actor.Tasklet)) {
	cfg := actor.Config{
		Name:   "app",
		Clock:  scheduler.NewVirtualClock(time.Time{}),
		Logger: zap.NewNop(),
	}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		main(t)
		_, err := t.JoinChildren(t)
		return err
	})
	if err != nil {
		fmt.Println(err)
	}
}

// One tasklet sends the hours, another prints them. The day takes no real time.
func Example() {
	run(func(t *actor.Tasklet) {
		hours := scheduler.NewChan[int](0)
		actor.Go(t, func(t *actor.Tasklet) error {
			defer hours.Close()
			for h := 6; h <= 24; h += 6 {
				t.Sleep(6 * time.Hour)
				if err := hours.Send(t, h); err != nil {
					return err
				}
			}
			return nil
		})
		actor.Go(t, func(t *actor.Tasklet) error {
			for h := range hours.All(t) {
				fmt.Println("it is", h)
			}
			return nil
		})
	})
	// Output:
	// it is 6
	// it is 12
	// it is 18
	// it is 24
}

func ExampleChan() {
	run(func(t *actor.Tasklet) {
		c := scheduler.NewChan[string](1)
		actor.Go(t, func(t *actor.Tasklet) error {
			defer c.Close()
			for _, word := range []string{"so", "it", "goes"} {
				if err := c.Send(t, word); err != nil { // parks while the buffer is full
					return err
				}
			}
			return nil
		})
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

// Two tasklets lock two mutexes in opposite order. The second Lock that would close the cycle
// returns an error instead of waiting forever.
func ExampleMutex() {
	run(func(t *actor.Tasklet) {
		var a, b scheduler.Mutex
		both := func(first, second *scheduler.Mutex) func(t *actor.Tasklet) error {
			return func(t *actor.Tasklet) error {
				if err := first.Lock(t); err != nil {
					return err
				}
				defer first.Unlock()
				t.Yield() // the other tasklet locks its first mutex
				if err := second.Lock(t); err != nil {
					fmt.Println(err)
					return nil
				}
				defer second.Unlock()
				fmt.Println(t.Name(), "has both")
				return nil
			}
		}
		actor.Go(t, both(&a, &b), actor.Name("ada"))
		actor.Go(t, both(&b, &a), actor.Name("bob"))
	})
	// Output:
	// deadlock: /app/bob in mutex held by /app/ada, /app/ada in mutex held by /app/bob
	// ada has both
}

func ExampleMutex_TryLock() {
	run(func(t *actor.Tasklet) {
		var mu scheduler.Mutex
		fmt.Println(mu.TryLock(t), mu.TryLock(t))
		mu.Unlock()
	})
	// Output: true false
}

// Three pieces of work run, at most two at a time.
func ExampleSemaphore() {
	run(func(t *actor.Tasklet) {
		slots := scheduler.NewSemaphore(2)
		for _, name := range []string{"ada", "bob", "eve"} {
			actor.Go(t, func(t *actor.Tasklet) error {
				if err := slots.Acquire(t, 1); err != nil {
					return err
				}
				defer slots.Release(1)
				fmt.Println(name, "starts at", t.System().Now().Format("15:04:05"))
				t.Sleep(10 * time.Second)
				return nil
			})
		}
	})
	// Output:
	// ada starts at 00:00:00
	// bob starts at 00:00:00
	// eve starts at 00:00:10
}

func ExampleEvent() {
	run(func(t *actor.Tasklet) {
		var open scheduler.Event
		for _, name := range []string{"ada", "bob"} {
			actor.Go(t, func(t *actor.Tasklet) error {
				if err := open.Wait(t); err != nil {
					return err
				}
				fmt.Println(name, "comes in")
				return nil
			})
		}
		t.Sleep(time.Hour)
		fmt.Println("open")
		open.Set()
	})
	// Output:
	// open
	// ada comes in
	// bob comes in
}

// A wait ends with the context that it is given.
func ExampleEvent_Wait() {
	run(func(t *actor.Tasklet) {
		var never scheduler.Event
		begin := t.System().Now()
		ctx, cancel := actor.WithTimeout(t, 3*time.Second)
		defer cancel()
		err := never.Wait(ctx)
		fmt.Println(err, "after", t.System().Now().Sub(begin))
	})
	// Output: timeout after 3s
}

func ExampleWaitGroup() {
	run(func(t *actor.Tasklet) {
		var running scheduler.WaitGroup
		for i := range 2 {
			running.Add(1)
			actor.Go(t, func(t *actor.Tasklet) error {
				defer running.Done()
				t.Sleep(time.Duration(i+1) * time.Second)
				fmt.Println("part", i+1, "is done")
				return nil
			})
		}
		if err := running.Wait(t); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("all parts are done")
	})
	// Output:
	// part 1 is done
	// part 2 is done
	// all parts are done
}

func ExampleVirtualClock() {
	clock := scheduler.NewVirtualClock(time.Date(1999, 12, 31, 23, 59, 59, 0, time.UTC))
	err := actor.Run(context.Background(), actor.Config{Clock: clock}, func(t *actor.Tasklet) error {
		t.Sleep(time.Second) // takes no real time
		return nil
	})
	fmt.Println(clock.Now(), err)
	// Output: 2000-01-01 00:00:00 +0000 UTC <nil>
}
