// Command hollywood is the part of the comparison that uses the remote of
// github.com/anthdm/hollywood.
package main

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/anthdm/hollywood/actor"
	"github.com/anthdm/hollywood/remote"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/internal/between"
	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/peers/play"
)

func main() { play.Main(play.Library{There: there, Here: here}) }

func engine() (*actor.Engine, error) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0") // its remote does not tell which port it got
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	return actor.NewEngine(actor.NewEngineConfig().WithRemote(remote.New(address, remote.NewConfig())))
}

func there(counter *between.Counter) (string, error) {
	e, err := engine()
	if err != nil {
		return "", err
	}
	var sender *actor.PID
	var every uint64
	e.SpawnFunc(func(c *actor.Context) {
		switch m := c.Message().(type) {
		case *wrapperspb.UInt64Value: // a stream begins
			sender, every = c.Sender(), m.Value
		case *wrapperspb.BytesValue:
			if got := uint64(counter.Got(play.Number(m))); got%every == 0 {
				c.Send(sender, wrapperspb.UInt64(got))
			}
		}
	}, "receiver", actor.WithID("1"))
	e.SpawnFunc(func(c *actor.Context) {
		if m, ok := c.Message().(*wrapperspb.BytesValue); ok {
			c.Respond(wrapperspb.UInt64(play.Number(m)))
		}
	}, "callee", actor.WithID("1"))
	return e.Address(), nil
}

type sender struct {
	engine           *actor.Engine
	streams          *actor.PID
	receiver, callee *actor.PID
	window           *play.Window // owned by the actor streams
}

func here(address string) (play.Sender, error) {
	e, err := engine()
	if err != nil {
		return nil, err
	}
	s := &sender{
		engine:   e,
		receiver: actor.NewPID(address, "receiver/1"),
		callee:   actor.NewPID(address, "callee/1"),
	}
	s.streams = e.SpawnFunc(s.receive, "streams", actor.WithID("1"))
	return s, nil
}

func (s *sender) receive(c *actor.Context) {
	switch m := c.Message().(type) {
	case *play.Window:
		s.window = m
		c.Send(s.receiver, wrapperspb.UInt64(m.Every()))
	case *wrapperspb.UInt64Value:
		s.window.Ack(m.Value)
	default:
		return
	}
	for number, ok := s.window.Next(); ok; number, ok = s.window.Next() {
		c.Send(s.receiver, play.Message(number))
	}
}

func (s *sender) Stream(n, window int) { s.engine.Send(s.streams, play.NewWindow(n, window)) }

func (s *sender) Call(number uint64) (uint64, error) {
	v, err := s.engine.Request(s.callee, play.Message(number), 10*time.Second).Result()
	if err != nil {
		return 0, err
	}
	answer, ok := v.(*wrapperspb.UInt64Value)
	if !ok {
		return 0, fmt.Errorf("the answer is a %T", v)
	}
	return answer.Value, nil
}
