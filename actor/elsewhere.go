package actor

import (
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
)

// What tasklets of different schedulers have to do with each other goes through the door of the one
// that owns what is touched. The rest of this package asks near where there is a shorter way
// between tasklets of the same scheduler.

// near reports whether t and other run on the same scheduler.
func (t *Tasklet) near(other *Tasklet) bool { return t.task.Scheduler() == other.task.Scheduler() }

// bells wake tasklets of other schedulers that wait for one thing, in the order in which they came.
// The mutex beside them protects them.
type bells struct{ list[*core.Bell] }

// bell is one wait among bells.
type bell = entry[*core.Bell]

// hang lets b be rung, unless it is too late: over says so.
func (bs *bells) hang(b *bell, mu *sync.Mutex, over func() bool) bool {
	mu.Lock()
	defer mu.Unlock()
	if over() {
		return false
	}
	bs.add(b)
	return true
}

func (bs *bells) takeDown(b *bell, mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	bs.remove(b)
}

// childChanged tells t's parent, if it is stopping its children, that it is worth looking again.
func (t *Tasklet) childChanged() {
	p := t.parent
	switch {
	case p == nil:
	case t.near(p):
		if p.phase == stopping {
			p.task.Wake()
		}
	case p.marks.Load()&markEnded != 0: // set before it looks at its children the first time
		p.task.Scheduler().Inject((*wakeStopping)(p))
	}
}

// wakeStopping is childChanged for a parent on another scheduler.
type wakeStopping Tasklet

func (w *wakeStopping) Do() {
	if p := (*Tasklet)(w); p.phase == stopping {
		p.task.Wake()
	}
}

// childEnd is what a tasklet in a slot tells its parent on another scheduler.
type childEnd Exit

func (e *childEnd) Do() {
	if t := e.Tasklet; t.parent.phase < stopping {
		t.tellSupervisor(Exit(*e))
	}
}

// post has f done on the scheduler that owns the line's mailbox, before the next tasklet that reads
// it has its first step: for those who may be on another one.
func (l *line[M]) post(f func()) {
	if !l.far() {
		f()
		return
	}
	x := l.extra()
	x.mu.Lock()
	x.posted = append(x.posted, f)
	x.mu.Unlock()
	if home := l.home(); !home.sched.Inject((*posted[M])(l)) && home.ended() {
		l.catchUp()
	}
}

// catchUp does what was posted. On home.
func (l *line[M]) catchUp() {
	x := l.more.Load()
	if x == nil {
		return
	}
	x.mu.Lock()
	fs := x.posted
	x.posted = nil
	x.mu.Unlock()
	for _, f := range fs {
		f()
	}
}

type posted[M any] line[M]

func (p *posted[M]) Do() { (*line[M])(p).catchUp() }
