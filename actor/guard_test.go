package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	. "github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/reason"
)

// faulty is an error whose methods fail.
type faulty struct {
	text, walk func() // what Error, and what Unwrap, Is and As do
}

func (f *faulty) Error() string { f.text(); return "faulty" }
func (f *faulty) Unwrap() error { f.walk(); return nil }
func (f *faulty) Is(error) bool { f.walk(); return false }
func (f *faulty) As(any) bool   { f.walk(); return false }

func fine()   {}
func panics() { panic("its method panics") }

// badErrors are the errors that no method of is to be called unguarded.
func badErrors() map[string]error {
	late := &faulty{fine, fine}
	wrapped, joined := fmt.Errorf("wrapped: %w", late), errors.Join(errors.New("other"), late)
	late.text, late.walk = panics, panics // not while it is wrapped
	var none *faulty
	return map[string]error{
		"typed nil":     none,
		"walk panics":   &faulty{fine, panics},
		"walk exits":    &faulty{fine, runtime.Goexit},
		"text panics":   &faulty{panics, fine},
		"text exits":    &faulty{runtime.Goexit, fine},
		"all panics":    &faulty{panics, panics},
		"panics badly":  &faulty{func() { panic(&faulty{panics, panics}) }, func() { panic(&faulty{runtime.Goexit, panics}) }},
		"wrapped by %w": wrapped,
		"joined":        joined,
		"typed nil %w":  fmt.Errorf("wrapped: %w", error(none)),
	}
}

// An error whose methods fail is the failure of the one tasklet that returns it, wherever it does
// so.
func TestErrorsWhoseMethodsFail(t *testing.T) {
	for name, bad := range badErrors() {
		for _, schedulers := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s/%d", name, schedulers), func(t *testing.T) {
				core, log := observer.New(zapcore.InfoLevel)
				cfg := Config{Schedulers: schedulers, Logger: zap.New(core)}
				err := Run(context.Background(), cfg, func(tl *Tasklet) error {
					neighbour := Receiver(tl, func(t *Tasklet, r Reply[int]) error { return r.Send(t, 1) })
					where := OnScheduler(schedulers - 1)
					var j *JoinError
					require.ErrorAs(t, Go(tl, func(*Tasklet) error { return bad }, where, Name("body")).Join(tl), &j)
					require.True(t, j.Cause == bad, "it reaches joiners as it is")
					require.NotEmpty(t, j.Error())
					require.Equal(t, reason.Error, KindOf(bad))

					err := StartTasklet(tl, ReceiverInitBody(NewRef[int](), func(*Tasklet) (func(*Tasklet, int) error, error) {
						return nil, bad
					}), where).Started(tl)
					require.True(t, err == bad)

					stops := Receiver(tl, func(*Tasklet, int) error { return bad }, OnFailure(End), where)
					require.NoError(t, stops.Send(tl, 1))
					require.Error(t, stops.Join(tl))

					goesOn := Receiver(tl, func(*Tasklet, int) error { return bad }, Name("goes on"), where)
					require.NoError(t, goesOn.Send(tl, 1))
					goesOn.Close()
					require.NoError(t, goesOn.Join(tl))

					n, err := Call(tl, neighbour, func(r Reply[int]) Reply[int] { return r })
					require.NoError(t, err)
					require.Equal(t, 1, n)
					return nil
				})
				require.NoError(t, err)
				found := log.FilterField(zap.String("event", "exit")).FilterField(zap.String("path", "/tasklet/body")).All()
				require.Len(t, found, 1)
				require.Contains(t, found[0].ContextMap()["error"], "faulty", "the entry names the type")

				err = Run(context.Background(), cfg, func(*Tasklet) error { return bad })
				require.True(t, err == bad, "Run returns what main returned")
			})
		}
	}
}
