package rendezvous

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func owner(key string, members []uint64) (best uint64) {
	highest, h := uint64(0), Hash(key)
	for _, m := range members {
		if w := Weight(h, m); w >= highest {
			best, highest = m, w
		}
	}
	return best
}

// Nodes of different builds must choose alike.
func TestTheChoiceIsFixed(t *testing.T) {
	require.Equal(t, uint64(0xaf63dc4c8601ec8c), Hash("a"), "FNV-1a, as published")
	require.Equal(t, uint64(0xe220a8397b1dcdaf), Weight(0, 1), "the first number of splitmix64 with seed 0")
}

// A member that leaves gives its keys to all others, about equally, and no other key moves.
func TestOnlyTheKeysOfTheMemberMove(t *testing.T) {
	members := []uint64{Hash("a"), Hash("b"), Hash("c"), Hash("d")}
	counts, gained := map[uint64]int{}, map[uint64]int{}
	for i := range 40000 {
		key := strconv.Itoa(i)
		before, after := owner(key, members), owner(key, members[:3])
		counts[before]++
		if before == members[3] {
			gained[after]++
		} else {
			require.Equal(t, before, after)
		}
	}
	for _, m := range members {
		require.InDelta(t, 10000, counts[m], 500)
	}
	for _, m := range members[:3] {
		require.InDelta(t, 3333, gained[m], 300)
	}
}
