package actor

import (
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/list"
)

// bells wake tasklets of other schedulers that wait for one thing, in the order in which they came.
// The mutex beside them protects them.
type bells struct{ list.List[*core.Bell] }

// bell is one wait among bells.
type bell = list.Entry[*core.Bell]

// hang lets b be rung, unless it is too late: over says so.
func (bs *bells) hang(b *bell, mu *sync.Mutex, over func() bool) bool {
	mu.Lock()
	defer mu.Unlock()
	if over() {
		return false
	}
	bs.Add(b)
	return true
}

func (bs *bells) takeDown(b *bell, mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
	bs.Remove(b)
}
