package actor_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/stretchr/testify/require"
)

type numberKey struct{}

// ordinal carries itself. A negative one gives a context that may not be used.
type ordinal int

// made returns the context of an ordinal below 0.
var made func(n ordinal, ctx context.Context) context.Context

func (n ordinal) Carry(ctx context.Context) context.Context {
	if n < 0 {
		return made(n, ctx)
	}
	return context.WithValue(ctx, numberKey{}, int(n))
}

type (
	// embedding gets Carry from what it embeds.
	embedding struct {
		ordinal
		text string
	}
	// carrierOnly is an interface whose values are carriers.
	carrierOnly interface {
		actor.Carrier
	}
	plainNumber struct{ n int }
)

// carried returns what the handler of t finds in its context.
func carried(t *actor.Tasklet) any { return t.Context().Value(numberKey{}) }

func TestCarrierTypes(t *testing.T) {
	check := func(name string, start func(t *actor.Tasklet, found func(any)), want ...any) {
		t.Run(name, func(t *testing.T) {
			var got []any
			runAround(t, 0, nil, func(t *actor.Tasklet) error {
				start(t, func(v any) { got = append(got, v) })
				t.Sleep(time.Minute)
				return nil
			})
			require.Equal(t, want, got)
		})
	}
	check("value", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m ordinal) error { found(carried(t)); return nil })
		_, _ = r.Send(t, 1), r.Send(t, 2)
	}, 1, 2)
	check("embedded", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m embedding) error { found(carried(t)); found(m.text); return nil })
		_ = r.Send(t, embedding{1, "a"})
	}, 1, "a")
	check("pointer", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m *embedding) error { found(carried(t)); return nil })
		_, _ = r.Send(t, &embedding{1, "a"}), r.Send(t, &embedding{2, "a"})
	}, 1, 2)
	check("interface", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m carrierOnly) error { found(carried(t)); return nil })
		_, _, _ = r.Send(t, ordinal(1)), r.Send(t, nil), r.Send(t, embedding{2, "a"})
	}, 1, nil, 2)
	check("no carrier", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m plainNumber) error { found(t.Context() == t); return nil })
		_ = r.Send(t, plainNumber{1})
		a := actor.Receiver(t, func(t *actor.Tasklet, m any) error { found(t.Context() == t); return nil })
		_ = a.Send(t, ordinal(1))
	}, true, true)
	check("with init", func(t *actor.Tasklet, found func(any)) {
		ref := actor.NewRef[ordinal]()
		actor.StartTasklet(t, actor.ReceiverInitBody(ref, func(t *actor.Tasklet) (actor.Handler[ordinal], error) {
			found(t.Context() == t)
			return func(t *actor.Tasklet, m ordinal) error { found(carried(t)); return nil }, nil
		}), actor.OnStart(func(t *actor.Tasklet) error { found(t.Context() == t); return nil }))
		_ = ref.Send(t, 1)
	}, true, true, 1)
	check("with retries", func(t *actor.Tasklet, found func(any)) {
		ref := actor.NewRef[ordinal]()
		tries := 0
		keepsRestarting(t, actor.ReceiverBody(ref, func(t *actor.Tasklet, m ordinal) error {
			found(carried(t))
			if tries++; tries == 1 {
				return errTest
			}
			return nil
		}), actor.Retry(2))
		_, _ = ref.Send(t, 1), ref.Send(t, 2)
	}, 1, 1, 2)
	check("idle and deferred", func(t *actor.Tasklet, found func(any)) {
		r := actor.Receiver(t, func(t *actor.Tasklet, m ordinal) error {
			t.Defer(func() { found(t.Context() == t) })
			found(carried(t))
			return nil
		}, actor.IdleAfter(time.Second, func(t *actor.Tasklet) error { found(t.Context() == t); return actor.ErrStop }))
		_ = r.Send(t, 1)
	}, 1, true, true)
	check("batches", func(t *actor.Tasklet, found func(any)) {
		r := actor.BatchReceiver(t, 2, 0, func(t *actor.Tasklet, ms []ordinal) error {
			found(t.Context() == t)
			found(ms[1].Carry(t).Value(numberKey{}))
			return nil
		})
		_, _ = r.Send(t, 1), r.Send(t, 2)
	}, true, 2)
}

// The context of a message belongs to the tasklet, ends with it, and keeps its values: those of the
// next message are in another one. This is so after failures of every kind, too.
func TestCarriedContext(t *testing.T) {
	for _, c := range []struct {
		fail func() error
		want int // messages that are handled
	}{
		{func() error { return nil }, 3},
		{func() error { return errTest }, 3},
		{func() error { panic("fails") }, 3},
		{func() error { runtime.Goexit(); return nil }, 1}, // ends the tasklet
	} {
		var kept []context.Context
		runAround(t, 0, nil, func(t *actor.Tasklet) error {
			r := actor.Receiver(t, func(t *actor.Tasklet, m ordinal) error {
				ctx := t.Context()
				kept = append(kept, ctx)
				actor.Yield(ctx)
				if actor.Current(ctx) != t || t.Context() != ctx || ctx.Err() != nil {
					kept = nil
				}
				return c.fail()
			}, actor.OnFailure(actor.Resume))
			for n := range ordinal(3) {
				_ = r.Send(t, n)
			}
			t.Sleep(time.Second)
			r.Close()
			_ = r.Join(t)
			return nil
		})
		require.Len(t, kept, c.want)
		for n, ctx := range kept {
			require.Equal(t, n, ctx.Value(numberKey{}))
			require.Equal(t, context.Canceled, ctx.Err())
			require.Equal(t, context.Canceled, context.Cause(ctx))
		}
	}
}

// A carrier that gives another context than one of the tasklet is a failure of the handler, which
// is not called.
func TestCarrierMisuse(t *testing.T) {
	for want, f := range map[string]func(n ordinal, ctx context.Context) context.Context{
		"nil as the context":    func(ordinal, context.Context) context.Context { return nil },
		"belongs to no tasklet": func(ordinal, context.Context) context.Context { return context.Background() },
		"belongs to /tasklet:":  nil,
		"a carrier that panics": func(ordinal, context.Context) context.Context { panic("a carrier that panics") },
		"called runtime.Goexit": func(ordinal, context.Context) context.Context { runtime.Goexit(); return nil },
	} {
		t.Run(want, func(t *testing.T) {
			handled := 0
			events := runAround(t, 0, nil, func(t *actor.Tasklet) error {
				made = f
				if f == nil {
					made = func(ordinal, context.Context) context.Context { return t }
				}
				r := actor.Receiver(t, func(t *actor.Tasklet, m ordinal) error { handled++; return nil }, actor.Name("r"))
				_ = r.Send(t, -1)
				_ = r.Send(t, 1)
				t.Sleep(time.Second)
				return nil
			})
			if strings.Contains(want, "Goexit") {
				require.Zero(t, handled) // it ends the tasklet
			} else {
				require.Equal(t, 1, handled)
			}
			require.Contains(t, strings.Join(events, "\n"), want)
		})
	}
}

// Hooks see what the message carries, and each can change the context for what is inside of it.
func TestCarriedThroughHooks(t *testing.T) {
	var notes []string
	add := func(name string, by int) actor.Hook {
		return func(ctx context.Context, m any, next func(context.Context) error) error {
			had := ctx.Value(numberKey{})
			notes = append(notes, fmt.Sprint(name, " ", had))
			err := next(context.WithValue(ctx, numberKey{}, had.(int)+by))
			notes = append(notes, fmt.Sprint(name, " ", actor.Current(ctx).Context().Value(numberKey{})))
			return err
		}
	}
	runAround(t, 0, add("system", 10), func(t *actor.Tasklet) error {
		r := actor.Receiver(t, func(t *actor.Tasklet, m ordinal) error {
			notes = append(notes, fmt.Sprint("handler ", carried(t)))
			return nil
		}, actor.Around(add("own", 100)))
		_ = r.Send(t, 1)
		t.Sleep(time.Second)
		return nil
	})
	require.Equal(t, []string{"system 1", "own 11", "handler 111", "own 11", "system 1"}, notes)
}

// next panics with a context of another tasklet, and the handler is not called.
func TestAroundContext(t *testing.T) {
	for name, of := range map[string]func(main context.Context) context.Context{
		"none":    func(context.Context) context.Context { return context.Background() },
		"another": func(main context.Context) context.Context { return main },
		"nil":     func(context.Context) context.Context { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			var recovered any
			runAround(t, 0, nil, func(t *actor.Tasklet) error {
				r := actor.Receiver(t, func(t *actor.Tasklet, m int) error { recovered = "handled"; return nil },
					actor.Around(func(ctx context.Context, m any, next func(context.Context) error) error {
						defer func() { recovered = recover() }()
						return next(of(t))
					}))
				_ = r.Send(t, 1)
				t.Sleep(time.Second)
				return nil
			})
			require.Contains(t, fmt.Sprint(recovered), "the context of a message")
		})
	}
}

// The pass through a carrier costs no allocation, whatever the size of the message.
func TestAllocationsOfCarriers(t *testing.T) {
	skipCounts(t)
	run(t, func(t0 *actor.Tasklet) error {
		r := actor.Receiver(t0, func(t *actor.Tasklet, m carriesNothing) error { return nil })
		allocates(t, "a carrier", 0, func() {
			_ = r.Send(t0, carriesNothing{1, 2, 3})
			t0.Yield()
		})
		return nil
	})
}

type carriesNothing struct{ a, b, c int }

func (carriesNothing) Carry(ctx context.Context) context.Context { return ctx }
