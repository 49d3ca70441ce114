package core

// Peek reads a word that its owner writes without synchronization, from any goroutine: for counters
// shown in a log or asked for by Len, on whose writer an atomic store (a locked instruction, 7 ns,
// twice a message) would be too dear.
//
// The Go memory model gives such a read a meaning: for a location no larger than a machine word it
// observes some value that was written there, perhaps not the latest; it can't be torn. The race
// detector can't know that it is meant, hence the directive. Never to be used to decide anything.
//
//go:norace
//go:noinline
func Peek[T uint | uint8 | uint32 | int64 | uint64 | Kind | State | *Resource | *Task](p *T) T {
	return *p
}
