package core

// chaser is the part of a scheduler for cycles over several schedulers. Owned by the goroutine that
// has control.
type chaser struct {
	// chaseAt is when to look for cycles over other schedulers, in ns on the clock; 0 means that
	// there is no reason to.
	chaseAt  int64
	stray    bool                     // a search has left s since the last series of looks began
	unchased int                      // the number of coros to be examined in this series
	looking  bool                     // a chore will look when the scheduler is calm
	chased   int                      // the index in coros of the last one examined
	refused  map[*Task]*DeadlockError // the tasks whose waits a chase has just ended
}

// chase is the search for a cycle of waits over several schedulers. Such a cycle cannot be seen
// from one of them, so the wait that closes it is not refused. It is found by a chase, which
// follows the edges from scheduler to scheduler, through their doors, as in the edge chasing of
// Chandy, Misra and Haas (1983). When the chase comes back to its first task, it goes round once
// more and checks whether every task is still in the wait in which it was found. If so, all of them
// were in these waits at one moment, between the two rounds. Then the cycle is real, and it stays,
// because none of its waits can end by itself. The youngest of its waits between two schedulers is
// then refused. It gets the *[DeadlockError] that it would have got at its beginning if the cycle
// had been visible.
//
// The fast path pays nothing for this. A chase begins when a wait has lasted for chaseAfter, and a
// wait whose search for a cycle left the scheduler has begun since the last look.
//
// No cycle is missed permanently. Consider the edge that came last and closed the cycle: a wait
// that began, or was redirected, on scheduler S. The search for a cycle followed the edges there
// and left S, by a wait of a task of S that is part of the cycle. It made S look later at all its
// waits for other schedulers. The cycle stays as it is, so the chase of that wait comes back. If
// two edges of a cycle began at the same moment on two schedulers, both look, and each chase is
// late enough to find both. Only a cycle of more than maxHops is left to Hooks.Quiescent, which is
// called when nothing can happen.
type chase struct {
	hops  []hop
	mark  *Task // detects a cycle that the chase enters from outside; see ring
	limit int   // the number of hops at which mark moves on
	at    int   // in the second round: the next hop to be checked
}

// hop is a task on the way of a chase, with the wait in which it was found.
type hop struct {
	t     *Task
	seq   uint32
	kind  Kind
	soft  bool
	since int64
	next  *Task // the task that it waits for
}

const (
	// chaseAfter is how long a wait for a task of another scheduler lasts before a chase begins.
	chaseAfter = calmAfter
	// maxChases is the largest number of chases that one look sends. The next look sends the
	// others.
	maxChases = 1024
	// maxHops is the length at which a chase ends.
	maxHops = 10_000
)

// strayed is called when the search for a cycle leaves s.
func (s *Scheduler) strayed() {
	if s.team == nil {
		return
	}
	s.stray = true
	s.lookLater()
}

func (s *Scheduler) lookLater() {
	if s.chaseAt != 0 {
		return
	}
	s.chaseAt = s.now + chaseAfter
	if !s.looking {
		s.looking = true
		s.WhenCalm((*calmLook)(s))
	}
}

// calmLook is the chore that calls look when the scheduler is about to sleep.
type calmLook Scheduler

func (c *calmLook) Do() {
	s := (*Scheduler)(c)
	s.looking = false
	if s.chaseAt != 0 && s.now < s.chaseAt { // there was a look in the meantime
		s.looking = true
		s.WhenCalm(c)
		return
	}
	s.look()
}

// look examines the waits that have lasted for long, if it is time to. It examines all of them, in
// several looks if there are many. It is called when the scheduler is calm, and once in a while if
// the scheduler never is.
func (s *Scheduler) look() {
	if s.chaseAt == 0 || s.now < s.chaseAt {
		return
	}
	s.chaseAt = 0
	if s.unchased == 0 {
		s.unchased, s.stray = len(s.coros), false
	}
	for sent := 0; s.unchased > 0; s.unchased-- {
		if s.chased++; s.chased >= len(s.coros) {
			s.chased = 0
		}
		t := s.coros[s.chased].task
		if t == nil || !t.waitsFirmlyOn(nil) || t.waitsOn.Holder.s == s {
			continue
		}
		if t.since > s.now-chaseAfter/2 {
			s.stray = true // too young: it must be examined again
			continue
		}
		if sent++; sent > maxChases {
			s.chased--
			break
		}
		(&chase{limit: 2}).follow(t)
	}
	if s.stray || s.unchased > 0 {
		s.lookLater()
	}
}

// waitsFirmlyOn reports whether t waits for a task and nothing has ended that wait yet. If next is
// not nil, it must be that task. It must be called on t's scheduler.
func (t *Task) waitsFirmlyOn(next *Task) bool {
	if t.state != Parked && t.state != Idle || t.waitsOn == nil || t.waitsOn.Holder == nil {
		return false
	}
	if pending, _ := t.Killed(); pending && t.state == Parked {
		return false // its wait is about to end
	}
	return next == nil || t.waitsOn.Holder == next
}

// follow is the first round, from x on. It runs on x's scheduler.
func (p *chase) follow(x *Task) {
	for s := x.s; len(p.hops) == 0 || x != p.hops[0].t; {
		if !x.waitsFirmlyOn(nil) || len(p.hops) == maxHops {
			return
		}
		next := x.waitsOn.Holder
		p.hops = append(p.hops, hop{x, x.waitSeq, x.kind, x.soft, x.since, next})
		if next == p.mark {
			return
		}
		if len(p.hops) == p.limit {
			p.mark, p.limit = next, 2*p.limit
		}
		if next.s != s {
			next.s.InjectFunc(func() { p.follow(next) })
			return
		}
		x = next
	}
	p.verify()
}

// verify is the second round. It runs on the scheduler of the next hop.
func (p *chase) verify() {
	for s := p.hops[p.at].t.s; p.at < len(p.hops); p.at++ {
		h := &p.hops[p.at]
		if h.t.s != s {
			h.t.s.InjectFunc(p.verify)
			return
		}
		if h.t.waitSeq != h.seq || !h.t.waitsFirmlyOn(h.next) {
			return
		}
	}
	p.found()
}

// found refuses the youngest wait between two schedulers. If a wait of the cycle can time out, it
// only reports the cycle.
func (p *chase) found() {
	soft, victim := false, -1
	for i := range p.hops {
		h := &p.hops[i]
		soft = soft || h.soft
		if h.next.s == h.t.s || h.kind == InStop { // a stop breaks the waits that it meets
			continue
		}
		if v := victim; v < 0 || h.since > p.hops[v].since || h.since == p.hops[v].since && h.t.id > p.hops[v].t.id {
			victim = i
		}
	}
	if victim < 0 {
		return
	}
	e := &DeadlockError{}
	for i := range p.hops {
		h := &p.hops[(victim+i)%len(p.hops)]
		e.Chain = append(e.Chain, Link{Task: h.t.s.name(h.t), Kind: h.kind})
	}
	v := p.hops[victim]
	v.t.s.InjectFunc(func() { v.t.refuse(v.seq, e, soft) })
}

// refuse ends wait number seq of t because it is part of a cycle.
func (t *Task) refuse(seq uint32, e *DeadlockError, soft bool) {
	s := t.s
	if t.waitSeq != seq || t.state != Parked || s.refused[t] != nil {
		return // another chase came first
	}
	if soft && t.told {
		return
	}
	if h := s.hooks.Deadlock; h != nil {
		h(t, e, soft)
	}
	if soft {
		t.told = true
		return
	}
	if s.refused == nil {
		s.refused = make(map[*Task]*DeadlockError)
	}
	s.refused[t] = e
	t.wake(refused)
}

// refusal returns, and removes, the error that refuse left for t.
func (t *Task) refusal() error {
	e := t.s.refused[t]
	delete(t.s.refused, t)
	return e
}
