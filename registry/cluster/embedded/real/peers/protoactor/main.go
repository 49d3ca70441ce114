// Command protoactor is the part of the comparison that uses the remote of
// github.com/asynkron/protoactor-go.
package main

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/internal/between"
	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/peers/play"
)

func main() { play.Main(play.Library{There: there, Here: here}) }

func system() *actor.ActorSystem {
	quiet := slog.New(slog.DiscardHandler)
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return quiet }))
	remote.NewRemote(system, remote.Configure("127.0.0.1", 0)).Start()
	return system
}

func there(counter *between.Counter) (string, error) {
	s := system()
	var sender *actor.PID
	var every uint64
	_, err := s.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *wrapperspb.UInt64Value: // a stream begins
			sender, every = c.Sender(), m.Value
		case *wrapperspb.BytesValue:
			if got := uint64(counter.Got(play.Number(m))); got%every == 0 {
				c.Send(sender, wrapperspb.UInt64(got))
			}
		}
	}), "receiver")
	if err != nil {
		return "", err
	}
	_, err = s.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
		if m, ok := c.Message().(*wrapperspb.BytesValue); ok {
			c.Respond(wrapperspb.UInt64(play.Number(m)))
		}
	}), "callee")
	return s.Address(), err
}

type sender struct {
	root             *actor.RootContext
	streams          *actor.PID
	receiver, callee *actor.PID
	window           *play.Window // owned by the actor streams
}

func here(address string) (play.Sender, error) {
	s := &sender{
		root:     system().Root,
		receiver: actor.NewPID(address, "receiver"),
		callee:   actor.NewPID(address, "callee"),
	}
	var err error
	s.streams, err = s.root.SpawnNamed(actor.PropsFromFunc(s.receive), "streams")
	return s, err
}

func (s *sender) receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *play.Window:
		s.window = m
		c.Request(s.receiver, wrapperspb.UInt64(m.Every())) // with the sender, unlike Send
	case *wrapperspb.UInt64Value:
		s.window.Ack(m.Value)
	default:
		return
	}
	for number, ok := s.window.Next(); ok; number, ok = s.window.Next() {
		c.Send(s.receiver, play.Message(number))
	}
}

func (s *sender) Stream(n, window int) { s.root.Send(s.streams, play.NewWindow(n, window)) }

func (s *sender) Call(number uint64) (uint64, error) {
	v, err := s.root.RequestFuture(s.callee, play.Message(number), 10*time.Second).Result()
	if err != nil {
		return 0, err
	}
	answer, ok := v.(*wrapperspb.UInt64Value)
	if !ok {
		return 0, fmt.Errorf("the answer is a %T", v)
	}
	return answer.Value, nil
}
