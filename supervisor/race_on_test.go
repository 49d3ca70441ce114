//go:build race || tasklet_check

package supervisor_test

const raceEnabled = true
