package netio_test

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/scheduler"
)

// A reader parks, and reads what a writer writes later; others run meanwhile.
func TestReadParks(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *scheduler.Task, kind string) {
		x, y := pair(tb, t, kind)
		var got []byte
		reader := b.start(func(t *scheduler.Task) {
			var err error
			got, err = io.ReadAll(x)
			require.NoError(tb, err)
		})
		parked(t, reader)
		for range 100 {
			n, err := y.Write([]byte("hello"))
			require.NoError(tb, err)
			require.Equal(tb, 5, n)
			t.Yield()
		}
		require.NoError(tb, y.Close())
		reader.join(t)
		require.Len(tb, got, 500)
	})
}
