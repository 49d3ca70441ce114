package core

import "strings"

// Bits of Task.kill. The table [killRules] says when each bit is set and cleared, by whom, and what
// holds then. The bits above them count the kills that were raised since the kill is hard.
const (
	killSoft   = 1 << iota // to be raised once
	killHard               // to be raised at every blocking point
	killRaised             // one was raised, and may not have been recovered yet
	killLost               // given up
	killTold               // Hooks.Lost was called
	// killAway is not a kill: the task waits for a function on another goroutine; see SetAway.
	killAway
	killCount // the lowest bit of the count
)

// killRule is a row of the table of kills.
type killRule struct {
	bit   uint32
	name  string
	by    string // who sets it, and where
	when  string
	off   string // who clears it, and when
	needs uint32 // these are set too; 0 means no such rule
	never uint32 // none of these is set together with it
	stack bool   // the task runs, owns a stack, or has finished
}

// killRules is the table of the states of a kill, beside State. "own" is the goroutine that has
// control of the task's scheduler. [Scheduler.Check] compares the table with the tasks between two
// activations. Within a step it need not hold: raise sets raised before it clears soft.
var killRules = []killRule{
	{killSoft, "soft", "any goroutine, in Kill", "no kill is pending or on its way up the stack",
		"own, in raise, and in TakeKill when the task ends", 0, killRaised, false},
	{killHard, "hard", "any goroutine, in Kill; own, in killParked and last", "Kill(true), or its scheduler stops", "nobody", 0, 0, false},
	{killRaised, "raised", "own, in raise", "a kill is raised as a panic",
		"own, in recovered, when the next blocking call or the end of the call shows it, and in TakeKill", 0, 0, true},
	{killLost, "lost", "own, in giveUp", "it has recovered maxHard kills, or maxRaised while its scheduler stops", "nobody", killHard, 0, true},
	{killTold, "told", "own, in tellLost", "Hooks.Lost is about to be called", "nobody", killLost, 0, true},
	{killAway, "away", "the running task, in SetAway", "the goroutine is about to start", "the running task, in SetAway", 0, 0, true},
	{^uint32(killCount - 1), "counted", "own, in raise", "a kill is raised while the kill is hard", "nobody", killHard, 0, false},
}

// wrongKill returns the first rule that kill breaks in a task with or without a stack, or nil.
func wrongKill(kill uint32, stack bool) *killRule {
	for i := range killRules {
		r := &killRules[i]
		if kill&r.bit != 0 && (kill&r.needs != r.needs || kill&r.never != 0 || r.stack && !stack) {
			return r
		}
	}
	return nil
}

// killNames returns the names of the bits that are set, for messages.
func killNames(kill uint32) string {
	var names []string
	for _, r := range killRules {
		if kill&r.bit != 0 {
			names = append(names, r.name)
		}
	}
	return strings.Join(names, ", ")
}

const (
	// maxRaised is the number of kills that a task may recover, or meet in its deferred calls, when
	// it is unwound after Stop. After that it is given up: it stays parked, and its goroutine is
	// left behind.
	maxRaised = 100
	// maxHard is the same for a task that was killed hard before Stop. It is large because many
	// deferred calls are not a fault. Without it, a task that recovers every kill and blocks again
	// would keep control forever.
	maxHard = 1000
)

// Kill asks t to end. A soft kill is raised once, as a panic, at the blocking point where t is
// parked or at the next one that it reaches. A hard kill is raised at every blocking point from now
// on. An idle task is called, and finds the kill with [Task.Killed]. Kill reports whether it
// changed anything: further soft kills have no effect until the first was recovered and t has
// parked again. Kill may be called from any goroutine.
func (t *Task) Kill(hard bool) bool {
	for {
		was := t.kill.Load()
		is := was
		if hard {
			is |= killHard
		} else if was&(killSoft|killHard|killRaised|killLost) == 0 {
			is |= killSoft
		}
		if is == was {
			return false
		}
		if t.kill.CompareAndSwap(was, is) {
			t.s.alarm.Store(true)
			t.s.Inject((*killWork)(t))
			return true
		}
	}
}

// KillAgain delivers a pending kill once more, for a caller that cannot know whether the goroutine
// that has made it has delivered it yet. It may be called from any goroutine.
func (t *Task) KillAgain() {
	t.s.alarm.Store(true)
	t.s.Inject((*killWork)(t))
}

// Killed reports whether a kill is pending, to be raised or to be found by a stackless task, and
// whether it is hard.
func (t *Task) Killed() (pending, hard bool) {
	k := t.kill.Load()
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// BeingKilled reports whether a kill is pending or on its way up the stack, or was recovered by a
// task that has not blocked since.
func (t *Task) BeingKilled() bool { return t.kill.Load()&(killSoft|killHard|killRaised) != 0 }

type killWork Task

func (k *killWork) Do() {
	t := (*Task)(k)
	if t.kill.Load()&(killSoft|killHard) == 0 {
		return
	}
	if t.state == Parked {
		if i := interrupter(t.waiter); i != nil {
			i.Interrupt()
			return
		}
	}
	if t.state == Idle || t.state == Parked {
		t.wake(killed)
	}
}

// interrupter returns the Item of w if it is an Interrupter.
func interrupter(w *Waiter) Interrupter {
	if w == nil {
		return nil
	}
	i, _ := w.Item().(Interrupter)
	return i
}

// TakeKill is called for a task that ends. A pending soft kill then counts as raised, and a raised
// kill as handled, so that the remaining calls may block. TakeKill reports whether a kill was
// pending. It must be called on t's scheduler.
func (t *Task) TakeKill() (pending, hard bool) {
	k := t.kill.Load()
	if k&(killSoft|killRaised) != 0 {
		k = t.kill.And(^uint32(killSoft | killRaised))
	}
	return k&(killSoft|killHard) != 0, k&killHard != 0
}

// Checkpoint raises a pending kill, and has no other effect. It must be called on the running task.
func (t *Task) Checkpoint() {
	if t.kill.Load() != 0 {
		t.raisePending(nil)
	}
}

// raisePending raises the pending kill, if there is one, when a blocking call begins. Before that
// it determines whether an earlier kill was recovered.
func (t *Task) raisePending(w *Waiter) {
	k := t.kill.Load()
	if k&killRaised != 0 && !t.unwinding() {
		t.recovered()
	}
	if k&(killSoft|killHard) == 0 {
		return
	}
	if i := interrupter(w); i != nil {
		t.s.interrupt(i)
		if !t.s.ending {
			return
		}
	}
	leave(w)
	t.raise()
}

// recovered records that t has recovered the kill that was raised, and continues.
func (t *Task) recovered() {
	t.kill.And(^uint32(killRaised))
	if h := t.s.hooks.Recovered; h != nil {
		h(t)
	}
}

// raise panics with the kill. unwinding searches the stack for the name of this function.
func (t *Task) raise() {
	if t.s.ending || t.kill.Load()&killHard != 0 {
		limit := uint32(maxHard)
		if t.s.ending {
			limit = maxRaised
		}
		if t.kill.Add(killCount)/killCount >= limit {
			t.giveUp()
		}
	}
	// In this order, because a further kill between the two must not find that there is none.
	t.panics = stackOf().panics
	t.kill.Or(killRaised)
	t.kill.And(^uint32(killSoft))
	if h := t.s.hooks.ExitValue; h != nil {
		panic(h(t))
	}
	panic(&Exit{t})
}

// giveUp parks t forever, because it has recovered too many kills.
func (t *Task) giveUp() {
	t.kill.Or(killLost)
	for {
		t.suspend(Wait{})
	}
}

func (t *Task) givenUp() bool { return t.kill.Load()&killLost != 0 }
