package supervisor_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	engine "github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/supervisor"
)

// A restart makes one piece of memory, the new tasklet. A panic adds its error. It adds the stack
// and the program counters of that too, but not in a flood as this one.
func TestAllocationsOfARestart(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates, and so does a check of the invariants after each step")
	}
	for how, want := range map[string]float64{"error": 1, "panic": 2} {
		t.Run(how, func(t *testing.T) {
			run(t, func(t0 *actor.Tasklet) {
				ref := actor.NewRef[bool]()
				handled := 0
				_, err := supervisor.Start(t0, supervisor.Spec{
					Intensity: 1 << 30, Period: time.Nanosecond, Children: []supervisor.Child{{ID: "a", Body: crashing(ref, how, &handled)}},
				})
				require.NoError(t, err)
				crash := func() {
					before := handled
					_ = ref.Send(t0, true)
					_ = ref.Send(t0, false)
					for handled == before {
						t0.Yield()
					}
				}
				for range 100 {
					crash() // rings and pools grow
				}
				require.Equal(t, want, testing.AllocsPerRun(500, crash))
			})
		})
	}
}

// crashing is a receiver that crashes in one way if the message is true.
func crashing(ref actor.Ref[bool], how string, handled *int) actor.Body {
	return actor.ReceiverBody(ref, func(t *actor.Tasklet, crash bool) error {
		switch {
		case crash && how == "panic":
			panic(errCrash)
		case crash:
			return errCrash
		}
		*handled++
		engine.TaskOf(t).Wake()
		return nil
	})
}
