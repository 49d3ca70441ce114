//go:build race

package otelactor_test

// The race detector allocates.
const raceEnabled = true
