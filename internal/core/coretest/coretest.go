// Package coretest runs tasks in examples of the packages that are built on internal/core.
package coretest

import (
	"time"

	"github.com/gotasklet/tasklet/internal/core"
)

// Once returns a Runner that calls f once. If f is killed, it calls killed, which may be nil.
func Once(f, killed func(t *core.Task)) core.Runner { return &once{f, killed} }

type once struct{ f, killed func(t *core.Task) }

func (o *once) Run(t *core.Task) {
	defer func() {
		v := recover()
		if _, ok := v.(*core.Exit); v != nil && !ok {
			panic(v)
		}
		if v != nil && o.killed != nil {
			o.killed(t)
		}
		t.Finish()
	}()
	o.f(t)
}

// Simulate runs the tasks, numbered from 1, on a virtual clock until no task can proceed. Then it
// kills the tasks that are left. It calls killed, which may be nil, for each killed task, and
// returns what Run of the scheduler returned.
func Simulate(killed func(t *core.Task), tasks ...func(t *core.Task)) error {
	var s *core.Scheduler
	s = core.New(core.Config{
		Clock: core.NewVirtualClock(time.Time{}),
		Hooks: core.Hooks{Quiescent: func() { s.Stop() }},
	})
	for i, f := range tasks {
		t := new(core.Task)
		t.Init(s, uint64(i+1), Once(f, killed))
		t.Wake()
	}
	return s.Run()
}
