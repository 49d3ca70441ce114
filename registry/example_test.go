package registry_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/registry"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// main is that of an example: it runs f on a virtual clock.
func main(f func(t *actor.Tasklet, r *registry.Registry) error) {
	cfg := actor.Config{Name: "shop", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error { return f(t, registry.Of(t.System())) })
	if err != nil {
		fmt.Println(err)
	}
}

// A name stands for a ref with the type of its messages.
func Example() {
	main(func(t *actor.Tasklet, r *registry.Registry) error {
		greeter := actor.Receiver(t, func(_ *actor.Tasklet, name string) error {
			fmt.Println("Hello,", name)
			return nil
		}, actor.Name("greeter"))
		if err := registry.Register(r, "greeter", greeter); err != nil {
			return err
		}

		// Elsewhere, where only the name is known:
		ref, err := registry.Lookup[string](r, "greeter")
		if err != nil {
			return err
		}
		if err := ref.Send(t, "Ada"); err != nil {
			return err
		}
		t.Yield()

		_, err = registry.Lookup[int](r, "greeter")
		fmt.Println(err)
		fmt.Println(registry.Register(r, "greeter", actor.NewRef[int]()))
		greeter.Close()
		if err := greeter.Join(t); err != nil {
			return err
		}
		_, err = registry.Lookup[string](r, "greeter")
		fmt.Println(err)
		return nil
	})
	// Output:
	// Hello, Ada
	// registry: "greeter" takes messages of type string, not int
	// registry: name "greeter" is taken by /shop/greeter
	// registry: no such name: "greeter"
}

// As lets a child specification carry the name. A restart keeps it.
func ExampleAs() {
	main(func(t *actor.Tasklet, r *registry.Registry) error {
		ref := actor.NewRef[string]()
		handle := func(t *actor.Tasklet, m string) error {
			if m == "crash" {
				return errors.New("boom")
			}
			fmt.Printf("%s handles %q\n", t.Name(), m)
			return nil
		}
		_, err := supervisor.Start(t, supervisor.Spec{Children: []supervisor.Child{
			{ID: "orders", Body: actor.ReceiverBody(ref, handle), Options: []actor.Option{registry.As(r, "orders", ref)}},
		}})
		if err != nil {
			return err
		}
		orders, err := registry.Lookup[string](r, "orders")
		if err != nil {
			return err
		}
		for _, m := range []string{"tea", "crash", "coffee"} {
			if err := orders.Send(t, m); err != nil {
				return err
			}
		}
		t.Sleep(time.Second)
		fmt.Println(r.Names())
		return nil
	})
	// Output:
	// orders handles "tea"
	// orders handles "coffee"
	// [orders]
}

// WaitFor is for those who may come before the one whom they need.
func ExampleWaitFor() {
	main(func(t *actor.Tasklet, r *registry.Registry) error {
		actor.Later(t, time.Minute, func(t *actor.Tasklet) error {
			printer := actor.Receiver(t.System(), func(_ *actor.Tasklet, s string) error { fmt.Println(s); return nil })
			return registry.Register(r, "printer", printer)
		})
		ctx, cancel := actor.WithTimeout(t, time.Second)
		defer cancel()
		_, err := registry.WaitFor[string](ctx, r, "printer")
		fmt.Println(err)
		printer, err := registry.WaitFor[string](t, r, "printer")
		if err != nil {
			return err
		}
		err = printer.Send(t, "there you are")
		t.Yield()
		return err
	})
	// Output:
	// timeout
	// there you are
}

// A broadcast tells who got the message, and who did not.
func ExampleGroup_Broadcast() {
	main(func(t *actor.Tasklet, r *registry.Registry) error {
		g, err := registry.NewGroup[string](r, "listeners")
		if err != nil {
			return err
		}
		for _, name := range []string{"ada", "bob", "cleo"} {
			ref := actor.Receiver(t, func(t *actor.Tasklet, m string) error {
				fmt.Println(t.Name(), "hears", m)
				return nil
			}, actor.Name(name), actor.MailboxLen(1), actor.Overflow(mailbox.Fail))
			if err := g.Join(ref); err != nil {
				return err
			}
			if name == "bob" { // his mailbox is full when the news comes
				if err := ref.Send(t, "something else"); err != nil {
					return err
				}
			}
		}
		sent, err := g.Broadcast(t, "the news")
		fmt.Println("sent to", sent)
		fmt.Println(err)
		var missed *registry.SendError[string]
		if errors.As(err, &missed) {
			fmt.Println(missed.Ref.Name(), "missed it, full:", errors.Is(missed, mailbox.ErrFull))
		}
		t.Yield()
		return nil
	})
	// Output:
	// sent to 2
	// registry: send to /shop/bob: mailbox: full
	// bob missed it, full: true
	// bob hears something else
	// ada hears the news
	// cleo hears the news
}

// ForKey gives the same member for the same key. When one leaves, only its keys move.
func ExampleGroup_ForKey() {
	main(func(t *actor.Tasklet, r *registry.Registry) error {
		g, err := registry.NewGroup[string](r, "workers")
		if err != nil {
			return err
		}
		var refs []actor.Ref[string]
		for _, name := range []string{"ada", "bob", "cleo"} {
			ref := actor.Receiver(t, ignore[string], actor.Name(name))
			refs = append(refs, ref)
			if err := g.Join(ref); err != nil {
				return err
			}
		}
		show := func() {
			var who []string
			for _, customer := range []string{"c1", "c2", "c3", "c4", "c5", "c6"} {
				ref, err := g.ForKey(customer)
				if err != nil {
					panic(err)
				}
				who = append(who, customer+" "+ref.Name())
			}
			fmt.Println(strings.Join(who, ", "))
		}
		show()
		g.Leave(refs[1])
		show()
		return nil
	})
	// Output:
	// c1 cleo, c2 bob, c3 cleo, c4 ada, c5 ada, c6 ada
	// c1 cleo, c2 cleo, c3 cleo, c4 ada, c5 ada, c6 ada
}
