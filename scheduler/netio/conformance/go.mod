// What golang.org/x/net/nettest promises of a net.Conn, checked for package netio. A module of its own, so that the library's go.mod
// stays clean.
module github.com/gotasklet/tasklet/scheduler/netio/conformance

go 1.26.0

require (
	github.com/gotasklet/tasklet v0.0.0
	golang.org/x/net v0.47.0
)

replace github.com/gotasklet/tasklet => ../../..
