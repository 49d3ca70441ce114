package registry_test

import (
	"strings"
	"testing"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/registry"
)

// The logs in testdata/golden: commands, and everything that happens because of them.
func TestGolden(t *testing.T) {
	type ref = actor.Ref[actortest.Message]
	names := func(refs []ref) string {
		var texts []string
		for _, r := range refs {
			texts = append(texts, r.Name())
		}
		return strings.Join(texts, " ")
	}
	group := func(s *actortest.Script, f func(g *registry.Group[actortest.Message]) error) error {
		g, err := registry.NewGroup[actortest.Message](registry.Of(s.T.System()), s.Arg(0))
		if err != nil {
			return err
		}
		return f(g)
	}
	actortest.Golden(t, "testdata/golden/*.txt", map[string]actortest.Command{
		// register NAME TASKLET, lookup NAME, unregister NAME, names
		"register": func(s *actortest.Script) error {
			return registry.Register(registry.Of(s.T.System()), s.Arg(0), s.Ref(s.Arg(1)))
		},
		"lookup": func(s *actortest.Script) error {
			r, err := registry.Lookup[actortest.Message](registry.Of(s.T.System()), s.Arg(0))
			if err == nil {
				s.Printf("%s is %s", s.Arg(0), r)
			}
			return err
		},
		"unregister": func(s *actortest.Script) error {
			s.Printf("%v", registry.Of(s.T.System()).Unregister(s.Arg(0)))
			return nil
		},
		"names": func(s *actortest.Script) error {
			s.Printf("names: %s", strings.Join(registry.Of(s.T.System()).Names(), " "))
			return nil
		},
		// wait WAITER NAME: a tasklet that waits for a name.
		"wait": func(s *actortest.Script) error {
			name := s.Arg(1)
			actor.Go(s.T, func(t *actor.Tasklet) error {
				r, err := registry.WaitFor[actortest.Message](t, registry.Of(t.System()), name)
				if err == nil {
					s.Printf("%s has found %s", t.Name(), r)
				}
				return err
			}, actor.Name(s.Arg(0)))
			return nil
		},
		// join GROUP TASKLET..., leave GROUP TASKLET, members GROUP, broadcast GROUP TEXT, next
		// GROUP
		"join": func(s *actortest.Script) error {
			return group(s, func(g *registry.Group[actortest.Message]) error {
				for _, name := range s.Args[1:] {
					if err := g.Join(s.Ref(name)); err != nil {
						return err
					}
				}
				return nil
			})
		},
		"leave": func(s *actortest.Script) error {
			return group(s, func(g *registry.Group[actortest.Message]) error {
				g.Leave(s.Ref(s.Arg(1)))
				return nil
			})
		},
		"members": func(s *actortest.Script) error {
			return group(s, func(g *registry.Group[actortest.Message]) error {
				s.Printf("members: %s", names(g.Members()))
				return nil
			})
		},
		"broadcast": func(s *actortest.Script) error {
			return group(s, func(g *registry.Group[actortest.Message]) error {
				n, err := g.Broadcast(s.T, actortest.Message{Text: s.Arg(1)})
				s.Printf("sent to %d", n)
				return err
			})
		},
		"next": func(s *actortest.Script) error {
			return group(s, func(g *registry.Group[actortest.Message]) error {
				r, err := g.Next()
				if err == nil {
					s.Printf("next is %s", r.Name())
				}
				return err
			})
		},
	})
}
