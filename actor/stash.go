package actor

import (
	"strconv"

	"github.com/gotasklet/tasklet/internal/own"
)

// This file has the body of the state machines of package machine: a receiver that can put the
// message in hand back for later, and has a time limit that messages do not end. It is a retrying
// body because it needs a copy of the message.

func init() {
	own.NewMachine = func(ref any, limit int, source any, start func() own.Machine) any {
		return ref.(interface {
			machine(int, any, func() own.Machine) Body
		}).machine(limit, source, start)
	}
}

// machine implements own.NewMachine.
func (r Ref[M]) machine(limit int, source any, start func() own.Machine) Body {
	return &machines[M]{r.must("machine.Body"), limit, source, start}
}

type machines[M any] struct {
	l     *lineage[M]
	limit int
	named any
	start func() own.Machine
}

func (b *machines[M]) allows() optionSet { return anyBody | refOptions | repeatOptions | optRetry }
func (b *machines[M]) instance() instance {
	return &stashing[M]{
		retrying: retrying[M]{handling: handling[M]{l: b.l}, first: true, typed: isInterface[M]()},
		of:       b, machine: b.start(), turn: true,
	}
}

// stashing is the instance of a state machine. Owned by the scheduler.
type stashing[M any] struct {
	retrying[M]
	of      *machines[M]
	machine own.Machine
	t       *Tasklet // set in init
	hooks   []Hook   // the first is the innermost
	meter   *meter   // outside of the hooks, or nil

	calling bool  // the machine is being called, or the last call has not returned
	turn    bool  // a state is to be entered
	replay  bool  // the stashed messages are to be handled again
	begins  bool  // a state was entered, and its time has not begun
	timer   bool  // WakeAt was called
	empty   bool  // the last call was not for a message, or has stashed it
	at      int64 // ns on the clock: when the time in the state is over; 0 if there is no limit
}

func (s *stashing[M]) kind() string             { return "machine" }
func (s *stashing[M]) source() any              { return s.of.named }
func (s *stashing[M]) withRetry(n int) instance { s.max = n; return s }

func (s *stashing[M]) wrap(h Hook) instance {
	s.hooks = append(s.hooks, h)
	return s
}

func (s *stashing[M]) timed(m *meter) instance {
	s.meter = m
	return s
}

func (s *stashing[M]) init(t *Tasklet) error {
	s.t = t
	h, err := s.machine.Init(t, (*machineBody[M])(s))
	if err != nil {
		return err
	}
	s.f = h.(func(*Tasklet, M) error)
	for _, hook := range s.hooks {
		s.f = around2(hook, s.f)
	}
	if s.meter != nil {
		s.f = timed2(s.meter, s.f)
	}
	return nil
}

// step makes one call of the machine after the other. What comes first is a new state, then the end
// of the time in a state, then a message.
func (s *stashing[M]) step(t *Tasklet) (bool, error) {
	box := &s.l.box
	if s.timer {
		t.task.WakeStop() // it must not end a wait inside of the machine
		s.timer = false
	}
	box.StopAwait() // the timer may have woken it
	if s.calling {  // the last call has panicked, and t resumes
		s.over()
		s.turn, s.replay = false, false
	}
	waits := t.task.NextWait()
	for n := range stepMessages {
		if pending, _ := t.task.Killed(); pending {
			t.takeKill()
			return true, ErrKilled
		}
		if s.begins && !s.turn {
			s.begins = false
			if d := s.machine.Timeout(); d > 0 {
				s.at = t.task.Scheduler().After(d)
			}
		}
		var err error
		switch {
		case s.turn:
			s.turn, s.at, s.begins, s.calling, s.empty = false, 0, true, true, true
			err = s.machine.Enter()
		case s.at != 0 && (n == 0 || t.task.NextWait() != waits) && s.at <= t.task.Scheduler().Nanotime():
			// If t has not parked in this step, it is soon enough at the next one. Reading the
			// clock costs as much as a message.
			s.at, s.calling, s.empty = 0, true, true
			err = s.machine.Expire()
		case s.takeFresh():
			s.calling, s.empty = true, false
			err = s.f(t, s.m)
		case box.AwaitFresh():
			s.waitTill(s.at)
			return false, nil
		case !box.DrainedFresh():
			continue // a message was in transit
		case s.at != 0 && box.Stashed() > 0: // only the end of the time can change the state now
			s.waitTill(s.at)
			return false, nil
		default:
			return true, nil
		}
		if err != nil {
			if done, result := t.failed(err); done {
				return true, result
			}
			s.turn, s.replay = false, false
		}
		s.over()
		box.SettleBy(&t.task, err)
		if s.turn || s.replay {
			s.replay = false
			box.Unstash()
		}
	}
	t.task.Wake()
	return false, nil
}

func (s *stashing[M]) takeFresh() (ok bool) {
	if s.m, ok = s.l.box.TakeFresh(); ok {
		s.took()
	}
	return ok
}

// over is called after a call of the machine.
func (s *stashing[M]) over() {
	s.calling = false
	if s.holds {
		s.drop()
	}
}

func (s *stashing[M]) waitTill(at int64) {
	if at != 0 {
		s.t.task.WakeAt(at)
		s.timer = true
	}
}

// awaitsOther reports whether a timer will wake the tasklet.
func (s *stashing[M]) awaitsOther() bool { return s.timer }

// handsEmpty implements emptyHanded.
func (s *stashing[M]) handsEmpty() bool { return s.empty }

// addLabels calls add for what a tree shows of a machine besides its labels. It may be called from
// any goroutine.
func (s *stashing[M]) addLabels(add func(key, value string)) {
	if state := s.machine.State(); state != "" {
		add("state", state)
	}
	if n := s.l.box.PeekStashed(); n > 0 {
		add("stash", strconv.Itoa(n)+" of "+strconv.Itoa(s.of.limit))
	}
}

// machineBody makes the functions of own.MachineBody of a stashing.
type machineBody[M any] stashing[M]

func (b *machineBody[M]) Stash(op string) own.Stashed {
	s := (*stashing[M])(b)
	s.t.mustRun(op)
	switch box := &s.l.box; {
	case !s.holds:
		return own.NotInHand
	case box.Stashed() >= s.of.limit:
		return own.StashFull
	default:
		box.Stash(s.m)
		s.drop()
		s.empty = true
		return own.InStash
	}
}

func (b *machineBody[M]) Unstash(op string) {
	b.t.mustRun(op)
	b.replay = true
}

func (b *machineBody[M]) Turn(op string) {
	b.t.mustRun(op)
	b.turn = true
}

func (b *machineBody[M]) Stashed(op string) int {
	b.t.mustRun(op)
	return b.l.box.Stashed()
}
