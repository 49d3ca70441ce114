// Package vitals has what packages supervisor/health and supervisor/inspector must know of a
// system, and no user needs. The functions are set when the packages that know the answers are
// initialized. They may be called from any goroutine, and wait for no tasklet. A system is an
// *actor.System and a tasklet an *actor.Tasklet, which this package cannot name because package
// actor imports it.
package vitals

import (
	"reflect"
	"time"
)

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
	// KindOf returns the kind of a tasklet, as actor.Info has it.
	KindOf func(tasklet any) string
	// Supervised reports whether a tasklet is in a slot.
	Supervised func(tasklet any) bool
)

// Set by package actor, for supervisor/inspector.
var (
	// Observe calls f with a pointer to each event, an *actor.EventRecord, in order, one at a time.
	// The events are those that the log or OnEvent of the system take, all of level info and
	// above. f is called with a lock held: it must neither block nor emit, and must not keep the
	// pointer. level is the zapcore.Level at which the event is logged.
	Observe func(system any, f func(record any, level int8)) (cancel func())
	// DetailsOf returns what is known of a tasklet besides its actor.Info.
	DetailsOf func(tasklet any) Details
	// StackOf returns the stack of a tasklet that is running, or nil. It stops the program for a
	// moment.
	StackOf func(tasklet any) []byte
)

// Details are facts about a tasklet.
type Details struct {
	Watchers   []string // the paths of the tasklets that watch it, at most MaxWatchers
	Watched    int      // the number of watches
	OnFailure  string   // resume, end or escalate
	Overflow   string   // the policy of its mailbox; "" if it has none
	Shutdown   time.Duration
	Daemon     bool
	Supervised bool // it is in a slot
}

// MaxWatchers is the largest number of Details.Watchers.
const MaxWatchers = 50

// Set by package registry. They are nil in a program without it.
var (
	// Names calls yield for each name, in no order, with the path of the tasklet that has it and
	// the type of its messages.
	Names func(system any, yield func(name, path string, message reflect.Type) bool)
	// Groups calls yield for each group, in no order, with the number of its members and the paths
	// of the first of them, at most MaxMembers.
	Groups func(system any, yield func(name string, message reflect.Type, members int, paths []string) bool)
)

// MaxMembers is the largest number of members of a group that are named.
const MaxMembers = 20

// Set by package registry/cluster. They are nil in a program without it.
var (
	// ClusterNodes returns what the nodes of a system know, sorted by name: usually of one.
	ClusterNodes func(system any) []ClusterNode
	// ClusterNames calls yield for each name that a node of the system knows, in no order.
	ClusterNames func(system any, yield func(ClusterName) bool)
	// ClusterCountsOf returns the counts of all nodes that a system has had, since its start.
	ClusterCountsOf func(system any) ClusterCounts
)

// ClusterNode is a node of a cluster, in this process.
type ClusterNode struct {
	Name, Incarnation string
	Labels            map[string]string
	State             string        // member, shut_out or left
	Since             time.Time     // of its Join
	Lease             time.Duration // for which it may still count on its session; 0 if it may not
	Links             []ClusterLink // to the other nodes, by name
	// Names, Singletons and Shards are the numbers of claims by kind.
	Names, Singletons, Shards int
}

// ClusterLink is what a node knows of another one; see cluster.LinkInfo.
type ClusterLink struct {
	Node, Incarnation string
	Labels            map[string]string
	State             string // up, suspect or down
	For               time.Duration
	Cause             string // why it is down
	Outboxes, Waiting int
	Unconfirmed       int
	UnconfirmedBytes  int
	Calls, Queued     int
	Again, Refused    uint64
	Sent, Received    ClusterTraffic
}

// ClusterTraffic counts what was sent to other nodes, or what has come.
type ClusterTraffic struct{ Messages, Frames, Bytes uint64 }

// ClusterName is a name as a node knows it.
type ClusterName struct {
	At     string // the node that knows it
	Name   string
	Node   string // that has it
	Type   string // of its messages, on the wire
	Token  uint64
	Member bool // Node is a member, in that incarnation
}

// ClusterCounts are counts of all links.
type ClusterCounts struct {
	Sent, Received ClusterTraffic
	Again          uint64 // frames that were sent once more
	Refused        [len(ClusterReasons)]uint64
}

// ClusterReasons are the reasons for which frames are refused.
var ClusterReasons = [7]string{"version", "session", "frame", "protocol", "overrun", "unknown_node", "flood"}

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
