package tree

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/vitals"
)

func init() {
	vitals.GiveUp = func(t any) {
		if t := t.(*actor.Tasklet); !vitals.Supervised(t) {
			registryOf(t.System()).gone.add(t)
		}
	}
	vitals.GivenUp = func(s any) ([]string, int) { return registryOf(s.(*actor.System)).gone.list() }
}

// maxGone is the number of supervisors that gone names. Without a limit a program that starts
// supervisors again and again under derived names could fill the memory.
const maxGone = 64

// gone has the supervisors that have given up, are in no slot and were not started again. Nothing
// else shows them, because they are no longer among the children of their parents.
type gone struct {
	// any is atomic, and says that the following is not empty. It is read at each start of a
	// supervisor, without mu.
	any atomic.Bool

	// mu protects the following.
	mu    sync.Mutex
	tasks []*actor.Tasklet // in order of their end, at most maxGone
	more  int              // the number of those without room in tasks
}

// add adds t, which gives up.
func (g *gone) add(t *actor.Tasklet) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.clean(); len(g.tasks) < maxGone {
		g.tasks = append(g.tasks, t)
	} else {
		g.more++
	}
	g.any.Store(true)
}

// again removes the supervisor that t, which begins, replaces.
func (g *gone) again(t *actor.Tasklet) {
	if !g.any.Load() {
		return
	}
	path := t.Path()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tasks = slices.DeleteFunc(g.tasks, func(o *actor.Tasklet) bool { return o.Path() == path })
	g.clean()
}

// list returns the paths of the supervisors, and the number of those without room.
func (g *gone) list() (paths []string, more int) {
	if !g.any.Load() {
		return nil, 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.clean()
	for _, t := range g.tasks {
		paths = append(paths, t.Path())
	}
	return paths, g.more
}

// clean removes the supervisors whose parents have ended too. mu must be held.
func (g *gone) clean() {
	g.tasks = slices.DeleteFunc(g.tasks, func(t *actor.Tasklet) bool {
		p := t.Parent() // nil for a daemon
		return p != nil && p.HasFinished()
	})
	g.any.Store(len(g.tasks) > 0 || g.more > 0)
}
