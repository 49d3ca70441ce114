// Package vitals has what package supervisor/health must know of a system, and no user needs. The
// functions are set when the packages that know the answers are initialized. They may be called
// from any goroutine, and wait for no tasklet. A system is an *actor.System and a tasklet an
// *actor.Tasklet, which this package cannot name because package actor imports it.
package vitals

import "time"

// Phase is how far a system has come.
type Phase uint8

const (
	Running  Phase = iota
	Draining       // it handles what was accepted, and will stop
	Stopping       // its main has ended or was killed
	Stopped        // its schedulers have ended
)

// Busy describes what a scheduler does.
type Busy struct {
	Task    uint64        // the ID of the task that has control; 0 if none has
	Word    uint64        // changes whenever control does; 0 while the scheduler sleeps
	Stalled time.Duration // how long the watchdog has seen the task in control; 0 if it has not
}

// Set by package actor.
var (
	PhaseOf func(system any) Phase
	// BusyOf returns what the n-th scheduler does.
	BusyOf func(system any, n int) Busy
	// PathOf returns the path of the tasklet whose task has the ID, or "" if there is none. It
	// examines all tasklets.
	PathOf func(system any, task uint64) string
	// Starting reports whether a tasklet with an init or OnStart functions has not done them yet.
	Starting func(tasklet any) bool
	// Parent reports whether a tasklet has children, or has had some.
	Parent func(tasklet any) bool
	// Ending reports whether a tasklet was killed or is certain to end, and has not finished.
	Ending func(tasklet any) bool
	// Supervised reports whether a tasklet is in a slot.
	Supervised func(tasklet any) bool
)

// Set by package supervisor/tree.
var (
	// GiveUp records that a supervisor gives up. It has no effect for one that is in a slot,
	// because the owner of the slot decides what follows.
	GiveUp func(tasklet any)
	// GivenUp returns the paths of the supervisors that have given up, whose parents have not ended
	// and which were not started again under the same path, and the number of those that it has no
	// room to name.
	GivenUp func(system any) (paths []string, more int)
)
