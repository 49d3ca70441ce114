//go:build race

package actor_test

// The race detector can't follow more than 8,128 goroutines at a time.
const raceEnabled = true
