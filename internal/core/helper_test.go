package core

import (
	"errors"
	"fmt"
	"testing"
)

// runFunc is a Runner that is called each time.
type runFunc func(*Task)

func (f runFunc) Run(t *Task) { f(t) }

// spawn makes a ready task of s that runs f once. It is finished when f is over, by a kill or
// Goexit too; other panics go on.
func spawn(s *Scheduler, id uint64, f func(*Task)) *Task {
	t := new(Task)
	t.Init(s, id, runFunc(func(t *Task) {
		defer func() {
			v := recover()
			t.Finish()
			if _, ok := v.(*Exit); v != nil && !ok {
				panic(v)
			}
		}()
		f(t)
	}))
	t.Wake()
	return t
}

// park waits until somebody wakes t.
func park(t *Task) { _ = t.Park(Wait{Kind: InReceive}) }

// testFailure ends a scheduler from inside a task: see fail.
type testFailure string

func (f testFailure) Error() string { return string(f) }

// fail ends s from inside a task, so that mustEnd fails the test: t.Fatal would end only the task.
func fail(_ *Scheduler, format string, args ...any) {
	panic(testFailure(fmt.Sprintf(format, args...)))
}

// mustEnd runs s to its end, which must be a good one.
func mustEnd(t *testing.T, s *Scheduler) {
	t.Helper()
	err := s.Run()
	var f testFailure
	if errors.As(err, &f) {
		t.Fatal(f)
	}
	if err != nil {
		var p *PanicError
		if errors.As(err, &p) {
			t.Logf("%s", p.Stack)
		}
		t.Fatalf("Run() = %v", err)
	}
	if l := s.Leaked(); len(l) != 0 {
		t.Fatalf("leaked %v", l)
	}
}
