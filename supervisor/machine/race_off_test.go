//go:build !race && !tasklet_check

package machine_test

const raceEnabled = false
