//go:build race

package scheduler

// The race detector can't follow more than 8,128 goroutines at a time.
const raceEnabled = true
