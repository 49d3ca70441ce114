package between

import (
	"io"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// printed returns what f prints.
func printed(t *testing.T, f func()) string {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	before := os.Stdout
	os.Stdout = w
	f()
	os.Stdout = before
	require.NoError(t, w.Close())
	text, err := io.ReadAll(r)
	require.NoError(t, err)
	return string(text)
}

func TestCounter(t *testing.T) {
	var c Counter
	c.start(3)
	assert.Equal(t, "handled\n", printed(t, func() {
		for i := range 3 {
			assert.Equal(t, int64(i+1), c.Got(uint64(i)))
		}
	}))
	c.start(3)
	assert.Equal(t, "message 2 came as number 1\nmessage 1 came as number 2\nhandled\n", printed(t, func() {
		for _, number := range []uint64{0, 2, 1} {
			c.Got(number)
		}
	}))
	assert.Equal(t, "message 1 came as number 3\n", printed(t, func() { c.Got(1) }), "one too many")
}
