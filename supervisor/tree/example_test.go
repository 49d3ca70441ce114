package tree_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

// demo runs main on a virtual clock.
func demo(main func(t *actor.Tasklet)) {
	cfg := actor.Config{Name: "app", Clock: scheduler.NewVirtualClock(time.Time{}), Logger: zap.NewNop()}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		main(t)
		return nil
	})
	if err != nil {
		fmt.Println("error:", err)
	}
}

// startJobs starts a supervisor with a child that works and one that can't connect.
func startJobs(t *actor.Tasklet) *supervisor.Supervisor {
	s, err := supervisor.Start(t, supervisor.Spec{
		Name: "jobs", Backoff: supervisor.Backoff{Min: time.Minute},
		Children: []supervisor.Child{
			{ID: "mailer", Body: actor.ReceiverBody(actor.NewRef[string](), func(t *actor.Tasklet, to string) error { return nil })},
			{ID: "feed", Body: actor.GoBody(func(t *actor.Tasklet) error {
				t.Sleep(20 * time.Second)
				return errors.New("connection refused")
			})},
		},
	})
	if err != nil {
		fmt.Println("error:", err)
	}
	t.Sleep(30 * time.Second)
	return s
}

func ExampleWrite() {
	demo(func(t *actor.Tasklet) {
		jobs := startJobs(t)
		_ = tree.Write(os.Stdout, jobs.Tasklet())
		fmt.Println("--")
		_ = tree.Write(os.Stdout, jobs.Tasklet(), tree.Width(40), tree.MaxRows(20))
	})
	// Output:
	// supervision tree  system=app tasklets=2 restarts=1 stalled=0 restarting=1
	// jobs                   supervisor  one_for_one        up 30s  restarts 0/1 in 5s
	// ├─ mailer              receiver    idle               mailbox 0/1024
	// └─ feed    RESTARTING  task        restarting in 50s  last: connection refused (10s ago)
	// --
	// supervision tree  system=app tasklets=2
	//   restarts=1 stalled=0 restarting=1
	// jobs  supervisor
	// ├ mailer  receiver  idle  mailbox 0/1024
	// └ feed  RESTARTING  restarting in 50s
	//     last: connection refused (10s ago)
}

func ExampleSnapshot() {
	demo(func(t *actor.Tasklet) {
		for _, row := range tree.Snapshot(startJobs(t).Tasklet()) {
			switch row.State {
			case tree.Restarting:
				fmt.Println(row.Path+" failed: "+row.Last.Error()+"; it is started again in", row.Until)
			case tree.Stalled:
				fmt.Println(row.Path, "holds scheduler", row.Scheduler)
			default:
				fmt.Println(row.Path, "is", row.State)
			}
		}
	})
	// Output:
	// /app/jobs is idle
	// /app/jobs/mailer is idle
	// /app/jobs/feed failed: connection refused; it is started again in 50s
}

// A keeper is a supervisor of a program's own: it starts its job again after a pause.
type keeper struct {
	job   actor.Body
	pause time.Duration

	mu    sync.Mutex
	child tree.Child // what a tree shows of the job; mu protects it
}

// run is the keeper's own body.
func (k *keeper) run(t *actor.Tasklet) error {
	tree.Register(t, k)
	for {
		job := actor.StartTasklet(t, k.job, actor.Name("feed"))
		k.update(func(c *tree.Child) { c.Tasklet, c.Restarting = job, false })
		_ = job.Join(t)
		k.update(func(c *tree.Child) {
			now := t.System().Now()
			c.Tasklet, c.Restarting, c.Until = nil, true, now.Add(k.pause)
			c.Last, _ = job.Exit()
			c.LastAt = now
			c.Restarts++
		})
		t.Sleep(k.pause)
	}
}

func (k *keeper) update(f func(*tree.Child)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f(&k.child)
}

// Describe implements tree.Supervisor. It is called from any goroutine.
func (k *keeper) Describe(add func(tree.Child)) tree.Supervision {
	k.mu.Lock()
	defer k.mu.Unlock()
	add(k.child)
	return tree.Supervision{Strategy: "keep", Max: math.MaxInt, Total: k.child.Restarts}
}

func ExampleRegister() {
	demo(func(t *actor.Tasklet) {
		feed := actor.GoBody(func(t *actor.Tasklet) error {
			t.Sleep(20 * time.Second)
			return errors.New("connection refused")
		})
		k := &keeper{job: feed, pause: time.Minute, child: tree.Child{ID: "feed"}}
		top := actor.Go(t, k.run, actor.Name("keeper"))
		t.Sleep(30 * time.Second)
		_ = tree.Write(os.Stdout, top)
	})
	// Output:
	// supervision tree  system=app tasklets=1 restarts=1 stalled=0 restarting=1
	// keeper               task  keep               sleeping 50s  up 30s  restarts 1 unlimited
	// └─ feed  RESTARTING  task  restarting in 50s  last: connection refused (10s ago)
}

// A page that is loaded again and again shows rates since its last look.
func ExampleRates() {
	clock := scheduler.NewVirtualClock(time.Time{})
	_ = actor.Run(context.Background(), actor.Config{Name: "app", Clock: clock}, func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, m int) error { t.Sleep(time.Second); return nil },
			actor.Name("orders"), actor.MailboxLen(64))
		for m := range 64 {
			_ = orders.Send(t, m)
		}
		var rates tree.Rates
		rates.Snapshot(t)
		t.Sleep(20 * time.Second)
		for _, r := range rates.Snapshot(t)[1:] {
			fmt.Printf("%s handled %.0f a second, its oldest message is %v old or more\n", r.Name, r.Rate, r.Oldest)
		}
		return nil
	})
	// Output: orders handled 1 a second, its oldest message is 20s old or more
}
