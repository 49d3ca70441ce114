// Hello is the program of README.md: a supervised greeter that fails once. The log shows the
// failure, the restart and, after two seconds, the supervision tree.
//
//	go run ./examples/hello
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor"
)

var logger = zap.Must(zap.NewDevelopment(zap.IncreaseLevel(zap.InfoLevel), zap.WithCaller(false)))

var config = actor.Config{Name: "hello", Logger: logger}

func main() {
	err := actor.Run(context.Background(), config, func(t *actor.Tasklet) error {
		greeter := actor.NewRef[string](actor.MailboxLen(8)) // an address with a mailbox
		_, err := supervisor.Start(t, supervisor.Spec{
			Name:     "front",
			Children: []supervisor.Child{{ID: "greeter", Body: actor.ReceiverBody(greeter, greet)}},
			LogEvery: 2 * time.Second,
		})
		if err != nil {
			return err
		}
		for _, name := range []string{"Ada", "", "Grace"} {
			if err := greeter.Send(t, name); err != nil { // waits while the mailbox is full
				return err
			}
		}
		t.Sleep(3 * time.Second)
		return nil // Run stops the supervisor, which stops the greeter
	})
	if err != nil {
		log.Fatal(err)
	}
}

func greet(t *actor.Tasklet, name string) error {
	if name == "" {
		return errors.New("no name") // the greeter fails, and the supervisor restarts it
	}
	fmt.Println("Hello,", name)
	return nil
}
