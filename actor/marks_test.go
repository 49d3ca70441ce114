package actor

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"
)

// The table has a row for each mark, in order, and finds marks that can't be.
func TestMarkRules(t *testing.T) {
	for i, r := range markRules {
		require.Equal(t, uint32(1)<<i, r.mark, r.name)
		require.NotEmpty(t, r.by, r.name)
		require.NotEmpty(t, r.when, r.name)
	}
	require.Equal(t, len(markRules)-1, bits.TrailingZeros32(markQuiet), "the last one")

	for _, c := range []struct {
		marks uint32
		wrong string
	}{
		{0, ""},
		{markParent | markPlaced, ""},
		{markOver, "over"},
		{markOver | markHard, ""},
		{markOver | markEnded | markKilled | markFinished, ""},
		{markFinished, "finished"},
		{markEnded, "ended"},
		{markHard, "hard"},
		{markLeaked, "leaked"},
		{markLeaked | markStopped, ""},
		{markLost | markStopped, "lost"},
		{markVacant | markLeft, ""},
		{markVacant | markLeft | markParent, "parent"},
		{markDraining, ""},
		{markCut, "cut"},
		{markTold, "told"},
	} {
		got := ""
		if r := wrongMark(c.marks); r != nil {
			got = r.name
		}
		require.Equal(t, c.wrong, got, markNames(c.marks))
	}
}
