//go:build unix

package netio

import (
	"io"
	"net"
	"os"
	"syscall"
)

// raw tries the calls of one direction on the descriptor, so that the task itself makes each call
// that need not wait. The zero raw tries none. The caller that has the turn owns it.
type raw struct {
	fd    syscall.RawConn // nil if no call can be tried
	write bool
	// try makes one attempt and always returns true. It is made once, so that a call allocates
	// nothing.
	try    func(fd uintptr) bool
	stream bool // a read of 0 bytes is the end

	b      []byte
	n      int
	addr   syscall.Sockaddr // of a datagram: its source or destination
	family int              // of the socket; 0 if not yet known
	err    error
}

// newRaw returns the raw that tries reads or writes of e. It returns the zero raw if e is of any
// other type than those that follow.
func newRaw(e any, write bool) raw {
	r := raw{write: write}
	var err error
	switch e := e.(type) {
	case *net.TCPConn:
		r.stream = true
		r.fd, err = e.SyscallConn()
	case *net.UnixConn:
		if e.LocalAddr().Network() != "unix" {
			return raw{}
		}
		r.stream = true
		r.fd, err = e.SyscallConn()
	case *net.UDPConn:
		r.fd, err = e.SyscallConn()
	}
	if err != nil {
		return raw{}
	}
	return r
}

// maxRW is as in package internal/poll: some systems refuse more in one call.
const maxRW = 1 << 30

// one makes one attempt to read into b or to write b. It returns errAgain if the call would block.
// Other errors are those that package net returns.
func (r *raw) one(b []byte) (n int, err error) {
	if r.try == nil {
		r.try = func(fd uintptr) bool {
			call := syscall.Read
			if r.write {
				call = syscall.Write
			}
			for r.n, r.err = call(int(fd), r.b); r.err == syscall.EINTR; {
				r.n, r.err = call(int(fd), r.b)
			}
			return true
		}
	}
	if r.stream && len(b) > maxRW {
		b = b[:maxRW]
	}
	name := "read"
	if r.write {
		name = "write"
	}
	r.b = b
	err = r.attempt(name)
	r.b = nil
	n = max(r.n, 0)
	if err == nil && n == 0 && r.stream && !r.write {
		err = io.EOF
	}
	return n, err
}

func (r *raw) attempt(name string) (err error) {
	r.n, r.err = 0, nil
	if r.write {
		err = r.fd.Write(r.try)
	} else {
		err = r.fd.Read(r.try)
	}
	if err != nil { // there was no attempt: the deadline has passed, or it is closed
		if op, ok := err.(*net.OpError); ok {
			return op.Err
		}
		return err
	}
	if r.err == syscall.EAGAIN {
		return errAgain
	}
	if r.err != nil {
		return os.NewSyscallError(name, r.err)
	}
	return nil
}
