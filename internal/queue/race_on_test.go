//go:build race || tasklet_check

package queue

const raceEnabled = true
