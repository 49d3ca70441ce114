package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
	"github.com/gotasklet/tasklet/supervisor/schedule"
	"github.com/gotasklet/tasklet/supervisor/tree"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// bench is a system on a virtual clock that starts at epoch, and what happens in it.
type bench struct {
	runs   []string
	missed []string
}

// ran notes a run with the time at which it was due and the time at which it begins.
func (b *bench) ran(t *actor.Tasklet, due time.Time) {
	b.runs = append(b.runs, due.Format("01-02 15:04:05")+" "+t.System().Now().Sub(due).Round(10*time.Millisecond).String())
}

func (b *bench) run(t *testing.T, f func(t *actor.Tasklet), opts ...actortest.Option) {
	opts = append(opts, actortest.Allow(schedule.EventMissed), actortest.Configure(func(c *actor.Config) {
		c.Clock = scheduler.NewVirtualClock(epoch)
		on := c.OnEvent
		c.OnEvent = func(e actor.EventRecord) {
			if on != nil {
				on(e)
			}
			if e.Kind == schedule.EventMissed {
				b.missed = append(b.missed, fmt.Sprint(e.Fields[0].Integer, " ", time.Unix(0, e.Fields[1].Integer).UTC().Format("01-02 15:04:05")))
			}
		}
	}))
	actortest.Run(t, f, opts...)
}

func must(tb testing.TB, expr string) *schedule.Schedule {
	s, err := schedule.Parse(expr, time.UTC)
	require.NoError(tb, err)
	return s
}

func TestRunsAtItsTimes(t *testing.T) {
	var b bench
	b.run(t, func(t *actor.Tasklet) {
		job, err := schedule.Start(t, schedule.Spec{Schedule: must(actortest.TB(t), "30 2 * * *"), Run: func(t *actor.Tasklet, due time.Time) error {
			b.ran(t, due)
			return nil
		}}, actor.Name("nightly"))
		require.NoError(actortest.TB(t), err)
		t.Sleep(365 * 24 * time.Hour)
		require.Equal(actortest.TB(t), "2027-01-01T02:30:00Z", job.Info().Labels["next"])
		job.Kill()
		t.Sleep(48 * time.Hour)
	})
	require.Len(t, b.runs, 365)
	require.Equal(t, "01-01 02:30:00 0s", b.runs[0])
	require.Equal(t, "12-31 02:30:00 0s", b.runs[364])
	require.Empty(t, b.missed)
}

// A run that takes three and a half minutes of a schedule of each minute makes the next one late,
// and two missed.
func TestLongRuns(t *testing.T) {
	for late, want := range map[time.Duration][]string{
		0:                {"01-01 00:01:00 0s", "01-01 00:04:00 30s", "01-01 00:08:00 0s", "01-01 00:11:00 30s"},
		time.Second:      {"01-01 00:01:00 0s", "01-01 00:05:00 0s", "01-01 00:09:00 0s"},
		actor.Infinity:   {"01-01 00:01:00 0s", "01-01 00:04:00 30s", "01-01 00:08:00 0s", "01-01 00:11:00 30s"},
		31 * time.Second: {"01-01 00:01:00 0s", "01-01 00:04:00 30s", "01-01 00:08:00 0s", "01-01 00:11:00 30s"},
	} {
		var b bench
		b.run(t, func(t *actor.Tasklet) {
			_, err := schedule.Start(t, schedule.Spec{Schedule: must(actortest.TB(t), "* * * * *"), Late: late, Run: func(t *actor.Tasklet, due time.Time) error {
				b.ran(t, due)
				t.Sleep(3*time.Minute + 30*time.Second)
				return nil
			}})
			require.NoError(actortest.TB(t), err)
			t.Sleep(12*time.Minute - time.Second)
		})
		require.Equal(t, want, b.runs, late)
		if late == time.Second {
			require.Equal(t, []string{"3 01-01 00:02:00", "3 01-01 00:06:00"}, b.missed)
		} else {
			require.Equal(t, []string{"2 01-01 00:02:00", "3 01-01 00:05:00", "2 01-01 00:09:00"}, b.missed)
		}
	}
}

// A run that fails does not change the times of the others, whatever is done about the failure.
func TestFailingRuns(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		opts []actor.Option
		want []string
	}{
		"resumed":   {[]actor.Option{actor.OnFailure(actor.Resume)}, []string{"01-01 01:00:00 0s", "01-01 02:00:00 0s", "01-01 03:00:00 0s"}},
		"restarted": {[]actor.Option{actor.OnFailure(actor.End)}, []string{"01-01 01:00:00 0s", "01-01 02:00:00 0s", "01-01 03:00:00 0s"}},
		"retried": {[]actor.Option{actor.OnFailure(actor.End), actor.Retry(1)}, []string{
			"01-01 01:00:00 0s", "01-01 01:00:00 0s", "01-01 02:00:00 0s", "01-01 02:00:00 0s", "01-01 03:00:00 0s", "01-01 03:00:00 0s",
		}},
	} {
		for _, panics := range []bool{false, true} {
			var b bench
			b.run(t, func(t *actor.Tasklet) {
				body, err := schedule.Body(schedule.Spec{Schedule: must(actortest.TB(t), "@hourly"), Run: func(t *actor.Tasklet, due time.Time) error {
					b.ran(t, due)
					if panics {
						panic(broken)
					}
					return broken
				}})
				require.NoError(actortest.TB(t), err)
				_, err = supervisor.Start(t, supervisor.Spec{Name: "jobs", Intensity: 5, Children: []supervisor.Child{{ID: "hourly", Body: body, Options: c.opts}}})
				require.NoError(actortest.TB(t), err)
				t.Sleep(3*time.Hour + time.Minute)
			}, allowFailures()...)
			require.Equal(t, c.want, b.runs, name)
			require.Empty(t, b.missed)
		}
	}
}

// What was due while the child was not there is missed, but for the last one if it is not too late.
func TestRunsWhileTheChildWaitsForItsRestart(t *testing.T) {
	for late, want := range map[time.Duration][]string{
		0:             {"01-01 00:10:00 0s", "01-01 01:30:00 0s"},
		time.Hour:     {"01-01 00:10:00 0s", "01-01 01:20:00 1m0s", "01-01 01:30:00 0s"},
		2 * time.Hour: {"01-01 00:10:00 0s", "01-01 01:20:00 1m0s", "01-01 01:30:00 0s"},
	} {
		var b bench
		b.run(t, func(t *actor.Tasklet) {
			body, err := schedule.Body(schedule.Spec{Schedule: must(actortest.TB(t), "*/10 * * * *"), Late: late, Run: func(t *actor.Tasklet, due time.Time) error {
				b.ran(t, due)
				return nil
			}})
			require.NoError(actortest.TB(t), err)
			sup, err := supervisor.Start(t, supervisor.Spec{Name: "jobs", Children: []supervisor.Child{{ID: "job", Body: body}}})
			require.NoError(actortest.TB(t), err)
			t.Sleep(11 * time.Minute)
			require.NoError(actortest.TB(t), sup.StopChild(t, "job"))
			t.Sleep(70*time.Minute + time.Second - time.Second*time.Duration(min(late/time.Hour, 1)))
			_, err = sup.RestartChild(t, "job")
			require.NoError(actortest.TB(t), err)
			t.Sleep(9 * time.Minute)
		})
		require.Equal(t, want, b.runs, late)
		if late == 0 {
			require.Equal(t, []string{"7 01-01 00:20:00"}, b.missed)
		} else {
			require.Equal(t, []string{"6 01-01 00:20:00"}, b.missed)
		}
	}
}

// Far more runs are missed than are counted. The last one is still found.
func TestMissedForAYear(t *testing.T) {
	var b bench
	b.run(t, func(t *actor.Tasklet) {
		_, err := schedule.Start(t, schedule.Spec{Schedule: must(actortest.TB(t), "*/2 * * * *"), Late: actor.Infinity, Run: func(t *actor.Tasklet, due time.Time) error {
			if b.ran(t, due); len(b.runs) == 1 {
				t.Sleep(364*24*time.Hour + 30*time.Second)
			}
			return nil
		}})
		require.NoError(actortest.TB(t), err)
		t.Sleep(364*24*time.Hour + 5*time.Minute)
	})
	require.Equal(t, []string{"01-01 00:02:00 0s", "12-31 00:02:00 30s", "12-31 00:04:00 0s"}, b.runs)
	require.Equal(t, []string{"50000 01-01 00:04:00"}, b.missed)
}

// A drain ends the tasklet, at once or after the current run, and leaves nothing behind.
func TestDrain(t *testing.T) {
	for _, at := range []time.Duration{time.Minute, time.Hour + time.Second} {
		var b bench
		b.run(t, func(t *actor.Tasklet) {
			job, err := schedule.Start(t, schedule.Spec{Schedule: must(actortest.TB(t), "@hourly"), Run: func(t *actor.Tasklet, due time.Time) error {
				t.Sleep(2 * time.Hour)
				b.ran(t, due)
				return nil
			}})
			require.NoError(actortest.TB(t), err)
			t.Sleep(at)
			require.NoError(actortest.TB(t), job.Drain(t))
		})
		if at < time.Hour {
			require.Empty(t, b.runs)
			require.Empty(t, b.missed)
		} else {
			require.Equal(t, []string{"01-01 01:00:00 2h0m0s"}, b.runs)
		}
	}
}

func TestSpecIsChecked(t *testing.T) {
	run := func(*actor.Tasklet, time.Time) error { return nil }
	s := must(t, "@daily")
	for want, spec := range map[string]schedule.Spec{
		"schedule: Spec.Schedule is nil":         {Run: run},
		"schedule: Spec.Run is nil":              {Schedule: s},
		"schedule: Spec.Late is -1s: negative":   {Schedule: s, Run: run, Late: -time.Second},
		"schedule: Spec.Schedule was not parsed": {Schedule: new(schedule.Schedule), Run: run},
	} {
		_, err := schedule.Body(spec)
		require.EqualError(t, err, want)
		_, err = schedule.Start(nil, spec)
		require.EqualError(t, err, want)
	}
	_, err := schedule.Body(schedule.Spec{Schedule: s, Run: run, Late: actor.Infinity})
	require.NoError(t, err)
}

func Example() {
	cfg := actor.Config{Name: "shop", Logger: zap.NewNop(), Clock: scheduler.NewVirtualClock(epoch)}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		weekly, err := schedule.Parse("30 2 * * mon", time.UTC)
		if err != nil {
			return err
		}
		body, err := schedule.Body(schedule.Spec{
			Schedule: weekly,
			Run: func(t *actor.Tasklet, due time.Time) error {
				fmt.Println("report of", due.Format("Mon, 2 Jan 15:04"))
				return nil
			},
		})
		if err != nil {
			return err
		}
		_, err = supervisor.Start(t, supervisor.Spec{Name: "jobs", Children: []supervisor.Child{{ID: "report", Body: body}}})
		if err != nil {
			return err
		}
		t.Sleep(14 * 24 * time.Hour)
		return tree.Write(os.Stdout, t)
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// report of Mon, 5 Jan 02:30
	// report of Mon, 12 Jan 02:30
	// supervision tree  system=shop tasklets=3 restarts=0 stalled=0
	// shop          main        running
	// └─ jobs       supervisor  one_for_one  up 14d0h  restarts 0/1 in 5s
	//    └─ report  receiver    idle         mailbox 0/1  handled 2  next=2026-01-19T02:30:00Z
}

func allowFailures() (opts []actortest.Option) {
	return append(opts, actortest.Allow(event.Failure), actortest.Allow(event.Crash), actortest.Allow(event.Exit), actortest.Allow(supervisor.EventRestart))
}

// With the real clock the tasklet wakes up each minute, and still runs only when it is time.
func TestRealClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bench
		wakes := 0
		cfg := actor.Config{Logger: zap.NewNop(), StallAfter: -1}
		err := actor.Run(t.Context(), cfg, func(t0 *actor.Tasklet) error {
			job, err := schedule.Start(t0, schedule.Spec{Schedule: must(t, "5 * * * *"), Run: func(t *actor.Tasklet, due time.Time) error {
				b.ran(t, due)
				return nil
			}})
			if err != nil {
				return err
			}
			t0.Sleep(2*time.Hour + time.Second)
			wakes = int(job.Glance().Mailbox.Handled)
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, []string{"01-01 00:05:00 0s", "01-01 01:05:00 0s"}, b.runs)
		require.InDelta(t, 120, wakes, 2)
	})
}
