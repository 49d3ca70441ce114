//go:build !race && !tasklet_check

package mailbox

const raceEnabled = false
