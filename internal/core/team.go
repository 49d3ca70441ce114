package core

import "sync"

// A Team is the schedulers of one system, which work together. They have the same time, and are
// quiescent together. With a virtual clock, which they have to share, time advances only when
// nothing is ready on any of them. Hooks.Quiescent is called, on one of them, when nothing can
// happen on any. The zero Team has no members; Config.Team adds them.
//
// In all other respects each scheduler is independent. They reach each other through their doors.
type Team struct {
	members []*Scheduler // grows in New, before any of them runs; then read-only

	// mu protects the following, and the fields rests and restTill of the members. A goroutine that
	// holds mu can read what a resting member owns.
	//
	// A member rests if nothing is ready on it and only its timers or its door can change that. If
	// something is at its door, it is about to wake up. It takes mu before it does, so resting
	// members do not move while mu is held. When all members rest and no door has anything, no
	// member moves.
	mu    sync.Mutex
	asked bool // Quiescent was called since something was ready on a member
	over  bool // no member has anything left to do, and all end; never becomes false again
}

// membership is the place of a scheduler in its team.
type membership struct {
	team   *Team // nil if it works alone; set in New, then read-only
	member int   // its number in the team; set in New, then read-only

	// Team.mu protects the following.
	rests    bool  // see Team
	atEnd    bool  // it was asked to stop and has nothing left to do; see restAtEnd
	restTill int64 // ns on the clock: its next timer; negative if it has none
}

// join makes s a member of the team.
func (team *Team) join(s *Scheduler) {
	if len(team.members) > 0 && s.clock != team.members[0].clock {
		misuse("the schedulers of a Team must share one Clock")
	}
	s.member = len(team.members)
	team.members = append(team.members, s)
}

// Kin reports whether s and other are the same scheduler, or belong to the same team. A wait of one
// for the other is then not a wait for the outside. Kin may be called from any goroutine.
func (s *Scheduler) Kin(other *Scheduler) bool {
	return s == other || other != nil && s.team != nil && s.team == other.team
}

// rest is the sleep of a member on which nothing is ready, and for which nothing outside of the
// team works. calm is the time until the next chore.
func (s *Scheduler) rest(calm int64) {
	if !s.lieDown(s.wheel.n > 0) {
		s.sleep(calm)
	}
	s.team.mu.Lock()
	s.rests = false
	s.team.mu.Unlock()
	s.expire()
	s.look()
}

// lieDown begins a rest. If all others rest already, time advances, or the team is quiescent.
// lieDown returns true if a timer of s is due. timers says whether s has timers that count.
func (s *Scheduler) lieDown(timers bool) (due bool) {
	team := s.team
	team.mu.Lock()
	defer team.mu.Unlock()
	if !s.quiet {
		s.quiet, team.asked = true, false
	}
	s.rests, s.restTill = true, -1
	if s.clock.virtual() && timers {
		s.restTill = s.origin + s.wheel.deadline()*tickNS
	}
	next := int64(-1)
	for _, m := range team.members {
		if !m.rests || m.door.pending.Load() {
			return false
		}
		if m.restTill >= 0 && (next < 0 || m.restTill < next) {
			next = m.restTill
		}
		if at := m.chaseAt; at != 0 && s.clock.virtual() && (next < 0 || at < next) {
			next = at // otherwise a wait that ends first might end a cycle that was not found yet
		}
	}
	if next < 0 {
		if !team.asked && !s.asked && s.hooks.Quiescent != nil {
			team.asked = true
			s.quiescent()
		}
		return false
	}
	s.jump(next)
	for _, m := range team.members {
		switch {
		case m.restTill != next && m.chaseAt != next:
		case m == s:
			due = true
		default:
			m.Inject(nudge{})
		}
	}
	return due
}

// nudge is work that only wakes a scheduler.
type nudge struct{}

func (nudge) Do() {}

// restAtEnd does what Scheduler.restAtEnd does, for a member. The last member that calls it asks
// the owner what is left, while all others are halted: as in a rest, a member that has something at
// its door takes mu before it does that.
func (team *Team) restAtEnd(s *Scheduler) (over bool) {
	team.mu.Lock()
	s.rests, s.restTill, s.atEnd, s.chaseAt = true, -1, true, 0
	if !team.over && team.allAtEnd() {
		s.left()
		if team.allAtEnd() && s.ready.n == 0 {
			team.over = true
			for _, m := range team.members {
				if m != s {
					m.Inject(nudge{})
				}
			}
		}
	}
	over = team.over
	team.mu.Unlock()
	if over {
		return true
	}
	s.unwound.Store(true)
	s.sleep(-1)
	s.unwound.Store(false)
	team.mu.Lock()
	defer team.mu.Unlock()
	s.rests, s.atEnd = false, false
	return false
}

// allAtEnd reports whether no member has anything left to do. mu must be held.
func (team *Team) allAtEnd() bool {
	for _, m := range team.members {
		if !m.atEnd || m.door.pending.Load() {
			return false
		}
	}
	return true
}
