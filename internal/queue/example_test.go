package queue_test

import (
	"fmt"
	"time"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/core/coretest"
	"github.com/gotasklet/tasklet/internal/queue"
)

func run(tasks ...func(t *core.Task)) {
	if err := coretest.Simulate(nil, tasks...); err != nil {
		fmt.Println(err)
	}
}

// The program of the package's documentation.
func Example() {
	m := queue.New[string](queue.Config{Cap: 2})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		for s := range m.Receive() {
			fmt.Println(s)
		}
	}, func(t *core.Task) {
		for i := range 3 {
			m.Send(t, fmt.Sprint("first ", i))
		}
	}, func(t *core.Task) {
		for i := range 3 {
			m.Send(t, fmt.Sprint("second ", i))
		}
	})
	// Output:
	// first 0
	// first 1
	// first 2
	// second 0
	// second 1
	// second 2
}

func ExampleNew() {
	m := queue.New[string](queue.Config{Cap: 1, Overflow: queue.Fail})
	run(func(t *core.Task) {
		fmt.Println(m.Send(t, "a")) // nobody has opened it yet: it queues up to its capacity
		fmt.Println(m.Send(t, "b"))
		fmt.Println(m.Len(), "of", m.Cap())
	})
	// Output:
	// <nil>
	// mailbox: full
	// 1 of 1
}

func ExampleQueue_Receive() {
	m := queue.New[int](queue.Config{})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		sum := 0
		for n := range m.Receive() {
			sum += n
		}
		fmt.Println("closed, the sum is", sum)
	}, func(t *core.Task) {
		for n := range 5 {
			m.Send(t, n)
		}
		m.Close() // what is queued is still read
	})
	// Output: closed, the sum is 10
}

func ExampleQueue_ReceiveTimeout() {
	m := queue.New[string](queue.Config{})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		for s, err := range m.ReceiveTimeout(time.Minute) {
			if err != nil {
				fmt.Println("nothing for a minute:", err)
				break
			}
			fmt.Println(s)
		}
	}, func(t *core.Task) {
		m.Send(t, "one")
		t.Sleep(50 * time.Second)
		m.Send(t, "two, 50 s later")
		t.Sleep(time.Hour)
		m.Send(t, "three, an hour later")
	})
	// Output:
	// one
	// two, 50 s later
	// nothing for a minute: timeout
}

func ExampleQueue_ReceiveBatch() {
	m := queue.New[int](queue.Config{})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		for batch := range m.ReceiveBatch(4, time.Second) {
			fmt.Println(t.Scheduler().Now().Second(), "s:", batch)
		}
	}, func(t *core.Task) {
		for n := range 6 {
			m.Send(t, n)
		}
	})
	// Output:
	// 0 s: [0 1 2 3]
	// 1 s: [4 5]
}

func ExampleQueue_Match() {
	m := queue.New[string](queue.Config{})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		urgent, err := m.Match(t, func(s string) bool { return s == "fire" })
		fmt.Println(urgent, err)
		for s := range m.Receive() {
			fmt.Println(s)
		}
	}, func(t *core.Task) {
		for _, s := range []string{"letter", "fire", "parcel"} {
			m.Send(t, s)
		}
	})
	// Output:
	// fire <nil>
	// letter
	// parcel
}

// fill sends five messages to a mailbox that holds two, and prints what the reader finds.
func fill(policy queue.Policy) {
	m := queue.New[int](queue.Config{Cap: 2, Overflow: policy, Losses: queue.LossFunc(func(l queue.Loss) {
		fmt.Println("lost", l.Count, l.Type)
	})})
	run(func(t *core.Task) {
		m.Open(t)
		defer m.Discard()
		t.Sleep(time.Second)
		for n := range m.Receive() {
			fmt.Println("read", n)
		}
	}, func(t *core.Task) {
		for n := range 5 {
			if err := m.Send(t, n); err != nil {
				fmt.Println(n, err)
			}
		}
		fmt.Println("sent")
	})
}

func ExamplePolicy_block() {
	fill(queue.Block)
	// Output:
	// read 0
	// read 1
	// read 2
	// sent
	// read 3
	// read 4
}

func ExamplePolicy_fail() {
	fill(queue.Fail)
	// Output:
	// 2 mailbox: full
	// 3 mailbox: full
	// 4 mailbox: full
	// sent
	// read 0
	// read 1
}

func ExamplePolicy_dropNewest() {
	fill(queue.DropNewest)
	// Output:
	// lost 1 int
	// lost 1 int
	// lost 1 int
	// sent
	// read 0
	// read 1
}

func ExamplePolicy_dropOldest() {
	fill(queue.DropOldest)
	// Output:
	// lost 1 int
	// lost 1 int
	// lost 1 int
	// sent
	// read 3
	// read 4
}

func ExamplePolicy_unbounded() {
	m := queue.New[int](queue.Config{Overflow: queue.Unbounded})
	run(func(t *core.Task) {
		for n := range 10_000 {
			m.Send(t, n)
		}
		fmt.Println(m.Len(), "and no end")
	})
	// Output: 10000 and no end
}
