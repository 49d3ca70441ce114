//go:build !unix

package netio

import "net"

// raw tries nothing on this system: a helper makes all calls that could block.
type raw struct {
	fd     any
	stream bool
}

func newRaw(any, bool) raw { return raw{} }

func (*raw) one([]byte) (int, error) { return 0, errAgain }

func (*raw) oneFrom([]byte) (int, net.Addr, error) { return 0, nil, errAgain }

func (*raw) oneTo([]byte, net.Addr) (bool, error) { return false, nil }
