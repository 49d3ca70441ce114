package schedule

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
)

// EventMissed is the kind of the event runs_missed. Its field missed is the number of runs that
// were left out, and the field first is the time of the first of them.
var EventMissed = event.New("runs_missed", zap.WarnLevel)

// A Spec says what is run, and when. Schedule and Run must be set.
type Spec struct {
	Schedule *Schedule
	// Run is called inside the tasklet for the times of the schedule. It may park. The time for
	// which it is called is due. Its error is handled like that of a handler; see
	// [actor.OnFailure].
	Run func(t *actor.Tasklet, due time.Time) error
	// Late is how long after its time a run may begin, because the run before took long or the
	// tasklet was not there. A run that cannot begin by then is missed. If several runs are due,
	// only the last of them is not missed. 0 means a minute, and [actor.Infinity] means that there
	// is no limit.
	Late time.Duration
}

func (s *Spec) check() error {
	switch {
	case s.Schedule == nil:
		return errors.New("schedule: Spec.Schedule is nil")
	case s.Schedule.loc == nil:
		return errors.New("schedule: Spec.Schedule was not parsed")
	case s.Run == nil:
		return errors.New("schedule: Spec.Run is nil")
	case s.Late < 0 && s.Late != actor.Infinity:
		return fmt.Errorf("schedule: Spec.Late is %v: negative", s.Late)
	}
	return nil
}

// Start starts a tasklet below p that runs what spec says. It returns an error if a field of spec
// is wrong. It may be called where [actor.Go] may be.
func Start(p actor.Spawner, spec Spec, opts ...actor.Option) (*actor.Tasklet, error) {
	b, err := Body(spec)
	if err != nil {
		return nil, err
	}
	return actor.StartTasklet(p, b, opts...), nil
}

// Body returns a body that does what Start says, for a child of a supervisor. A child that is
// restarted goes on with the first run that it has not begun. A run that failed is not run again,
// unless the child has the option [actor.Retry].
//
// In a drain the tasklet ends when the current run has returned.
func Body(spec Spec) (actor.Body, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	if spec.Late == 0 {
		spec.Late = time.Minute
	}
	j := &job{Spec: spec}
	return actor.ReceiverInitBody(actor.NewRef[wake](actor.MailboxLen(1)), j.init), nil
}

// wake tells the tasklet to look at the time. Only the one that was sent last counts.
type wake struct{ n int }

// job is the state of a body. It belongs to the tasklet that runs the body.
type job struct {
	Spec
	timer *actor.Timer
	last  wake      // the last one that was sent
	next  time.Time // the next run; zero before the first start
	began wake      // what the last run that has begun came from
	due   time.Time // the time of that run
}

func (j *job) init(t *actor.Tasklet) (actor.Handler[wake], error) {
	if j.next.IsZero() {
		j.next = j.Schedule.Next(t.System().Now())
	}
	t.OnDrain(func() { j.timer.Stop() })
	j.await(t)
	return j.handle, nil
}

// await sends the wake for the next run. A step of the wall clock does not move a timer, so with
// the real clock the tasklet looks at the time once a minute.
func (j *job) await(t *actor.Tasklet) {
	self := actor.Self[wake](t)
	if self.IsClosed() { // by a drain
		return
	}
	t.SetLabel("next", j.next.Format(time.RFC3339))
	// A timer ends with the tasklet, and a message that was sent at once would be left behind.
	d := max(j.next.Sub(t.System().Now()), time.Millisecond)
	if !t.System().Virtual() {
		d = min(d, time.Minute)
	}
	j.last.n++
	j.timer = actor.SendAfter(t, d, self, j.last)
}

func (j *job) handle(t *actor.Tasklet, m wake) error {
	retried := m == j.began
	if !retried && m != j.last {
		return nil
	}
	// Whatever becomes of the run, the next one comes. It is after the run, so that no wake is in
	// the mailbox when the tasklet ends.
	defer j.await(t)
	if retried {
		return j.Run(t, j.due)
	}
	now := t.System().Now()
	if now.Before(j.next) {
		return nil
	}
	drains := actor.Self[wake](t).IsClosed()
	first := j.next
	due, missed := j.take(now)
	runs := !drains && (j.Late == actor.Infinity || now.Sub(due) <= j.Late)
	if !runs {
		missed++
	}
	if missed > 0 {
		t.System().Emit(actor.EventRecord{Kind: EventMissed, Tasklet: t, Fields: []zap.Field{
			zap.Int("missed", missed), zap.Time("first", first),
		}})
	}
	if !runs {
		return nil
	}
	j.began, j.due = m, due
	return j.Run(t, due)
}

// take moves next behind now. It returns the last run that was due, and the number of those before.
func (j *job) take(now time.Time) (due time.Time, before int) {
	due = j.next
	for j.next = j.Schedule.Next(due); !j.next.After(now); j.next = j.Schedule.Next(due) {
		due = j.next
		if before++; before == maxMissed { // those that follow are not counted
			due = j.Schedule.lastUntil(now, due)
		}
	}
	return due, before
}

// lastUntil returns the last time of s that is not later than now. since must be a time of s.
func (s *Schedule) lastUntil(now, since time.Time) time.Time {
	for back := time.Minute; back < now.Sub(since); back *= 2 {
		if at := s.Next(now.Add(-back)); !at.After(now) {
			since = at
			break
		}
	}
	for at := s.Next(since); !at.After(now); at = s.Next(at) {
		since = at
	}
	return since
}

// maxMissed is the number of missed runs that are counted. It is more than the minutes of a month.
const maxMissed = 50_000
