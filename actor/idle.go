package actor

import "time"

// IdleAfter calls f when the tasklet has waited for a message for d on the system's clock, and
// again after each further d without a message. It applies to the bodies ReceiverBody and
// ReceiverInitBody, and to Receiver. It corresponds to "after" in a receive of Erlang, and to the
// timeout of a gen_server. A message that is there when the time is over is handled first. The time
// begins when the tasklet has started, and begins anew when f, or the handler of the last message,
// has returned.
//
// The result of f is treated like that of a handler: ErrStop ends the tasklet, and [OnFailure]
// applies to another error and to a panic. f may block, as a handler may, while messages wait. It
// is called at d after the beginning of the wait, or up to a tick of 1 ms later. IdleAfter panics
// if d is not positive. If f is nil, nothing is called until [Tasklet.SetIdle] has set a function.
//
// A receiver with IdleAfter takes 48 bytes more, and owns no stack while it waits. Its timer counts
// as something that can happen, so a virtual clock advances.
func IdleAfter(d time.Duration, f func(*Tasklet) error) Option {
	if d <= 0 {
		misuse("IdleAfter(%v): the time must be positive", d)
	}
	return Option{set: optIdle, n: int64(d), start: f}
}

// SetIdle replaces the time and the function of [IdleAfter], with which t must have been started.
// The init of a ReceiverInitBody can call it to set a function that uses the state. It takes effect
// when t next waits for a message. If f is nil, nothing is called until SetIdle is called again. d
// must be positive. SetIdle must be called inside t.
func (t *Tasklet) SetIdle(d time.Duration, f func(*Tasklet) error) {
	t.mustRun("SetIdle")
	if d <= 0 {
		misuse("SetIdle with %v: the time must be positive", d)
	}
	i, ok := t.inst.(*idling)
	if !ok {
		misuse("SetIdle of %s, which was started without the option IdleAfter", t.Path())
	}
	i.d, i.f, i.at = d, f, 0
}

// idling is a receiver with a limit on its wait for a message. It wraps the instance that handles
// the messages, so that other receivers pay nothing for it. Owned by the scheduler.
type idling struct {
	instance
	d       time.Duration
	f       func(*Tasklet) error // nil if nothing must be called
	at      int64                // ns on the clock: when f is due; 0 if no wait has begun
	calling bool                 // f is being called, or has failed
}

// step is the step of the wrapped instance. The timer is stopped before it, and started after it if
// the instance waits for a message. So the timer never ends a wait inside the handler.
func (i *idling) step(t *Tasklet) (bool, error) {
	i.calling = false
	l := i.lineage()
	t.task.WakeStop()
	pending, _ := t.task.Killed()
	switch {
	case pending:
	case !l.waits():
		i.at = 0
	case i.at != 0 && i.at <= t.task.Scheduler().Nanotime():
		i.at = 0
		l.stopWait() // f may wait for something else
		i.calling = true
		err := i.f(t)
		if err != nil {
			if done, result := t.failed(err); done {
				return true, result
			}
		}
		i.calling = false
	}
	done, err := i.instance.step(t)
	if !done && i.f != nil && l.waits() {
		if i.at == 0 {
			i.at = t.task.Scheduler().After(i.d)
		}
		t.task.WakeAt(i.at)
	}
	return done, err
}

// handsEmpty implements emptyHanded.
func (i *idling) handsEmpty() bool {
	e, ok := i.instance.(emptyHanded)
	return i.calling || ok && e.handsEmpty()
}

// waits reports whether a message will wake the reader. It must be called on home.
func (l *lineage[M]) waits() bool { return l.box.Awaited() }

func (l *lineage[M]) stopWait() { l.box.StopAwait() }
