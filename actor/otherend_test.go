package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/reason"
)

// askee is a request to one of the callees below.
type askee struct{ reply actor.Reply[int] }

func askOf(t *actor.Tasklet, to actor.Ref[askee]) error {
	_, err := actor.Call(t, to, func(r actor.Reply[int]) askee { return askee{r} })
	return err
}

// anotherEnds are the ways in which the end of another tasklet, or its word for it, comes to a
// tasklet as an error. Each returns the error and a value that errors.Is or errors.As must still
// find in it.
var anotherEnds = map[string]func(t *actor.Tasklet) (err, is error){
	"callee stopped":     calleeThat(actor.ErrStop),
	"callee wrapped":     calleeThat(fmt.Errorf("x: %w", actor.ErrStop)),
	"callee shut down":   calleeThat(actor.ErrShutdown),
	"callee says killed": calleeThat(fmt.Errorf("x: %w", actor.ErrKilled)),
	"callee killed": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(t *actor.Tasklet, _ askee) error { t.Sleep(time.Hour); return nil })
		actor.Later(t, time.Second, func(*actor.Tasklet) error { ref.Kill(); return nil })
		return askOf(t, ref), actor.ErrKilled
	},
	"callee panicked": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(*actor.Tasklet, askee) error { panic(errBoom) }, actor.OnFailure(actor.End))
		return askOf(t, ref), errBoom
	},
	"callee panicked and goes on": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(*actor.Tasklet, askee) error { panic(errBoom) })
		return askOf(t, ref), errBoom
	},
	"batch panicked and goes on": func(t *actor.Tasklet) (error, error) {
		ref := actor.BatchReceiver(t, 4, 0, func(*actor.Tasklet, []askee) error { panic(errBoom) })
		return askOf(t, ref), errBoom
	},
	"answer ErrStop":     answerOf(actor.ErrStop),
	"answer ErrShutdown": answerOf(fmt.Errorf("closed: %w", actor.ErrShutdown)),
	"answer ErrKilled":   answerOf(actor.ErrKilled),
	"delegate stopped": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(t *actor.Tasklet, m askee) error {
			d := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Second); return actor.ErrShutdown })
			m.reply.Delegate(d)
			return nil
		})
		return askOf(t, ref), actor.ErrShutdown
	},
	"over two calls": func(t *actor.Tasklet) (error, error) {
		first := actor.Receiver(t, func(*actor.Tasklet, askee) error { return actor.ErrStop })
		second := actor.Receiver(t, func(t *actor.Tasklet, _ askee) error { return fmt.Errorf("first: %w", askOf(t, first)) })
		return askOf(t, second), actor.ErrStop
	},
	"an answer passed on": func(t *actor.Tasklet) (error, error) {
		first := actor.Receiver(t, func(t *actor.Tasklet, m askee) error { return m.reply.Fail(t, actor.ErrStop) })
		second := actor.Receiver(t, func(t *actor.Tasklet, m askee) error { return m.reply.Fail(t, askOf(t, first)) })
		return askOf(t, second), actor.ErrStop
	},
	"callee in an Await": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(*actor.Tasklet, askee) error { return actor.ErrShutdown })
		_, err := actor.Await(t, func(ctx context.Context) (int, error) {
			return actor.Call(ctx, ref, func(r actor.Reply[int]) askee { return askee{r} })
		})
		return err, actor.ErrShutdown
	},
	"joined, killed": func(t *actor.Tasklet) (error, error) {
		c := actor.Go(t, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		c.Kill()
		return c.Join(t), actor.ErrKilled
	},
	"joined by its ref, killed": func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
		ref.Kill()
		return ref.Join(t), actor.ErrKilled
	},
	"joined, panicked": func(t *actor.Tasklet) (error, error) {
		return actor.Go(t, func(*actor.Tasklet) error { panic(errBoom) }).Join(t), errBoom
	},
	"child that escalates": func(t *actor.Tasklet) (error, error) {
		return actor.Go(t, func(t *actor.Tasklet) error {
			actor.Go(t, func(*actor.Tasklet) error { panic(errBoom) }, actor.OnFailure(actor.Escalate))
			t.Sleep(time.Hour)
			return nil
		}).Join(t), errBoom
	},
	"watched": func(t *actor.Tasklet) (error, error) {
		var exit actor.Exit
		ref := actor.Receiver(t, func(_ *actor.Tasklet, e actor.Exit) error { exit = e; return nil })
		c := actor.Go(t, func(t *actor.Tasklet) error { t.Kill(); t.Sleep(time.Hour); return nil })
		actor.Watch(t, c, ref, func(e actor.Exit) actor.Exit { return e })
		t.Sleep(time.Second)
		return exit.Failure(), actor.ErrKilled
	},
	"init not wanted":  initThat(func() error { return actor.ErrStop }, actor.ErrStop),
	"init shut down":   initThat(func() error { return actor.ErrShutdown }, actor.ErrShutdown),
	"init panicked":    initThat(func() error { panic(errBoom) }, errBoom),
	"init said killed": initThat(func() error { return actor.ErrKilled }, actor.ErrKilled),
	"init of another's end": func(t *actor.Tasklet) (error, error) {
		callee := actor.Receiver(t, func(*actor.Tasklet, askee) error { return actor.ErrStop })
		_, err := startChild(t, t, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			return nil, askOf(t, callee)
		}))
		return err, actor.ErrStop
	},
}

func calleeThat(ends error) func(*actor.Tasklet) (error, error) {
	return func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(*actor.Tasklet, askee) error { return ends })
		err := askOf(t, ref)
		for _, is := range []error{actor.ErrStop, actor.ErrShutdown, actor.ErrKilled} {
			if errors.Is(ends, is) {
				return err, is
			}
		}
		return err, ends
	}
}

func answerOf(with error) func(*actor.Tasklet) (error, error) {
	return func(t *actor.Tasklet) (error, error) {
		ref := actor.Receiver(t, func(t *actor.Tasklet, m askee) error { return m.reply.Fail(t, with) })
		return askOf(t, ref), with
	}
}

func initThat(does func() error, is error) func(*actor.Tasklet) (error, error) {
	return func(t *actor.Tasklet) (error, error) {
		_, err := startChild(t, t, actor.ReceiverInitBody(actor.NewRef[int](), func(*actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
			return nil, does()
		}))
		return err, is
	}
}

// Rule 20: another tasklet's end is an error for whoever hears of it, and no more, as it is,
// wrapped or joined. It ends nobody normally, and makes nobody one that was killed or has panicked.
func TestRule20AnothersEndIsAnError(t *testing.T) {
	wraps := map[string]func(error) error{
		"bare":    func(err error) error { return err },
		"wrapped": func(err error) error { return fmt.Errorf("asking: %w", err) },
		"joined":  func(err error) error { return errors.Join(err, nil) },
		"joined with ErrStop": func(err error) error {
			return fmt.Errorf("%w, so: %w", err, actor.ErrStop)
		},
	}
	for name, ends := range anotherEnds {
		for how, wrap := range wraps {
			t.Run(name+"/"+how, func(t *testing.T) {
				run(t, func(t0 *actor.Tasklet) error {
					heard := func(t *actor.Tasklet) error { err, _ := ends(t); return wrap(err) }
					// As the result of a body.
					var own error
					once := actor.Go(t0, func(t *actor.Tasklet) error { own = heard(t); return own })
					err := once.Join(t0)
					exit, over := once.Exit()
					require.True(t, over)
					require.Equal(t, reason.Error, exit.Kind, "%v", own)
					require.Equal(t, own, exit.Err)
					require.ErrorIs(t, err, own)
					_, is := ends(t0)
					require.ErrorIs(t, own, is, "the cause is still found")
					// As the failure of a message or a round, after which they go on.
					handled := 0
					ref := actor.Receiver(t0, func(t *actor.Tasklet, _ int) error { handled++; return heard(t) })
					require.NoError(t, ref.Send(t0, 1))
					require.NoError(t, ref.Send(t0, 2))
					rounds := 0
					every := actor.Interval(t0, time.Second, func(t *actor.Tasklet) error { rounds++; return heard(t) })
					t0.Sleep(time.Minute)
					require.Equal(t, 2, handled)
					require.Greater(t, rounds, 2)
					require.False(t, every.HasFinished())
					// As the failure of an init.
					c, err := startChild(t0, t0, actor.ReceiverInitBody(actor.NewRef[int](), func(t *actor.Tasklet) (func(*actor.Tasklet, int) error, error) {
						return nil, heard(t)
					}))
					require.Error(t, err)
					exit, _ = c.Exit()
					require.Equal(t, reason.Error, exit.Kind)
					return nil
				})
			})
		}
	}
}

// Rule 24: Run returns main's own error, also if it is that of a call whose callee has stopped.
func TestRunReturnsAnothersEnd(t *testing.T) {
	for name, ends := range anotherEnds {
		t.Run(name, func(t *testing.T) {
			var own error
			err := actor.Run(context.Background(), (&journal{}).config(), func(t0 *actor.Tasklet) error {
				own, _ = ends(t0)
				return own
			})
			require.Error(t, err)
			require.Equal(t, own, err)
		})
	}
}

// Rule 20: an ordinary error of an answer or an init comes as it is.
func TestErrorsOfOthersComeUnchanged(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		for _, say := range []error{errBoom, fmt.Errorf("x: %w", errBoom), &fs.PathError{Op: "open", Path: "x", Err: errBoom}} {
			err, _ := answerOf(say)(t0)
			require.True(t, err == say)
			err, _ = initThat(func() error { return say }, say)(t0)
			require.True(t, err == say)
		}
		return nil
	})
}

// Rule 20: of joined errors the worst counts; none of them hides behind ErrStop.
func TestRule20JoinedErrors(t *testing.T) {
	panicked := &actor.PanicError{Value: actor.ErrStop}
	for _, c := range []struct {
		err  error
		want reason.Kind
	}{
		{errors.Join(actor.ErrStop), reason.Normal},
		{errors.Join(actor.ErrStop, nil, fmt.Errorf("x: %w", actor.ErrStop)), reason.Normal},
		{errors.Join(actor.ErrStop, actor.ErrShutdown), reason.Shutdown},
		{errors.Join(errBoom, actor.ErrStop), reason.Error},
		{errors.Join(actor.ErrShutdown, errBoom), reason.Error},
		{fmt.Errorf("%w: %w", errBoom, actor.ErrStop), reason.Error},
		{fmt.Errorf("a: %w", errors.Join(errors.Join(actor.ErrStop, errBoom), actor.ErrStop)), reason.Error},
		{errors.Join(actor.ErrStop, actor.ErrKilled), reason.Killed},
		{errors.Join(actor.ErrKilled, errBoom), reason.Error},
		{errors.Join(actor.ErrStop, errBoom, panicked), reason.Panic},
	} {
		require.Equal(t, c.want, actor.KindOf(c.err), "%v", c.err)
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(*actor.Tasklet) error { return c.err })
			require.Equal(t, c.want.Failure(), k.Join(t0) != nil)
			exit, _ := k.Exit()
			require.Equal(t, c.want, exit.Kind)
			return nil
		})
	}
}

// isError says by a method what it is.
type isError struct{ is error }

func (e isError) Error() string        { return "is " + e.is.Error() }
func (e isError) Is(target error) bool { return target == e.is }

// asPanic says by a method that it is a panic.
type asPanic struct{}

func (asPanic) Error() string { return "as panic" }
func (asPanic) As(target any) bool {
	p, ok := target.(**actor.PanicError)
	if ok {
		*p = &actor.PanicError{Value: "as"}
	}
	return ok
}

// myJoinError is a user's error made of one of the library's.
type myJoinError struct{ *actor.JoinError }

// endless is an error that wraps itself.
type endless struct{ many bool }

func (e *endless) Error() string { return "endless" }
func (e *endless) Unwrap() []error {
	if e.many {
		return []error{e, e, actor.ErrStop}
	}
	return []error{e}
}

// Rule 20: KindOf agrees with the rule as one would write it down, over random errors: leaves that
// are none of the tasklet's business, own ends, others' ends, wrapped and joined.
func TestKindOfProperty(t *testing.T) {
	for name, err := range map[string]error{"one": &endless{}, "many": &endless{true}} {
		require.Equal(t, reason.Error, actor.KindOf(fmt.Errorf("x: %w", err)), name)
	}
	run(t, func(t0 *actor.Tasklet) error {
		draw := rand.New(rand.NewPCG(1, 2))
		other := actor.Go(t0, func(*actor.Tasklet) error { return nil })
		type leaf struct {
			err  error
			kind reason.Kind
		}
		leaves := []leaf{
			{actor.ErrStop, reason.Normal}, {actor.ErrShutdown, reason.Shutdown}, {actor.ErrKilled, reason.Killed},
			{errBoom, reason.Error}, {actor.ErrGoexit, reason.Error}, {actor.ErrTimeout, reason.Error},
			{&actor.PanicError{Value: "x"}, reason.Panic}, {&actor.PanicError{Value: actor.ErrStop}, reason.Panic},
			{&actor.Killed{Tasklet: t0}, reason.Killed},
			{isError{actor.ErrStop}, reason.Normal}, {isError{actor.ErrShutdown}, reason.Shutdown},
			{isError{actor.ErrKilled}, reason.Killed}, {asPanic{}, reason.Panic}, {&actor.DeadlockError{}, reason.Error},
		}
		// make draws an error of at most the depth, and says its kind.
		var grow func(depth int) (reason.Kind, error)
		grow = func(depth int) (reason.Kind, error) {
			if depth == 0 || draw.IntN(4) == 0 {
				l := leaves[draw.IntN(len(leaves))]
				return l.kind, l.err
			}
			kind, in := grow(depth - 1)
			switch draw.IntN(9) {
			case 0:
				return kind, fmt.Errorf("w: %w", in)
			case 1:
				return kind, &fs.PathError{Op: "open", Path: "x", Err: in}
			case 2:
				return reason.Error, &actor.JoinError{Tasklet: other, Cause: in}
			case 3:
				return reason.Error, &actor.ChildError{Tasklet: other, Cause: in}
			case 4:
				return reason.Error, myJoinError{&actor.JoinError{Tasklet: other, Cause: in}}
			case 5:
				return reason.Panic, &actor.PanicError{Value: in}
			case 6:
				err, _ := answerOf(in)(t0)
				return reason.Error, err
			}
			all, worst := []error{in}, kind
			for range draw.IntN(3) {
				k, more := grow(depth - 1)
				all, worst = append(all, more), max(worst, k)
			}
			if draw.IntN(2) == 0 {
				return worst, errors.Join(all...)
			}
			if len(all) == 1 {
				return worst, fmt.Errorf("m: %w, %w", all[0], actor.ErrStop)
			}
			return worst, fmt.Errorf("m: %w, %w, %w", nil, all[0], errors.Join(all[1:]...))
		}
		for range 3000 {
			want, err := grow(5)
			require.Equal(t, want, actor.KindOf(err), "%#v", err)
		}
		return nil
	})
}

// The error of a tasklet that was killed leads to a *Killed that names it, however it was
// killed and whoever asks; no other error does.
func TestJoinErrorOfAKilledTaskletIsATaskletExit(t *testing.T) {
	sleep := func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }
	for name, killed := range map[string]func(t *actor.Tasklet) (*actor.Tasklet, error){
		"joined": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Go(t, sleep)
			k.Kill()
			return k, k.Join(t)
		},
		"before it began": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Receiver(t, func(*actor.Tasklet, int) error { return nil })
			it := k.Tasklet()
			k.Kill()
			return it, k.Join(t)
		},
		"wrapped by its body": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Go(t, func(t *actor.Tasklet) (err error) {
				defer func() { err = fmt.Errorf("cleaned up: %w", recover().(error)) }()
				return sleep(t)
			})
			t.Yield()
			k.Kill()
			return k, k.Join(t)
		},
		"said by its body": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Go(t, func(*actor.Tasklet) error { return fmt.Errorf("x: %w", actor.ErrKilled) })
			return k, k.Join(t)
		},
		"with a cause": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Go(t, func(t *actor.Tasklet) error {
				actor.Go(t, func(*actor.Tasklet) error { return errBoom }, actor.OnFailure(actor.Escalate))
				return sleep(t)
			})
			return k, k.Join(t)
		},
		"with its parent": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			var k *actor.Tasklet
			p := actor.Go(t, func(t *actor.Tasklet) error { k = actor.Go(t, sleep); t.Yield(); return nil })
			_ = p.Join(t)
			return k, k.Join(t)
		},
		"called": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			ref := actor.Receiver(t, func(t *actor.Tasklet, _ askee) error { return sleep(t) })
			k := ref.Tasklet()
			actor.Later(t, time.Second, func(*actor.Tasklet) error { k.Kill(); return nil })
			err := askOf(t, ref)
			return k, err
		},
		"delegate": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			var k *actor.Tasklet
			ref := actor.Receiver(t, func(t *actor.Tasklet, m askee) error {
				k = actor.Go(t, sleep)
				m.reply.Delegate(k)
				return nil
			})
			actor.Later(t, time.Second, func(*actor.Tasklet) error { k.Kill(); return nil })
			err := askOf(t, ref)
			return k, err
		},
		"passed on": func(t *actor.Tasklet) (*actor.Tasklet, error) {
			k := actor.Go(t, sleep)
			k.Kill()
			return k, actor.Go(t, func(t *actor.Tasklet) error { return fmt.Errorf("x: %w", k.Join(t)) }).Join(t)
		},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) error {
				k, err := killed(t0)
				var exit *actor.Killed
				require.ErrorAs(t, err, &exit)
				require.Same(t, k, exit.Tasklet)
				require.ErrorIs(t, exit, actor.ErrKilled)
				return nil
			})
		})
	}
	for _, err := range []error{errBoom, &actor.PanicError{Value: 1}, actor.ErrGoexit} {
		run(t, func(t0 *actor.Tasklet) error {
			k := actor.Go(t0, func(*actor.Tasklet) error { return err })
			var exit *actor.Killed
			require.False(t, errors.As(k.Join(t0), &exit))
			require.False(t, errors.As(&actor.JoinError{Cause: err}, &exit))
			return nil
		})
	}
}

// Exit tells how a tasklet ended, and nothing before.
func TestExitOfATasklet(t *testing.T) {
	actortest.Run(t, func(t0 *actor.Tasklet) {
		tb := actortest.TB(t0)
		k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Second); return actor.ErrShutdown }, actor.Name("k"))
		_, over := k.Exit()
		require.False(tb, over)
		require.NoError(tb, k.Join(t0))
		e, over := k.Exit()
		require.True(tb, over)
		require.Equal(tb, actor.Exit{Tasklet: k, Path: "/test/k", Kind: reason.Shutdown, Err: actor.ErrShutdown}, e)
		require.NoError(tb, e.Failure())
	})
}
