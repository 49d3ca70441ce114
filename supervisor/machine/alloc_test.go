package machine_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/machine"
)

// ticking changes its state at each message 0 whose number is a multiple of each. Even states stash
// a message 1, odd ones handle it.
func ticking(ref actor.Ref[int], each int) actor.Body {
	return body(ref, 0, func(m *machine.Machine[int]) *state {
		var even, odd *state
		n := 0
		handle := func(next **state, stashes bool) actor.Handler[int] {
			return func(_ *actor.Tasklet, v int) error {
				if v == 1 {
					if stashes {
						return m.Stash()
					}
					return nil
				}
				if n++; n%each == 0 {
					m.Become(*next)
				}
				return nil
			}
		}
		stopped := func(*actor.Tasklet) error { return actor.ErrStop }
		even = &state{Name: "even", Handle: handle(&odd, true), Timeout: time.Hour, OnTimeout: stopped}
		odd = &state{Name: "odd", Handle: handle(&even, false), Timeout: time.Hour, OnTimeout: stopped}
		return even
	})
}

// A message of a machine allocates nothing, nor does one that is stashed and handled again, nor a
// change of state with its timer.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and so does a check of the invariants after each step")
	}
	actorRun(func(t0 *actor.Tasklet) error {
		for name, c := range map[string]struct{ each, kind int }{"message": {1 << 30, 0}, "change of state": {1, 0}, "stash": {3, 1}} {
			ref := actor.NewRef[int](actor.MailboxLen(100))
			actor.StartTasklet(t0, ticking(ref, c.each))
			f := func() {
				for n := range 30 {
					_ = ref.Send(t0, c.kind*(n&1))
				}
				for ref.Len() > 20 {
					t0.Yield()
				}
				t0.Yield()
			}
			for range 100 {
				f()
			}
			require.Zero(t, testing.AllocsPerRun(200, f), name)
		}
		return nil
	})
}

func BenchmarkMachine(b *testing.B) {
	for name, start := range map[string]func(t *actor.Tasklet) actor.Ref[int]{
		"receiver": func(t *actor.Tasklet) actor.Ref[int] { return actor.Receiver(t, ignore) },
		"message": func(t *actor.Tasklet) actor.Ref[int] {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, body(ref, 0, func(*machine.Machine[int]) *state { return &state{Name: "x", Handle: ignore} }))
			return ref
		},
		"message in a limited state": func(t *actor.Tasklet) actor.Ref[int] {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, ticking(ref, 1<<30))
			return ref
		},
		"change of state": func(t *actor.Tasklet) actor.Ref[int] {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, ticking(ref, 1))
			return ref
		},
		"message beside a full stash": func(t *actor.Tasklet) actor.Ref[int] {
			ref := actor.NewRef[int]()
			actor.StartTasklet(t, ticking(ref, 1<<30))
			for range machine.DefaultStash {
				_ = ref.Send(t, 1)
			}
			return ref
		},
	} {
		b.Run(name, func(b *testing.B) {
			err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
				ref := start(t)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					_ = ref.Send(t, 0)
				}
				for ref.Len() > machine.DefaultStash {
					t.Yield()
				}
				b.StopTimer()
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
		})
	}
}
