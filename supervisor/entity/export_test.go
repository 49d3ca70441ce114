package entity

import (
	"context"
	"runtime"
)

// Left returns what a set keeps, for tests: the places in use, all entities, those that can be
// evicted, and the keys that are put aside.
func (es *Entities[K, M]) Left() (used, all, idle, aside int) {
	es.mu.Lock()
	defer es.mu.Unlock()
	if es.core == nil {
		return
	}
	return es.core.used, es.core.all.Len(), len(es.core.idle), len(es.core.aside)
}

const MaxAside = maxAside

// SendAtEnd ends the entity of key by end, and sends m to it after the set has looked for queued
// messages and before it closes the mailbox. It must be called on an ordinary goroutine, and
// nothing else may use the set meanwhile.
func (es *Entities[K, M]) SendAtEnd(ctx context.Context, key K, end func(), m M) error {
	es.mu.RLock()
	defer es.mu.RUnlock()
	ref := es.core.live[key].ref
	end()
	for es.mu.TryRLock() { // until childEnded waits for the lock
		es.mu.RUnlock()
		runtime.Gosched()
	}
	return ref.TrySend(ctx, m)
}
