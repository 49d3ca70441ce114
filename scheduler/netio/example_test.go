package netio_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// An echo server, with a tasklet for each connection, and a client, all on one scheduler.
func Example() {
	err := actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		l, err := netio.Listen(t, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := actor.Go(t, func(t *actor.Tasklet) error {
			for c, err := range l.All() { // parks only this tasklet; ends when l is closed
				if err != nil {
					t.Log().Warn("accept", zap.Error(err)) // the loop continues
					continue
				}
				actor.Go(t, func(t *actor.Tasklet) error {
					defer c.Close() // also when the tasklet is killed
					_, err := io.Copy(c, c)
					return err
				})
			}
			return nil
		})

		c, err := netio.Dial(t, "tcp", l.Addr().String())
		if err != nil {
			return err
		}
		fmt.Fprintln(c, "Hello!")
		line, err := bufio.NewReader(c).ReadString('\n')
		fmt.Print(line)
		c.Close()
		l.Close()
		return errors.Join(err, server.Join(t))
	})
	fmt.Println(err)
	// Output:
	// Hello!
	// <nil>
}

// Wrap makes a connection of package net usable in a tasklet.
func ExampleWrap() {
	err := actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		here, there := net.Pipe()
		go func() { // an ordinary goroutine
			fmt.Fprintln(there, "from outside")
			there.Close()
		}()
		text, err := io.ReadAll(netio.Wrap(t, here))
		fmt.Printf("%q\n", text)
		return err
	})
	fmt.Println(err)
	// Output:
	// "from outside\n"
	// <nil>
}

func ExampleListenPacket() {
	err := actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		c, err := netio.ListenPacket(t, "udp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := c.WriteTo([]byte("to myself"), c.LocalAddr()); err != nil {
			return err
		}
		b := make([]byte, 100)
		n, _, err := c.ReadFrom(b)
		fmt.Printf("%s\n", b[:n])
		return err
	})
	fmt.Println(err)
	// Output:
	// to myself
	// <nil>
}
