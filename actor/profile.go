package actor

import (
	"context"
	"runtime/pprof"
	"strings"
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// The goroutine of an activation has the profiler labels of its tasklet, if Config.ProfileLabels is
// set; see labelled.

// maxLabelNames is the number of different names that the labels of the children of one place have.
// Further children share the name "*".
const maxLabelNames = 64

// maxLabelSets is the number of label sets of a system, and maxLabelPath that of the bytes of the
// path in each. A tasklet that would need more has the path otherPath, and so have those below it.
const (
	maxLabelSets = 4096
	maxLabelPath = 1024
	otherPath    = "(other)"
)

// labelSets has the label sets of a system.
type labelSets struct {
	mu    sync.Mutex // protects the following, and labelSet.below
	n     int        // the number of sets
	plain context.Context
	other *labelSet // nil until it is needed
}

// labelSet is the labels of all tasklets with one pooled path and one kind. It is made once, and
// remains as long as its system.
type labelSet struct {
	path  string          // pooled
	ctx   context.Context // has the labels
	below map[labelKey]*labelSet
}

type labelKey struct{ name, kind string }

// runnerOf returns the runner of t, which is about to be linked under parent.
func (s *System) runnerOf(t, parent *Tasklet) core.Runner {
	if s.labels == nil {
		return (*runner)(t)
	}
	return &labelled{(*runner)(t), s.labels.of(t, parent)}
}

// of returns the label set of t under parent, which is nil for the root and for the node of the
// daemons.
func (ls *labelSets) of(t, parent *Tasklet) *labelSet {
	key := labelKey{pooled(t.labelName()), t.inst.kind()}
	if parent == nil {
		if _, main := t.inst.(function); main {
			key.kind = "main"
		}
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if parent == nil {
		return ls.add("/"+key.name, key.kind)
	}
	up := parent.task.Runner().(*labelled).set
	if up == ls.other {
		return up
	}
	if set := up.below[key]; set != nil {
		return set
	}
	if len(up.below) >= maxLabelNames {
		key.name = "*"
		if set := up.below[key]; set != nil {
			return set
		}
	}
	set := ls.add(up.path+"/"+key.name, key.kind)
	if set == ls.other {
		return set
	}
	if up.below == nil {
		up.below = make(map[labelKey]*labelSet)
	}
	up.below[key] = set
	return set
}

// add returns a new set, or other if there are too many. mu must be held.
func (ls *labelSets) add(path, kind string) *labelSet {
	if ls.n >= maxLabelSets || len(path) > maxLabelPath {
		if ls.other == nil {
			ls.other = ls.make(otherPath, otherPath)
		}
		return ls.other
	}
	ls.n++
	return ls.make(path, kind)
}

func (ls *labelSets) make(path, kind string) *labelSet {
	return &labelSet{path: path, ctx: pprof.WithLabels(ls.plain, pprof.Labels("tasklet", path, "kind", kind))}
}

// labelName returns the name of t before it has its number.
func (t *Tasklet) labelName() string {
	if x := t.ex.Load(); x != nil && x.name != "" {
		return x.name
	}
	return functionName(t.source()) + "#0"
}

// pooled returns name with "*" for the number at its end, if a separator precedes that number. So
// the siblings worker-1 and worker-2 have one name.
func pooled(name string) string {
	head := strings.TrimRight(name, "0123456789")
	if len(head) == len(name) || head == "" {
		return name
	}
	switch head[len(head)-1] {
	case '#', '-', '_', ':':
		return head + "*"
	}
	return name
}
