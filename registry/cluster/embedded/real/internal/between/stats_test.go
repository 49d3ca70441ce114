package between

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMedian(t *testing.T) {
	assert.Equal(t, 2.0, Median([]float64{3, 1, 2}))
	assert.Equal(t, 2.5, Median([]float64{4, 1, 2, 3}))
}

func TestSpread(t *testing.T) {
	assert.Equal(t, "2.00 (1.00 to 3.00)", Spread([]float64{3, 1, 2}))
}
