package core

import "sync"

// A Team is for schedulers that work together: those of one system. They have one idea of time and
// of quiet: with a virtual clock, which they have to share, time goes on only when nothing is ready
// on any of them, and Hooks.Quiescent is called, on one of them, when nothing can go on anywhere.
// The zero Team has no members; Config.Team makes one.
//
// In everything else each scheduler is by itself: its members reach each other through their doors.
type Team struct {
	members []*Scheduler // grows in New, before any of them runs; then read-only

	// mu protects the following, and rests and restTill of the members. Under it, what a member
	// that rests owns can be read.
	//
	// A member rests when nothing is ready on it and only its timers or its door can change that.
	// One that rests and has something at its door is about to wake up. It takes mu before it does,
	// so as long as somebody holds mu, those that rest don't move; when all rest and no door has
	// anything, nobody does.
	mu    sync.Mutex
	asked bool // Quiescent was called since something was ready on a member
	over  bool // nothing is left to do on any member: all end. It never becomes false again
}

// membership is the place of a scheduler in its team.
type membership struct {
	team   *Team // nil: it works alone. Set in New, then read-only
	member int   // its number in the team, set in New too

	// Protected by Team.mu.
	rests    bool  // see Team
	atEnd    bool  // it has been asked to stop, and nothing is left to do on it: see restAtEnd
	restTill int64 // ns on the clock: its next timer; negative: it has none
}

// join makes s a member.
func (team *Team) join(s *Scheduler) {
	if len(team.members) > 0 && s.clock != team.members[0].clock {
		misuse("the schedulers of a Team must share one Clock")
	}
	s.member = len(team.members)
	team.members = append(team.members, s)
}

// Kin reports whether s and other are the same scheduler, or of the same team: then a wait of one
// for the other is no wait for the outside. From any goroutine.
func (s *Scheduler) Kin(other *Scheduler) bool {
	return s == other || other != nil && s.team != nil && s.team == other.team
}

// rest is the sleep of a member on which nothing is ready, and for which nobody outside of the team
// works. calm is as in sleep.
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

// lieDown is the begin of a rest. If all others rest already, time goes on, or the team is
// quiescent; true: a timer of s is due. timers says whether s has some that count.
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
			next = at // or what ends first would end a ring that nobody has seen
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

// nudge is work that only wakes.
type nudge struct{}

func (nudge) Do() {}

// restAtEnd is Scheduler.restAtEnd for a member. The last one that comes to it asks the owner what
// is left, while all stand still: as in a rest, one that has something at its door takes mu before
// it does it.
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

// allAtEnd reports whether no member has anything left to do. Under mu.
func (team *Team) allAtEnd() bool {
	for _, m := range team.members {
		if !m.atEnd || m.door.pending.Load() {
			return false
		}
	}
	return true
}
