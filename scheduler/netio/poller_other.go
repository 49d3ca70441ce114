//go:build !linux

package netio

// poller is for Linux; elsewhere helpers wait.
type poller struct{}

func (*poller) close() {}

// watched is a connection for which signals are given: there is none.
type watched struct{}

func (*watched) forget() {}

func (h *home) watch(*link) bool { return false }
