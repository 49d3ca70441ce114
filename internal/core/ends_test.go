package core

import (
	"context"
	"slices"
	"testing"
)

// The members of a team end together: what one that ends late brings to another's door is still
// done, and Run returns nowhere before.
func TestTeamEndsTogether(t *testing.T) {
	release := make(chan struct{})
	done := false // owned by the first
	ss := newTeam(2, RealClock(), Hooks{})
	holds := make(chan struct{})
	spawn(ss[1], 1, func(*Task) {
		close(holds)
		<-release // holds its scheduler
		if !ss[0].InjectFunc(func() { done = true }) {
			t.Error("the door is shut")
		}
	})
	go func() {
		<-holds
		stopAll(ss)
		for !ss[0].Unwound() { // it has nothing left to do
		}
		if ss[0].Gone().Err() != nil || ss[1].Unwound() {
			t.Error("the first did not wait")
		}
		close(release)
	}()
	for _, err := range runAll(ss) {
		if err != nil {
			t.Error(err)
		}
	}
	if !done || ss[0].Gone().Err() == nil || ss[1].Gone().Err() == nil {
		t.Error("not done, or not gone")
	}
}

// Left is called when nothing is left to do on any member, until it brings nothing more; Lost once
// for each task that recovers every kill or whose Run panics.
func TestLeftAndLost(t *testing.T) {
	for n := range 3 {
		var ss []*Scheduler
		var log lockedTrace
		rounds := 0
		hooks := Hooks{
			Lost: func(t *Task) { log.add("lost %d", t.ID()) },
			Left: func() {
				if rounds++; rounds <= 2 {
					last := ss[len(ss)-1]
					last.InjectFunc(func() { log.add("round %d", rounds) })
				}
			},
		}
		if n == 0 {
			ss = []*Scheduler{New(Config{Hooks: hooks})}
		} else {
			ss = newTeam(n, RealClock(), hooks)
		}
		ready := make(chan struct{})
		spawn(ss[0], 7, func(t *Task) {
			close(ready)
			for {
				func() {
					defer func() { _ = recover() }()
					park(t)
				}()
			}
		})
		go func() { <-ready; stopAll(ss) }()
		for _, err := range runAll(ss) {
			if err != nil {
				t.Error(err)
			}
		}
		log.want(t, "lost 7 round 1 round 2")
		if rounds != 3 {
			t.Errorf("%d rounds", rounds)
		}
	}
	var lost []uint64
	s := New(Config{Hooks: Hooks{Lost: func(t *Task) { lost = append(lost, t.ID()) }}})
	spawn(s, 3, func(*Task) { panic("boom") })
	if err := s.Run(); err == nil || !slices.Equal(lost, []uint64{3}) {
		t.Error(err, lost)
	}
}

// GiveUp ends the context of Gone, and nothing else.
func TestGiveUp(t *testing.T) {
	s := New(Config{})
	s.GiveUp()
	if s.Gone().Err() != context.Canceled {
		t.Error("not gone")
	}
	ran := false
	spawn(s, 1, func(*Task) { ran = true; s.Stop() })
	if err := s.Run(); err != nil || !ran {
		t.Error(err, ran)
	}
}
