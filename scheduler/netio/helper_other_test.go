//go:build !unix

package netio_test

import (
	"syscall"
	"testing"
)

// shorten does nothing: the tests that need it are for Linux.
func shorten(testing.TB, syscall.RawConn) {}
