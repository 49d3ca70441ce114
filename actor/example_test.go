package actor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/scheduler"
)

// simulate runs main on a virtual clock, so that hours take no time, and without a log.
func simulate(main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	if err := actor.Run(context.Background(), cfg, main); err != nil {
		fmt.Println("error:", err)
	}
}

// since gives the time on t's clock since it began.
func since(t *actor.Tasklet) time.Duration {
	return t.System().Now().Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC))
}

// The program of the package's documentation.
func Example() {
	type add struct{ n int }
	type total struct{ reply actor.Reply[int] }

	err := actor.Run(context.Background(), actor.Config{Name: "shop"}, func(t *actor.Tasklet) error {
		sum := 0
		counter := actor.Receiver(t, func(t *actor.Tasklet, m any) error {
			switch m := m.(type) {
			case add:
				sum += m.n
			case total:
				return m.reply.Send(t, sum)
			}
			return nil
		}, actor.Name("counter"))

		worker := actor.Go(t, func(t *actor.Tasklet) error {
			for n := 1; n <= 4; n++ {
				t.Sleep(time.Millisecond)
				if err := counter.Send(t, add{n}); err != nil {
					return err
				}
			}
			return nil
		})
		if err := worker.Join(t); err != nil {
			return err
		}
		n, err := actor.Call(t, counter, func(r actor.Reply[int]) any { return total{r} })
		fmt.Println(counter, "has", n)
		return err // and the counter is stopped with its parent
	})
	fmt.Println(err)
	// Output:
	// /shop/counter has 10
	// <nil>
}

func ExampleRun() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // or signal.NotifyContext
	defer cancel()
	err := actor.Run(ctx, actor.Config{}, func(t *actor.Tasklet) error {
		// stopped when main returns
		actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		return errors.New("nothing to do")
	})
	fmt.Println(err)
	// Output: nothing to do
}

// A system beside the rest of a program: ordinary goroutines start tasklets, send, call and join
// with contexts of their own.
func ExampleStart() {
	s, err := actor.Start(actor.Config{Name: "counters"})
	if err != nil {
		panic(err)
	}
	hits := 0
	hit := actor.Receiver(s, func(t *actor.Tasklet, r actor.Reply[int]) error { hits++; return r.Send(t, hits) })

	handler := func(ctx context.Context) (int, error) { // of an HTTP request, say
		return actor.Call(ctx, hit, func(r actor.Reply[int]) actor.Reply[int] { return r })
	}
	for range 2 {
		fmt.Println(handler(context.Background()))
	}
	fmt.Println(s.Stop(context.Background()))
	// Output:
	// 1 <nil>
	// 2 <nil>
	// <nil>
}

func ExampleGo() {
	simulate(func(t *actor.Tasklet) error {
		for i := range 3 {
			actor.Go(t, func(t *actor.Tasklet) error {
				t.Sleep(time.Duration(3-i) * time.Second)
				fmt.Println(t.Name(), since(t))
				return nil
			}, actor.Name(fmt.Sprint("worker-", i)))
		}
		_, err := t.JoinChildren(t)
		return err
	})
	// Output:
	// worker-2 1s
	// worker-1 2s
	// worker-0 3s
}

func ExampleNew() {
	simulate(func(t *actor.Tasklet) error {
		answer := actor.New(t, func(t *actor.Tasklet) (int, error) { t.Sleep(time.Hour); return 42, nil })
		wrong := actor.New(t, func(t *actor.Tasklet) (int, error) { panic("no idea") }, actor.Name("wrong"))
		fmt.Println(answer.Join(t))
		fmt.Println(wrong.Join(t))
		return nil
	})
	// Output:
	// 42 <nil>
	// 0 /tasklet/wrong: panic: no idea
}

func ExampleReceiver() {
	simulate(func(t *actor.Tasklet) error {
		words := actor.Receiver(t, func(t *actor.Tasklet, word string) error {
			if word == "" {
				return errors.New("no word") // is logged, and the next one is handled
			}
			fmt.Println(word)
			return nil
		}, actor.MailboxLen(10)) // a sender that finds it full is parked
		for _, w := range []string{"one", "", "two"} {
			if err := words.Send(t, w); err != nil {
				return err
			}
		}
		words.Close() // what is queued is handled
		return words.Join(t)
	})
	// Output:
	// one
	// two
}

// A configuration comes before the orders that wait.
func ExampleUrgent() {
	simulate(func(t *actor.Tasklet) error {
		type config struct{ price int }
		type order struct{ n int }
		price := 1
		shop := actor.Receiver(t, func(t *actor.Tasklet, m any) error {
			switch m := m.(type) {
			case config:
				price = m.price
			case order:
				fmt.Println(m.n, "at", price, "each")
				t.Sleep(time.Second)
			}
			return nil
		}, actor.Urgent(func(m any) bool { _, is := m.(config); return is }))
		for n := range 3 {
			if err := shop.Send(t, order{n + 1}); err != nil {
				return err
			}
		}
		t.Sleep(time.Second / 2)
		_ = shop.Send(t, config{price: 5})
		shop.Close()
		return shop.Join(t)
	})
	// Output:
	// 1 at 1 each
	// 2 at 5 each
	// 3 at 5 each
}

func ExampleBatchReceiver() {
	simulate(func(t *actor.Tasklet) error {
		rows := actor.BatchReceiver(t, 3, time.Second, func(t *actor.Tasklet, rows []int) error {
			fmt.Println(since(t), rows)
			return nil
		})
		for i := range 5 { // three at once, and the rest after a second
			if err := rows.Send(t, i); err != nil {
				return err
			}
		}
		t.Sleep(time.Minute)
		return nil
	})
	// Output:
	// 0s [0 1 2]
	// 1s [3 4]
}

func ExampleSpawn() {
	simulate(func(t *actor.Tasklet) error {
		sum := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			sum := 0
			for n := range inbox.Receive() {
				sum += n
			}
			fmt.Println(sum)
			return nil
		})
		for n := range 5 {
			if err := sum.Send(t, n); err != nil {
				return err
			}
		}
		sum.Close() // ends the loop
		return sum.Join(t)
	})
	// Output: 10
}

func ExampleSpawn_receiveTimeout() {
	simulate(func(t *actor.Tasklet) error {
		ref := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			for m, err := range inbox.ReceiveTimeout(time.Minute) {
				if err != nil {
					fmt.Println("nothing for a minute:", err)
					break
				}
				fmt.Println(since(t), m)
			}
			return nil
		})
		actor.SendAfter(t, 50*time.Second, ref, "a")
		actor.SendAfter(t, 100*time.Second, ref, "b")
		return ref.Join(t)
	})
	// Output:
	// 50s a
	// 1m40s b
	// nothing for a minute: timeout
}

func ExampleSpawn_receiveBatch() {
	simulate(func(t *actor.Tasklet) error {
		ref := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			for batch := range inbox.ReceiveBatch(4, time.Second) {
				fmt.Println(batch)
			}
			return nil
		})
		for i := range 6 {
			if err := ref.Send(t, i); err != nil {
				return err
			}
		}
		ref.Close()
		return ref.Join(t)
	})
	// Output:
	// [0 1 2 3]
	// [4 5]
}

// The selective receive: what does not match stays in its order.
func ExampleSpawn_match() {
	simulate(func(t *actor.Tasklet) error {
		ref := actor.Spawn(t, func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			urgent, err := inbox.Match(t, func(m string) bool { return strings.HasPrefix(m, "urgent") })
			if err != nil {
				return err
			}
			fmt.Println(urgent)
			for m := range inbox.Receive() {
				fmt.Println(m)
			}
			return nil
		})
		for _, m := range []string{"a", "b", "urgent c", "d"} {
			if err := ref.Send(t, m); err != nil {
				return err
			}
		}
		ref.Close()
		return ref.Join(t)
	})
	// Output:
	// urgent c
	// a
	// b
	// d
}

func ExampleInterval() {
	simulate(func(t *actor.Tasklet) error {
		actor.Interval(t, time.Minute, func(t *actor.Tasklet) error {
			fmt.Println("tick", since(t))
			return nil
		}, actor.Immediate())
		t.Sleep(150 * time.Second)
		return nil
	})
	// Output:
	// tick 0s
	// tick 1m0s
	// tick 2m0s
}

// The calls aim at fixed times, however long each of them takes.
func ExampleRate() {
	simulate(func(t *actor.Tasklet) error {
		actor.Rate(t, 2, func(t *actor.Tasklet, now time.Time) error {
			fmt.Println(since(t))
			t.Sleep(100 * time.Millisecond)
			return nil
		})
		t.Sleep(1600 * time.Millisecond)
		return nil
	})
	// Output:
	// 500ms
	// 1s
	// 1.5s
}

// So many a second: a channel with room for the burst that is allowed, and a tick that puts a token
// in if there is room.
func ExampleRate_limit() {
	simulate(func(t *actor.Tasklet) error {
		tokens := scheduler.NewChan[struct{}](3)
		actor.Rate(t, 10, func(*actor.Tasklet, time.Time) error { tokens.TrySend(struct{}{}); return nil })

		// the tokens of a minute in which nobody wants one are not saved
		t.Sleep(time.Minute + 50*time.Millisecond)
		start := t.System().Now()
		for n := range 6 {
			if _, err := tokens.Receive(t); err != nil {
				return err
			}
			fmt.Println("request", n, "after", t.System().Now().Sub(start))
		}
		return nil
	})
	// Output:
	// request 0 after 0s
	// request 1 after 0s
	// request 2 after 0s
	// request 3 after 50ms
	// request 4 after 150ms
	// request 5 after 250ms
}

func ExampleLater() {
	simulate(func(t *actor.Tasklet) error {
		reminder := actor.Later(t, time.Hour, func(t *actor.Tasklet) error { fmt.Println("tea is ready"); return nil })
		return reminder.Join(t)
	})
	// Output: tea is ready
}

func ExampleLoop() {
	simulate(func(t *actor.Tasklet) error {
		n := 0
		l := actor.Loop(t, func(t *actor.Tasklet) error {
			switch n++; n {
			case 2:
				return errors.New("oh") // is logged; the loop goes on after a second
			case 4:
				return actor.ErrStop
			}
			fmt.Println("round", n, since(t))
			return nil
		})
		return l.Join(t)
	})
	// Output:
	// round 1 0s
	// round 3 1s
}

type lookup struct {
	key   string
	reply actor.Reply[int]
}

func ExampleCall() {
	simulate(func(t *actor.Tasklet) error {
		prices := actor.Receiver(t, func(t *actor.Tasklet, q lookup) error {
			switch q.key {
			case "tea":
				return q.reply.Send(t, 3)
			case "gold":
				return q.reply.Fail(t, errors.New("not for sale"))
			}
			return nil // no reply: the caller is told
		})
		for _, key := range []string{"tea", "gold", "air"} {
			fmt.Println(actor.Call(t, prices, func(r actor.Reply[int]) lookup { return lookup{key, r} }))
		}
		return nil
	})
	// Output:
	// 3 <nil>
	// 0 not for sale
	// 0 actor: request was handled without a reply
}

// A receiver that must not be held up hands requests to others.
func ExampleReply_Delegate() {
	simulate(func(t *actor.Tasklet) error {
		desk := actor.Receiver(t, func(t *actor.Tasklet, q lookup) error {
			q.reply.Delegate(actor.Go(t, func(t *actor.Tasklet) error {
				t.Sleep(time.Hour) // meanwhile the desk takes other requests
				return q.reply.Send(t, len(q.key))
			}))
			return nil
		})
		for _, key := range []string{"tea", "coffee"} {
			actor.Go(t, func(t *actor.Tasklet) error {
				n, err := actor.Call(t, desk, func(r actor.Reply[int]) lookup { return lookup{key, r} })
				fmt.Println(key, n, since(t))
				return err
			})
		}
		t.Sleep(2 * time.Hour)
		return nil
	})
	// Output:
	// tea 3 1h0m0s
	// coffee 6 1h0m0s
}

// A call that blocks in a way that the scheduler can't see runs on another goroutine.
func ExampleAwait() {
	simulate(func(t *actor.Tasklet) error {
		sum, err := actor.Await(t, func(ctx context.Context) (int, error) {
			sum := 0 // a query, a request with ctx, a long computation
			for n := range 1000 {
				sum += n
			}
			return sum, nil
		})
		fmt.Println(sum, err)
		return nil
	})
	// Output: 499500 <nil>
}

// Await without waiting: the result comes as a message.
func ExamplePipe() {
	type fetched struct {
		body string
		err  error
	}
	simulate(func(t *actor.Tasklet) error {
		pages := actor.NewRef[fetched]()
		reader := actor.StartTasklet(t, actor.SpawnBody(pages, func(t *actor.Tasklet, inbox *mailbox.Mailbox[fetched]) error {
			actor.Pipe(t, func(ctx context.Context) (string, error) { return "<html>", nil }, pages,
				func(body string, err error) fetched { return fetched{body, err} })
			fmt.Println("asked for") // and free for other messages
			m, err := inbox.Next(t)
			fmt.Println("got", m.body, m.err)
			return err
		}))
		return reader.Join(t)
	})
	// Output:
	// asked for
	// got <html> <nil>
}

func ExampleWatch() {
	simulate(func(t *actor.Tasklet) error {
		worker := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Minute); return errors.New("out of paper") }, actor.Name("printer"))
		ends := actor.NewRef[actor.Exit]()
		watcher := actor.StartTasklet(t, actor.SpawnBody(ends, func(t *actor.Tasklet, inbox *mailbox.Mailbox[actor.Exit]) error {
			actor.Watch(t, worker, ends, func(e actor.Exit) actor.Exit { return e })
			e, err := inbox.Next(t)
			fmt.Println(e.Path, e.Kind, e.Err)
			return err
		}))
		return watcher.Join(t)
	})
	// Output: /tasklet/printer error out of paper
}

// The watch of a ref goes on over the restarts of its tasklet, and tells of the end after which
// there is none.
func ExampleWatch_ref() {
	simulate(func(t *actor.Tasklet) error {
		desk := actor.NewRef[string](actor.Name("desk"))
		body := actor.ReceiverBody(desk, func(_ *actor.Tasklet, job string) error { return errors.New(job + " failed") })
		ends := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Exit) error { fmt.Println(e.Path, e.Kind); return nil })
		actor.Watch(t, desk, ends, func(e actor.Exit) actor.Exit { return e })
		slot, err := actor.NewSlot(t, body, nil)
		if err != nil {
			return err
		}
		for range 2 { // as a supervisor does
			k, err := slot.Start(t)
			if err != nil {
				return err
			}
			_ = desk.Send(t, "printing")
			fmt.Println(k.Join(t))
		}
		slot.Retire()
		t.Sleep(time.Second)
		return nil
	})
	// Output:
	// /tasklet/desk: printing failed
	// /tasklet/desk: printing failed
	// /tasklet/desk error
}

func ExampleSendAfter() {
	simulate(func(t *actor.Tasklet) error {
		ref := actor.Receiver(t, func(t *actor.Tasklet, m string) error { fmt.Println(since(t), m); return nil })
		actor.SendAfter(t, time.Minute, ref, "time is up")
		never := actor.SendAfter(t, time.Minute, ref, "never sent")
		fmt.Println(never.Stop())
		t.Sleep(time.Hour)
		return nil
	})
	// Output:
	// true
	// 1m0s time is up
}

// A sender of another type of messages sends to an adapted ref.
func ExampleAdapt() {
	simulate(func(t *actor.Tasklet) error {
		log := actor.Receiver(t, func(t *actor.Tasklet, line string) error { fmt.Println(line); return nil })
		numbers := actor.Adapt(log, func(n int) string { return fmt.Sprintf("number %d", n) })
		if err := numbers.Send(t, 7); err != nil {
			return err
		}
		log.Close()
		return log.Join(t)
	})
	// Output: number 7
}

var requestID = actor.NewLocal(func() string { return "none" })

func ExampleLocal() {
	simulate(func(t *actor.Tasklet) error {
		k := actor.Go(t, func(t *actor.Tasklet) error {
			requestID.Set(t, "r-17")
			return actor.Go(t, func(t *actor.Tasklet) error {
				fmt.Println(requestID.Get(t)) // its parent's
				return nil
			}).Join(t)
		})
		err := k.Join(t)
		fmt.Println(requestID.Get(t))
		return err
	})
	// Output:
	// r-17
	// none
}

// A kill is raised where the tasklet waits. A body that recovers it goes on; most only clean up,
// and lets it through.
func ExampleTasklet_Kill() {
	simulate(func(t *actor.Tasklet) error {
		k := actor.Go(t, func(t *actor.Tasklet) error {
			func() {
				defer func() {
					if exit, ok := recover().(*actor.Killed); ok {
						fmt.Println("not yet:", exit)
					}
				}()
				t.Sleep(time.Hour)
			}()
			defer fmt.Println("cleaned up")
			t.Sleep(time.Hour)
			return nil
		}, actor.Name("worker"))
		for range 2 {
			t.Sleep(time.Minute)
			k.Kill()
		}
		fmt.Println(k.Join(t))
		return nil
	})
	// Output:
	// not yet: /tasklet/worker killed
	// cleaned up
	// /tasklet/worker: actor: killed
}

// A receiver has no stack for Go's defer while it waits for messages.
func ExampleTasklet_Defer() {
	simulate(func(t *actor.Tasklet) error {
		ref := actor.NewRef[string]()
		actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
			fmt.Println("open the file")
			t.Defer(func() { fmt.Println("close the file") })
			return func(t *actor.Tasklet, line string) error { fmt.Println("write", line); return nil }, nil
		}))
		if err := ref.Send(t, "hello"); err != nil {
			return err
		}
		t.Sleep(time.Second)
		ref.Kill()
		_ = ref.Join(t)
		return nil
	})
	// Output:
	// open the file
	// write hello
	// close the file
}

func ExampleJoinAll() {
	simulate(func(t *actor.Tasklet) error {
		var ks []*actor.Task[int]
		for i := range 3 {
			ks = append(ks, actor.New(t, func(t *actor.Tasklet) (int, error) {
				if i == 1 {
					return 0, errors.New("bad luck")
				}
				return i * i, nil
			}, actor.Name(fmt.Sprint("w", i))))
		}
		results, err := actor.JoinAll(t, ks...)
		for _, r := range results {
			fmt.Println(r.Value, r.Err)
		}
		return err
	})
	// Output:
	// 0 <nil>
	// 0 /tasklet/w1: bad luck
	// 4 <nil>
}

func ExampleTasklet_Tree() {
	simulate(func(t *actor.Tasklet) error {
		sleep := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
		actor.Go(t, func(t *actor.Tasklet) error {
			actor.Go(t, sleep, actor.Name("a1"))
			actor.Go(t, sleep, actor.Name("a2"))
			return sleep(t)
		}, actor.Name("a"))
		actor.Receiver(t, func(*actor.Tasklet, int) error { return nil }, actor.Name("b"))
		t.Yield()
		for k, level := range t.Tree() {
			fmt.Printf("%s%s: %s\n", strings.Repeat("  ", level), k.Name(), k.Info().Kind)
		}
		return nil
	})
	// Output:
	// tasklet: main
	//   a: task
	//     a1: task
	//     a2: task
	//   b: receiver
}

// A limit for one wait, on the clock of the tasklet's system.
func ExampleWithTimeout() {
	simulate(func(t *actor.Tasklet) error {
		slow := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		ctx, cancel := actor.WithTimeout(t, time.Minute)
		defer cancel()
		err := slow.Join(ctx)
		fmt.Println(err, errors.Is(err, context.DeadlineExceeded), since(t))
		return nil
	})
	// Output: timeout true 1m0s
}

// A deadlock is refused when it forms.
func ExampleDeadlockError() {
	simulate(func(t *actor.Tasklet) error {
		var a, b actor.Ref[lookup]
		ask := func(to *actor.Ref[lookup]) func(*actor.Tasklet, lookup) error {
			return func(t *actor.Tasklet, q lookup) error {
				n, err := actor.Call(t, *to, func(r actor.Reply[int]) lookup { return lookup{q.key, r} })
				if err != nil {
					return q.reply.Fail(t, err)
				}
				return q.reply.Send(t, n)
			}
		}
		a = actor.Receiver(t, ask(&b), actor.Name("a"))
		b = actor.Receiver(t, ask(&a), actor.Name("b"))
		_, err := actor.Call(t, a, func(r actor.Reply[int]) lookup { return lookup{"x", r} })
		fmt.Println(err)
		return nil
	})
	// Output: deadlock: /tasklet/b in call to /tasklet/a, /tasklet/a in call to /tasklet/b
}

// Two schedulers work at the same time; what they have done comes back by messages.
func ExampleOnScheduler() {
	err := actor.Run(context.Background(), actor.Config{Schedulers: 2}, func(t *actor.Tasklet) error {
		total, parts := 0, 2
		sum := actor.Receiver(t, func(_ *actor.Tasklet, part int) error {
			total += part // on the scheduler of main, as this runs
			if parts--; parts == 0 {
				return actor.ErrStop
			}
			return nil
		})
		for n := range t.System().Schedulers() {
			actor.Go(t, func(t *actor.Tasklet) error {
				part := 0
				for i := n; i <= 1000; i += 2 {
					part += i
				}
				return sum.Send(t, part)
			}, actor.OnScheduler(n))
		}
		if err := sum.Join(t); err != nil {
			return err
		}
		fmt.Println("the numbers to 1000 add up to", total)
		return nil
	})
	fmt.Println(err)
	// Output:
	// the numbers to 1000 add up to 500500
	// <nil>
}

// A slot is started again in its place, and its ref holds what is sent meanwhile.
func ExampleSlot() {
	simulate(func(t *actor.Tasklet) error {
		desk := actor.NewRef[string](actor.Name("desk"))
		body := actor.ReceiverBody(desk, func(_ *actor.Tasklet, job string) error {
			fmt.Println(job)
			if job == "crash" {
				return errors.New("out of paper")
			}
			return nil
		})
		onEnd := func(e actor.Exit) { fmt.Println(e.Path, e.Kind, e.Err) }
		slot, err := actor.NewSlot(t, body, onEnd)
		if err != nil {
			return err
		}
		if _, err := slot.Start(t); err != nil {
			return err
		}
		_ = desk.Send(t, "crash")
		_ = desk.Send(t, "print")
		t.Sleep(time.Second)
		fmt.Println(slot.Info().State, desk.Len())
		if _, err := slot.Start(t); err != nil {
			return err
		}
		t.Sleep(time.Second)
		if err := slot.Stop(t); err != nil {
			return err
		}
		slot.Retire()
		fmt.Println(desk.Send(t, "more"))
		return nil
	})
	// Output:
	// crash
	// /tasklet/desk error out of paper
	// ended 1
	// print
	// mailbox: closed
}

// Started waits for the init of a tasklet.
func ExampleTasklet_Started() {
	simulate(func(t *actor.Tasklet) error {
		db := actor.NewRef[string](actor.Name("db"))
		connect := func(t *actor.Tasklet) (func(*actor.Tasklet, string) error, error) {
			return nil, errors.New("connection refused")
		}
		fmt.Println(actor.StartTasklet(t, actor.ReceiverInitBody(db, connect)).Started(t))
		return nil
	})
	// Output: connection refused
}

// visits counts the visits of each system, and tells of them.
var (
	visits  = actor.NewExtension(func(*actor.System) *atomic.Int64 { return new(atomic.Int64) })
	visited = event.New("visited", zap.InfoLevel)
)

func ExampleExtension() {
	simulate(func(t *actor.Tasklet) error {
		n := visits.Of(t.System()).Add(1)
		visits.Emit(t.System(), actor.EventRecord{Kind: visited, Tasklet: t})()
		fmt.Println(n, visited)
		return nil
	})
	// Output: 1 visited
}

// What a mailbox drops, or a failure loses, goes to a receiver of dead letters. A daemon gets all
// of it if the system is drained.
func ExampleDeadLetters() {
	simulate(func(t *actor.Tasklet) error {
		letters := actor.Receiver(t, func(t *actor.Tasklet, d actor.DeadLetter) error {
			fmt.Println(d.Kind, d.Message, d.Err)
			return nil
		}, actor.Daemon())
		cancel := actor.DeadLetters(t.System(), letters)
		defer cancel()

		orders := actor.Receiver(t, func(t *actor.Tasklet, order string) error {
			if order == "umbrella" {
				return errors.New("sold out")
			}
			return nil
		}, actor.MailboxLen(2), actor.Overflow(mailbox.DropNewest), actor.OnFailure(actor.End))
		for _, order := range []string{"umbrella", "hat", "scarf"} {
			_ = orders.Send(t, order)
		}
		t.Sleep(time.Second)
		return nil
	})
	// Output:
	// dead_letter scarf mailbox: dropped by the overflow policy
	// message_lost umbrella sold out
	// dead_letter hat mailbox: closed
}

// A hook around every handler of a system measures the time that each takes.
func ExampleHook() {
	timing := func(ctx context.Context, m any, next func(context.Context) error) error {
		t := actor.Current(ctx)
		start := t.System().Now()
		defer func() { // also after a panic
			fmt.Println(t.Name(), m, t.System().Now().Sub(start))
		}()
		return next(ctx)
	}
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop(), Around: timing}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, order string) error {
			t.Sleep(time.Duration(len(order)) * time.Second)
			return nil
		}, actor.Name("orders"))
		_, _ = orders.Send(t, "hat"), orders.Send(t, "scarf")
		orders.Close()
		return orders.Join(t)
	})
	fmt.Println(err)
	// Output:
	// orders hat 3s
	// orders scarf 5s
	// <nil>
}

// A hook of one tasklet refuses messages.
func ExampleAround() {
	simulate(func(t *actor.Tasklet) error {
		small := func(ctx context.Context, m any, next func(context.Context) error) error {
			if m.(int) > 100 {
				fmt.Println(m, "is refused")
				return nil // it is handled
			}
			return next(ctx)
		}
		amounts := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
			fmt.Println(n)
			return nil
		}, actor.Around(small))
		_, _ = amounts.Send(t, 50), amounts.Send(t, 500)
		amounts.Close()
		return amounts.Join(t)
	})
	// Output:
	// 50
	// 500 is refused
}

// An order carries the number of the request that it is a part of.
type carriedOrder struct {
	article string
	request int
}

type requestKey struct{}

func (o carriedOrder) Carry(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, o.request)
}

// Messages carry values to the handler, which finds them in its context, and so does what it calls.
func ExampleCarrier() {
	simulate(func(t *actor.Tasklet) error {
		log := func(ctx context.Context, text string) {
			fmt.Printf("request %v: %s\n", ctx.Value(requestKey{}), text)
		}
		orders := actor.Receiver(t, func(t *actor.Tasklet, o carriedOrder) error {
			log(t.Context(), o.article)
			return nil
		})
		_, _ = orders.Send(t, carriedOrder{"hat", 17}), orders.Send(t, carriedOrder{"scarf", 18})
		orders.Close()
		return orders.Join(t)
	})
	// Output:
	// request 17: hat
	// request 18: scarf
}

// A hook gives the handler a context of its own.
func ExampleTasklet_Context() {
	type user struct{}
	authorize := func(ctx context.Context, m any, next func(context.Context) error) error {
		return next(context.WithValue(ctx, user{}, "alice"))
	}
	simulate(func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, article string) error {
			ctx, cancel := actor.WithTimeout(t.Context(), time.Second)
			defer cancel()
			fmt.Println(ctx.Value(user{}), "orders a", article, actor.Sleep(ctx, time.Hour))
			return nil
		}, actor.Around(authorize))
		_ = orders.Send(t, "hat")
		orders.Close()
		return orders.Join(t)
	})
	// Output:
	// alice orders a hat timeout
}
