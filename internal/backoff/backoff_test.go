package backoff

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDelay(t *testing.T) {
	for n, want := range []time.Duration{1, 3, 9, 20, 20} {
		require.Equal(t, want*time.Second, Delay(time.Second, 20*time.Second, 3, 0, n, 1))
	}
	require.Equal(t, 750*time.Millisecond, Delay(time.Second, time.Minute, 2, 0.5, 0, 0.5))
	require.Equal(t, time.Duration(math.MaxInt64), Delay(1, math.MaxInt64, 2, 0.5, 1000, 0))
}

func TestDraw(t *testing.T) {
	a, b := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(1, 2))
	require.Equal(t, Draw(a), Draw(b))
	r := Draw(nil)
	require.True(t, r >= 0 && r < 1)
}
