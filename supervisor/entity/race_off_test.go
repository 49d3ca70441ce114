//go:build !race && !tasklet_check

package entity_test

const raceEnabled = false
