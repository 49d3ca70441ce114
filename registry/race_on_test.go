//go:build race || tasklet_check

package registry_test

const raceEnabled = true
