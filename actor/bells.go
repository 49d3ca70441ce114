package actor

import (
	"sync"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/internal/list"
)

// bells wake tasklets of other schedulers that wait for the same thing, in the order in which they
// came. The mutex beside a bells field protects it.
type bells struct{ list.List[*core.Bell] }

// bell is one wait among bells.
type bell = list.Entry[*core.Bell]

// hang adds b, and reports whether it did so. It does not if over, called under mu, returns true.
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
