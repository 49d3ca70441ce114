package actor_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
)

// The logs in testdata/golden: commands, and everything that happens because of them. Those of the
// overflow policies are here, and not with the mailboxes, because an event needs a system.
func TestGolden(t *testing.T) {
	actortest.Golden(t, "testdata/golden/*.txt", map[string]actortest.Command{
		// sender NAME TARGET TEXT...: a tasklet that sends all, one after the other, and waits for
		// room.
		"sender": func(s *actortest.Script) error {
			target := s.Ref(s.Arg(1))
			name, texts := s.Arg(0), s.Args[2:]
			actor.Go(s.T, func(t *actor.Tasklet) error {
				for _, text := range texts {
					if err := target.Send(t, actortest.Message{Text: text}); err != nil {
						return err
					}
					s.Printf("%s has sent %s", name, text)
				}
				return nil
			}, actor.Name(name))
			return nil
		},
		// family NAME CHILD...: a tasklet that sleeps, with children that do; each says when its
		// deferred call runs.
		"family": func(s *actortest.Script) error {
			sleep := func(t *actor.Tasklet) error {
				t.Defer(func() { s.Printf("deferred call of %s", t.Name()) })
				t.Sleep(time.Hour)
				return nil
			}
			names := s.Args
			t := actor.Go(s.T, func(t *actor.Tasklet) error {
				for _, name := range names[1:] {
					actor.Go(t, sleep, actor.Name(name))
				}
				return sleep(t)
			}, actor.Name(s.Arg(0)))
			tasklets(s)[s.Arg(0)] = t
			return nil
		},
		// end NAME: kill a tasklet that family has started.
		"end": func(s *actortest.Script) error {
			tasklets(s)[s.Arg(0)].Kill()
			return nil
		},
		// blame NAME TEXT: kill a tasklet that family has started, with a cause.
		"blame": func(s *actortest.Script) error {
			tasklets(s)[s.Arg(0)].KillCause(s.T, errors.New(s.Arg(1)))
			return nil
		},
		// stubborn NAME: a tasklet that recovers every kill.
		"stubborn": func(s *actortest.Script) error {
			tasklets(s)[s.Arg(0)] = actor.Go(s.T, func(t *actor.Tasklet) error {
				for range 2 {
					func() {
						defer func() { s.Printf("%s recovers %v", t.Name(), recover() != nil) }()
						t.Sleep(time.Hour)
					}()
				}
				return nil
			}, actor.Name(s.Arg(0)))
			return nil
		},
		// ring NAME NAME: two tasklets that join each other.
		"ring": func(s *actortest.Script) error {
			var a, b *actor.Tasklet
			a = actor.Go(s.T, func(t *actor.Tasklet) error { return b.Join(t) }, actor.Name(s.Arg(0)))
			b = actor.Go(s.T, func(t *actor.Tasklet) error { return a.Join(t) }, actor.Name(s.Arg(1)))
			return nil
		},
		// watch WATCHER NAME: tell a receiver of the end of another.
		"watch": func(s *actortest.Script) error {
			target := s.Ref(s.Arg(1)).Tasklet()
			actor.Watch(s.T, target, s.Ref(s.Arg(0)), func(x actor.Exit) actortest.Message {
				return actortest.Message{Text: fmt.Sprintf("the end of %s: %v", x.Path, x.Kind)}
			})
			return nil
		},
		// after NAME DURATION TEXT: send a message later.
		"after": func(s *actortest.Script) error {
			actor.SendAfter(s.T, s.Duration(1), s.Ref(s.Arg(0)), actortest.Message{Text: s.Arg(2)})
			return nil
		},
		// later NAME DURATION [error=TEXT]: a tasklet that ends so then.
		"later": func(s *actortest.Script) error {
			text, fails := s.Options["error"]
			actor.Later(s.T, s.Duration(1), func(t *actor.Tasklet) error {
				if fails {
					return errors.New(text)
				}
				return nil
			}, actor.Name(s.Arg(0)))
			return nil
		},
	})
}

var taskletsByName = actor.NewExtension(func(*actor.System) map[string]*actor.Tasklet { return map[string]*actor.Tasklet{} })

// tasklets gives the tasklets of a script by their names.
func tasklets(s *actortest.Script) map[string]*actor.Tasklet { return taskletsByName.Of(s.T.System()) }
