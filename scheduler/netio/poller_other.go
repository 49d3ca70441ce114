//go:build !linux

package netio

// poller exists only on Linux. On other systems helpers wait.
type poller struct{}

func (*poller) close() {}

// watched is the registration of a connection. No connection has one on this system.
type watched struct{}

func (*watched) forget() {}

func (h *home) watch(*link) bool { return false }
