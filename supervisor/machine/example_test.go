package machine_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor/machine"
)

// simulate runs main on a virtual clock, where the times take no time.
func simulate(main func(t *actor.Tasklet) error) {
	cfg := actor.Config{Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	if err := actor.Run(context.Background(), cfg, main); err != nil {
		fmt.Println(err)
	}
}

// A door with a code opens for three seconds after the right digits.
func Example() {
	simulate(func(t *actor.Tasklet) error {
		digits := actor.NewRef[string]()
		door := func(t *actor.Tasklet, m *machine.Machine[string]) (*machine.State[string], error) {
			var locked, open *machine.State[string]
			entered := ""
			locked = &machine.State[string]{
				Name:  "locked",
				Enter: func(*actor.Tasklet) error { entered = ""; fmt.Println("locked"); return nil },
				Handle: func(_ *actor.Tasklet, digit string) error {
					if entered += digit; entered == "42" {
						m.Become(open)
					}
					return nil
				},
			}
			open = &machine.State[string]{
				Name:      "open",
				Enter:     func(*actor.Tasklet) error { fmt.Println("open"); return nil },
				Handle:    func(*actor.Tasklet, string) error { return nil }, // not now
				Timeout:   3 * time.Second,
				OnTimeout: func(*actor.Tasklet) error { m.Become(locked); return nil },
			}
			return locked, nil
		}
		actor.StartTasklet(t, machine.Body(digits, machine.Config{}, door), actor.Name("door"))
		for _, digit := range []string{"4", "2", "7"} {
			_ = digits.Send(t, digit)
		}
		t.Sleep(4 * time.Second)
		return nil
	})
	// Output:
	// locked
	// open
	// locked
}

// Requests that come too early are stashed until there is a connection.
func ExampleMachine_Stash() {
	type request struct {
		text      string
		connected bool
	}
	simulate(func(t *actor.Tasklet) error {
		requests := actor.NewRef[request]()
		client := func(t *actor.Tasklet, m *machine.Machine[request]) (*machine.State[request], error) {
			var connecting, connected *machine.State[request]
			connecting = &machine.State[request]{
				Name: "connecting",
				Handle: func(_ *actor.Tasklet, r request) error {
					if !r.connected {
						return m.Stash()
					}
					m.Become(connected)
					return nil
				},
				Timeout:   10 * time.Second,
				OnTimeout: func(*actor.Tasklet) error { return errors.New("no connection") },
			}
			connected = &machine.State[request]{
				Name: "connected",
				Handle: func(_ *actor.Tasklet, r request) error {
					fmt.Println("sent", r.text)
					return nil
				},
			}
			return connecting, nil
		}
		k := actor.StartTasklet(t, machine.Body(requests, machine.Config{Stash: 10}, client))
		_, _ = requests.Send(t, request{text: "a"}), requests.Send(t, request{text: "b"})
		t.Sleep(time.Second)
		fmt.Println(k.Info().Labels["state"], k.Info().Labels["stash"])
		_ = requests.Send(t, request{connected: true})
		t.Sleep(time.Second)
		fmt.Println(k.Info().Labels["state"])
		return nil
	})
	// Output:
	// connecting 2 of 10
	// sent a
	// sent b
	// connected
}
