package entity

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
