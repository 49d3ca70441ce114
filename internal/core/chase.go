package core

// chaser is what a scheduler knows of rings that go over several. Owned by whoever has control.
type chaser struct {
	// ns on the clock: when to look for rings that go over other schedulers; 0: there is no reason
	// to
	chaseAt  int64
	stray    bool                     // a search has left s since the last round of looks began
	unchased int                      // of coros: to be looked at before the round is over
	looking  bool                     // a chore looks when the scheduler is calm
	chased   int                      // index in coros of the last one that was looked at
	refused  map[*Task]*DeadlockError // those whose wait has just been ended by a chase
}

// A ring of waits that goes over several schedulers can't be seen from one of them, so nobody
// refuses the wait that closes it. It is found by a chase, which goes along the edges from
// scheduler to scheduler, through their doors, as in the edge chasing of Chandy, Misra and Haas
// (1983). When it comes back to where it began, it goes round once more and looks whether everybody
// is still in the wait in which it was found the first time. If so, all of them were in these waits
// at one moment, namely between the two rounds: the ring is real, and as none of its waits has an
// end of its own, it stays. Then the youngest of the waits that go from one scheduler to another is
// refused, with the *[DeadlockError] that it would have got at its begin had it been seen.
//
// The fast path pays nothing for it: a chase begins when a wait has gone on for chaseAfter, and one
// whose search for a ring left the scheduler has begun since the last look.
//
// None is missed for good. Look at the edge that came last and closed the ring: a wait that began,
// or was redirected, on scheduler S. There the search for a ring went along the edges and left S,
// by a wait of a task of S that is part of the ring, and saw to it that S looks at all its waits
// for other schedulers later than that. The ring stays as it is, so the chase of that wait comes
// back. If two edges of a ring began at one moment on two schedulers, both look, and each chase is
// late enough to find both. Only a ring of more than maxHops is left to those who see that nothing
// goes on: Hooks.Quiescent.
type chase struct {
	hops  []hop
	mark  *Task // to see a ring that the chase leads into and did not begin in: see ring
	limit int   // of hops, when mark is moved on
	at    int   // of the second round: the next hop to be looked at
}

// hop is a task on the way of a chase, in the wait in which it was found.
type hop struct {
	t     *Task
	seq   uint32
	kind  Kind
	soft  bool
	since int64
	next  *Task // whom it waits for
}

const (
	// chaseAfter is how long a wait for a task of another scheduler goes on before anybody looks
	// whether it can end.
	chaseAfter = calmAfter
	// maxChases is how many chases one look sends at most; those that are left come next.
	maxChases = 1024
	// maxHops ends a chase.
	maxHops = 10_000
)

// strayed is called when the search for a ring leaves s.
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

// calmLook is look when the scheduler is about to sleep.
type calmLook Scheduler

func (c *calmLook) Do() {
	s := (*Scheduler)(c)
	s.looking = false
	if s.chaseAt != 0 && s.now < s.chaseAt { // there was a look meanwhile
		s.looking = true
		s.WhenCalm(c)
		return
	}
	s.look()
}

// look looks at the waits that have gone on for long, if it is time: at all of them, but in several
// looks if there are many. It is called when the scheduler is calm, and once in a while when it
// never is.
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
			s.stray = true // too young: look again
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

// waitsFirmlyOn reports whether t waits for a task, next if that is not nil, and nothing has ended
// the wait yet. On t's scheduler.
func (t *Task) waitsFirmlyOn(next *Task) bool {
	if t.state != Parked && t.state != Idle || t.waitsOn == nil || t.waitsOn.Holder == nil {
		return false
	}
	if pending, _ := t.Killed(); pending && t.state == Parked {
		return false // its wait is about to end
	}
	return next == nil || t.waitsOn.Holder == next
}

// follow is the first round from x on. On x's scheduler.
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

// verify is the second round. On the scheduler of the next hop.
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

// found ends the youngest wait between two schedulers, or tells of it if somebody in the ring can
// time out.
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

// refuse ends wait number seq of t because it is part of a ring.
func (t *Task) refuse(seq uint32, e *DeadlockError, soft bool) {
	s := t.s
	if t.waitSeq != seq || t.state != Parked || s.refused[t] != nil {
		return // another chase was first
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

// refusal takes the error that refuse left for t.
func (t *Task) refusal() error {
	e := t.s.refused[t]
	delete(t.s.refused, t)
	return e
}
