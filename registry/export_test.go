package registry

// Waiters is how many replies are kept for those who wait for a name, and for how many names.
func (r *Registry) Waiters() (replies, names int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.wanted {
		replies += len(w.replies)
	}
	return replies, len(r.wanted)
}

// Holders is how many refs are known that have something.
func (r *Registry) Holders() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

// Kept is how many members g keeps, with those that have left.
func (g *Group[M]) Kept() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.members)
}
