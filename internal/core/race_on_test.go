//go:build race

package core

// The race detector can't follow more than 8,128 goroutines at a time.
const raceEnabled = true
