package actor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// The programs of docs/blocking.md. Each of its Go blocks stands here, to the letter; see
// TestBlockingGuide.

func Example_blockingAwait() {
	simulate(func(t *actor.Tasklet) error {
		// runs on an ordinary goroutine, and may block
		text, err := actor.Await(t, func(ctx context.Context) ([]byte, error) {
			// ctx is done when t is killed: pass it on, to db.QueryContext for example
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return os.ReadFile("testdata/events.txt")
		})
		fmt.Println(len(text) > 0, err)
		return nil
	})
	// Output: true <nil>
}

func Example_blockingPipe() {
	simulate(func(t *actor.Tasklet) error {
		type loaded struct {
			size int
			err  error
		}
		var reader actor.Ref[any]
		reader = actor.Receiver(t, func(t *actor.Tasklet, m any) error {
			switch m := m.(type) {
			case string: // the name of a file; other messages are handled while it is read
				load := func(context.Context) (int, error) { b, err := os.ReadFile(m); return len(b), err }
				actor.Pipe(t, load, reader, func(n int, err error) any { return loaded{n, err} })
			case loaded:
				fmt.Println(m.size > 0, m.err)
				return actor.ErrStop
			}
			return nil
		})
		if err := reader.Send(t, "testdata/events.txt"); err != nil {
			return err
		}
		return reader.Join(t)
	})
	// Output: true <nil>
}

func Example_blockingYield() {
	simulate(func(t *actor.Tasklet) error {
		sum := 0
		summing := actor.Go(t, func(t *actor.Tasklet) error {
			for i := range 1_000_000 {
				sum += i
				if i%10_000 == 0 {
					t.Yield() // other tasklets run, and a kill is noticed
				}
			}
			return nil
		})
		turns := 0
		for !summing.HasFinished() {
			turns++
			t.Yield()
		}
		fmt.Println(sum, turns)
		return nil
	})
	// Output: 499999500000 101
}

func Example_blockingChannel() {
	simulate(func(t *actor.Tasklet) error {
		ticks := make(chan int) // a library's: it sends on a goroutine of its own
		go func() {
			defer close(ticks)
			for n := range 3 {
				ticks <- n
			}
		}()

		show := actor.Receiver(t, func(t *actor.Tasklet, n int) error { fmt.Println("tick", n); return nil })
		// the goroutine in between runs as long as there are ticks
		_, err := actor.Await(t, func(ctx context.Context) (struct{}, error) {
			for {
				select {
				case n, ok := <-ticks:
					if !ok {
						return struct{}{}, nil
					}
					if err := show.Send(ctx, n); err != nil { // waits while the mailbox is full
						return struct{}{}, err
					}
				case <-ctx.Done():
					return struct{}{}, context.Cause(ctx)
				}
			}
		})
		show.Close()
		return errors.Join(err, show.Join(t))
	})
	// Output:
	// tick 0
	// tick 1
	// tick 2
}

func Example_blockingAfterFunc() {
	cfg := actor.Config{Logger: zap.NewNop()}
	_ = actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		request, goAway := context.WithCancel(context.Background()) // not derived from t
		gone := actor.Receiver(t, func(t *actor.Tasklet, why error) error { fmt.Println(why); return actor.ErrStop })
		// runs on its own goroutine: it may send, but must not use data of the tasklets
		stop := context.AfterFunc(request, func() {
			_ = gone.TrySend(context.Background(), context.Cause(request))
		})
		defer stop()
		go goAway()
		return gone.Join(t)
	})
	// Output: context canceled
}

func Example_blockingOutput() {
	simulate(func(t *actor.Tasklet) error {
		printer := actor.BatchReceiver(t, 100, 10*time.Millisecond, func(t *actor.Tasklet, lines []string) error {
			text := strings.Join(lines, "\n") + "\n"
			_, err := actor.Await(t, func(context.Context) (int, error) { return io.WriteString(os.Stdout, text) })
			return err
			// A sender never waits. Dropped lines are counted.
		}, actor.MailboxLen(1000), actor.Overflow(mailbox.DropOldest))

		for i := range 3 {
			if err := printer.Send(t, fmt.Sprint("line ", i)); err != nil {
				return err
			}
		}
		printer.Close()
		return printer.Join(t)
	})
	// Output:
	// line 0
	// line 1
	// line 2
}

// lines is a sink of a zap logger that never waits: a goroutine of its own writes, and what it
// can't keep up with is counted.
type lines struct {
	queue   chan []byte
	dropped atomic.Int64
}

func (l *lines) Write(p []byte) (int, error) {
	select {
	case l.queue <- bytes.Clone(p): // zap reuses p
	default:
		l.dropped.Add(1)
	}
	return len(p), nil
}

func (l *lines) Sync() error { return nil }

func Example_blockingLog() {
	sink := &lines{queue: make(chan []byte, 1000)}
	written := make(chan error, 1)
	go func() {
		for p := range sink.queue {
			_, _ = os.Stdout.Write(p)
		}
		written <- nil
	}()
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "msg"})
	logger := zap.New(zapcore.NewCore(encoder, sink, zap.WarnLevel))

	err := actor.Run(context.Background(), actor.Config{Logger: logger}, func(t *actor.Tasklet) error {
		logger.Warn("careful") // t.Log().Warn adds who it was
		return nil
	})
	close(sink.queue)
	fmt.Println(err, <-written, sink.dropped.Load())
	// Output:
	// careful
	// <nil> <nil> 0
}

func Example_blockingSelect() {
	simulate(func(t *actor.Tasklet) error {
		type (
			order struct{ n int }
			price struct{ of string }
		)
		// Where a goroutine would select from several channels, a tasklet has one mailbox with
		// several kinds of messages.
		clerk := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[any]) error {
			// the timeout takes the place of time.After
			for m, err := range inbox.ReceiveTimeout(time.Second) {
				switch m := m.(type) {
				case order:
					fmt.Println("order", m.n)
				case price:
					fmt.Println("price of", m.of)
				default:
					fmt.Println(err)
				}
			}
			return nil
		})
		_ = clerk.Send(t, order{7})
		_ = clerk.Send(t, price{"tea"})
		return clerk.Join(t)
	})
	// Output:
	// order 7
	// price of tea
	// timeout
}
