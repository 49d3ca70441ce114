package work_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/flow"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor/tree"
	"github.com/gotasklet/tasklet/supervisor/work"
)

// Two workers take orders from one queue. The order that keeps failing is set aside.
func Example() {
	cfg := actor.Config{Name: "shop", Clock: scheduler.NewVirtualClock(time.Time{}), StallAfter: -1, Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		failed := actor.Receiver(t, func(_ *actor.Tasklet, d work.Dead[int]) error {
			fmt.Printf("order %d set aside after %d tries: %v\n", d.Messages[0], d.Tries, d.Err)
			return nil
		})
		orders, err := work.Start(t, work.Spec[int]{
			Name:    "orders",
			Workers: 2,
			Handle: func(t *actor.Tasklet, order int) error {
				t.Sleep(100 * time.Millisecond)
				if order == 2 {
					return errors.New("no such article")
				}
				return nil
			},
			Retry: flow.Retry{Attempts: 3, Min: time.Second},
			Dead:  failed,
		})
		if err != nil {
			return err
		}
		for order := range 5 {
			if err := orders.Send(t, order); err != nil { // waits while the queue is full
				return err
			}
		}
		t.Sleep(time.Second)
		s := orders.Stats()
		fmt.Println(s.Handled, "handled,", s.Retrying, "waits for another try")
		if err := tree.Write(os.Stdout, orders.Tasklet(), tree.Width(90)); err != nil {
			return err
		}
		if err := orders.Drain(t); err != nil {
			return err
		}
		failed.Close()
		return failed.Join(t)
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4 handled, 1 waits for another try
	// supervision tree  system=shop tasklets=3 restarts=0 stalled=0
	// orders  work-queue 2  queued 1/1024, 1 retrying  up 1s  restarts 0 unlimited
	// (+2 more under orders, all idle)
	// order 2 set aside after 3 tries: no such article
}
