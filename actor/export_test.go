package actor

// Owned is how many timers, watches and pipes t has.
func Owned(t *Tasklet) (n int) {
	for o := t.extra().owned.first; o != nil; o = o.next {
		n++
	}
	return n
}

// Watchers is how many watches t knows of.
func Watchers(t *Tasklet) int { return len(t.extra().watchers) }
