package supervisor_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/supervisor"
)

// The logs in testdata/golden: commands, and everything that happens because of them.
func TestGolden(t *testing.T) {
	actortest.Golden(t, "testdata/golden/*.txt", map[string]actortest.Command{
		// supervise STRATEGY CHILD... [intensity=N] [restart=TYPE] [backoff=DURATION]
		"supervise": func(s *actortest.Script) error {
			spec := supervisor.Spec{Name: "sup"}
			if n := s.Options["intensity"]; n != "" {
				spec.Intensity, _ = strconv.Atoi(n)
			}
			if d := s.Options["backoff"]; d != "" {
				spec.Backoff.Min, _ = time.ParseDuration(d)
			}
			for _, strategy := range []supervisor.Strategy{supervisor.OneForOne, supervisor.OneForAll, supervisor.RestForOne} {
				if strategy.String() == s.Arg(0) {
					spec.Strategy = strategy
				}
			}
			for _, id := range s.Args[1:] {
				ref := actor.NewRef[actortest.Message]()
				s.Add(id, ref)
				c := supervisor.Child{ID: id, Body: actor.ReceiverBody(ref, s.Handle(id))}
				for _, restart := range []supervisor.Restart{supervisor.Permanent, supervisor.Transient, supervisor.Temporary} {
					if restart.String() == s.Options["restart"] {
						c.Restart = restart
					}
				}
				spec.Children = append(spec.Children, c)
			}
			sup, err := supervisor.Start(s.T, spec)
			*supervised(s) = sup
			return err
		},
		// stop CHILD, restart CHILD and delete CHILD are the calls.
		"stop": func(s *actortest.Script) error { return (*supervised(s)).StopChild(s.T, s.Arg(0)) },
		"restart": func(s *actortest.Script) error {
			_, err := (*supervised(s)).RestartChild(s.T, s.Arg(0))
			return err
		},
		"delete": func(s *actortest.Script) error { return (*supervised(s)).DeleteChild(s.T, s.Arg(0)) },
		"children": func(s *actortest.Script) error {
			s.Printf("%s", states(s.T, *supervised(s)))
			return nil
		},
		// join waits for the end of the supervisor.
		"join": func(s *actortest.Script) error {
			return fmt.Errorf("the supervisor ended: %w", (*supervised(s)).Tasklet().Join(s.T))
		},
	})
}

var supervisors = actor.NewExtension(func(*actor.System) **supervisor.Supervisor { return new(*supervisor.Supervisor) })

// supervised is where a script has its supervisor.
func supervised(s *actortest.Script) **supervisor.Supervisor { return supervisors.Of(s.T.System()) }
