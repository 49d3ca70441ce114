package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// run runs main as the root of a system on a virtual clock, which needs no real time.
func run(main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Name: "app", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	if err := actor.Run(context.Background(), cfg, main); err != nil {
		fmt.Println(err)
	}
}

// A tasklet reads its mailbox in a loop until it is closed and empty.
func ExampleMailbox() {
	run(func(t *actor.Tasklet) error {
		numbers := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			sum := 0
			for n := range inbox.Receive() {
				sum += n
				fmt.Println("sum", sum)
			}
			fmt.Println("closed:", inbox.Closed())
			return nil
		})
		for n := 1; n <= 3; n++ {
			if err := numbers.Send(t, n); err != nil {
				return err
			}
		}
		numbers.Close()
		return numbers.Join(t)
	})
	// Output:
	// sum 1
	// sum 3
	// sum 6
	// closed: true
}

// A watchdog expects a sign of life every ten seconds.
func ExampleMailbox_ReceiveTimeout() {
	run(func(t *actor.Tasklet) error {
		watchdog := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			for sign, err := range inbox.ReceiveTimeout(10 * time.Second) {
				if err != nil {
					fmt.Println(err, errors.Is(err, mailbox.ErrTimeout))
					break
				}
				fmt.Println(sign)
			}
			return nil
		})
		for range 2 {
			t.Sleep(9 * time.Second)
			if err := watchdog.Send(t, "alive"); err != nil {
				return err
			}
		}
		return watchdog.Join(t)
	})
	// Output:
	// alive
	// alive
	// timeout true
}

// A writer collects up to three rows, for at most a second after the first.
func ExampleMailbox_ReceiveBatch() {
	run(func(t *actor.Tasklet) error {
		writer := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			for rows := range inbox.ReceiveBatch(3, time.Second) {
				fmt.Println("write", rows)
			}
			return nil
		})
		for _, row := range []string{"a", "b", "c", "d"} {
			if err := writer.Send(t, row); err != nil {
				return err
			}
		}
		t.Sleep(time.Minute)
		if err := writer.Send(t, "e"); err != nil {
			return err
		}
		writer.Close()
		return writer.Join(t)
	})
	// Output:
	// write [a b c]
	// write [d]
	// write [e]
}

func ExampleMailbox_Next() {
	run(func(t *actor.Tasklet) error {
		reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			ctx, cancel := actor.WithTimeout(t, time.Minute)
			defer cancel()
			for {
				word, err := inbox.Next(ctx) // parks until there is a message
				if err != nil {
					fmt.Println(err)
					return nil
				}
				fmt.Println(word)
			}
		})
		if err := reader.Send(t, "hello"); err != nil {
			return err
		}
		return reader.Join(t)
	})
	// Output:
	// hello
	// timeout
}

func ExampleMailbox_TryNext() {
	run(func(t *actor.Tasklet) error {
		reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			fmt.Println(inbox.TryNext())
			fmt.Println(inbox.TryNext())
			return nil
		})
		if err := reader.Send(t, "hello"); err != nil {
			return err
		}
		return reader.Join(t)
	})
	// Output:
	// hello true
	//  false
}

// Urgent orders are taken first. The others keep their order.
func ExampleMailbox_Match() {
	type order struct {
		urgent bool
		item   string
	}
	run(func(t *actor.Tasklet) error {
		kitchen := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[order]) error {
			for {
				next, err := inbox.Match(t, func(o order) bool { return o.urgent })
				if errors.Is(err, mailbox.ErrClosed) { // no urgent order is left, and none can come
					break
				} else if err != nil {
					return err
				}
				fmt.Println("urgent:", next.item)
			}
			for o := range inbox.Receive() {
				fmt.Println(o.item)
			}
			return nil
		})
		for _, o := range []order{{false, "soup"}, {true, "coffee"}, {false, "bread"}, {true, "tea"}} {
			if err := kitchen.Send(t, o); err != nil {
				return err
			}
		}
		kitchen.Close()
		return kitchen.Join(t)
	})
	// Output:
	// urgent: coffee
	// urgent: tea
	// soup
	// bread
}

func ExampleMailbox_Len() {
	run(func(t *actor.Tasklet) error {
		reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			fmt.Println(inbox.Len(), "of", inbox.Cap())
			for range inbox.Receive() {
			}
			fmt.Println(inbox.Len(), "of", inbox.Cap())
			return nil
		}, actor.MailboxLen(8))
		for _, word := range []string{"so", "it", "goes"} {
			if err := reader.Send(t, word); err != nil {
				return err
			}
		}
		reader.Close()
		return reader.Join(t)
	})
	// Output:
	// 3 of 8
	// 0 of 8
}

// A reader that closes its own mailbox still handles the messages in it.
func ExampleMailbox_Close() {
	run(func(t *actor.Tasklet) error {
		reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			for word := range inbox.Receive() {
				fmt.Println(word)
				inbox.Close()
			}
			return nil
		})
		for _, word := range []string{"first", "second"} {
			if err := reader.Send(t, word); err != nil {
				return err
			}
		}
		t.Yield() // the reader runs
		fmt.Println(reader.Send(t, "third"))
		return reader.Join(t)
	})
	// Output:
	// first
	// second
	// mailbox: closed
}

// Each policy treats the third message for a mailbox of two in its own way.
func ExamplePolicy() {
	for _, policy := range []mailbox.Policy{
		mailbox.Block, mailbox.Fail, mailbox.DropNewest, mailbox.DropOldest, mailbox.Unbounded,
	} {
		run(func(t *actor.Tasklet) error {
			opts := []actor.Option{actor.Overflow(policy)}
			if policy != mailbox.Unbounded {
				opts = append(opts, actor.MailboxLen(2))
			}
			var read []int
			reader := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
				for n := range inbox.Receive() {
					read = append(read, n)
				}
				return nil
			}, opts...)
			var err error
			for n := 1; n <= 3; n++ {
				err = errors.Join(err, reader.Send(t, n))
			}
			reader.Close()
			if err := reader.Join(t); err != nil {
				return err
			}
			fmt.Println(policy, read, err)
			return nil
		})
	}
	// Output:
	// Block [1 2 3] <nil>
	// Fail [1 2] mailbox: full
	// DropNewest [1 2] <nil>
	// DropOldest [2 3] <nil>
	// Unbounded [1 2 3] <nil>
}

func ExampleStats() {
	run(func(t *actor.Tasklet) error {
		reader := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil },
			actor.MailboxLen(4), actor.Overflow(mailbox.DropNewest))
		for n := range 6 {
			if err := reader.Send(t, n); err != nil {
				return err
			}
		}
		t.Yield() // the receiver handles the messages
		var stats mailbox.Stats = *reader.Tasklet().Info().Mailbox
		fmt.Printf("%+v\n", stats)
		return nil
	})
	// Output: {Len:0 Cap:4 Peak:4 Waiting:0 Handled:4 Dropped:2 Closed:false FullFor:0s}
}
