//go:build unix

package netio_test

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// shorten makes the queue of a listener as short as can be.
func shorten(tb testing.TB, raw syscall.RawConn) {
	require.NoError(tb, raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), 0) }))
}
