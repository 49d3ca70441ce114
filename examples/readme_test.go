// Package examples tests the programs of docs/start.md.
package examples

import (
	"context"
	"fmt"

	"github.com/gotasklet/tasklet/actor"
)

func Example() {
	err := actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		greeter := actor.Receiver(t, func(t *actor.Tasklet, name string) error {
			fmt.Println("Hello,", name)
			return nil
		}, actor.MailboxLen(2)) // a third message waits for room
		for _, name := range []string{"Ada", "Grace", "Barbara"} {
			if err := greeter.Send(t, name); err != nil {
				return err
			}
		}
		greeter.Close()        // no more messages: it ends when it has handled these
		return greeter.Join(t) // nil, or why it failed
	})

	fmt.Println(err)
	// Output:
	// Hello, Ada
	// Hello, Grace
	// Hello, Barbara
	// <nil>
}
