//go:build unix

package netio

import (
	"net"
	"strconv"
	"syscall"
)

// oneFrom makes one attempt to receive a datagram into b.
func (r *raw) oneFrom(b []byte) (n int, from net.Addr, err error) {
	if r.try == nil {
		r.try = func(fd uintptr) bool {
			for r.n, r.addr, r.err = syscall.Recvfrom(int(fd), r.b, 0); r.err == syscall.EINTR; {
				r.n, r.addr, r.err = syscall.Recvfrom(int(fd), r.b, 0)
			}
			return true
		}
	}
	r.b = b
	err = r.attempt("recvfrom")
	r.b = nil
	if err != nil {
		return 0, nil, err
	}
	return max(r.n, 0), udpAddr(r.addr), nil
}

// oneTo makes one attempt to send b as a datagram. If ok is false, it made none, and package net
// must handle the address.
func (r *raw) oneTo(b []byte, to net.Addr) (ok bool, err error) {
	if r.try == nil {
		r.try = func(fd uintptr) bool {
			for r.err = syscall.Sendto(int(fd), r.b, 0, r.addr); r.err == syscall.EINTR; {
				r.err = syscall.Sendto(int(fd), r.b, 0, r.addr)
			}
			return true
		}
	}
	if r.addr = r.sockaddr(to); r.addr == nil {
		return false, nil
	}
	r.b = b
	err = r.attempt("sendto")
	r.b = nil
	return true, err
}

// sockaddr returns nil for addresses that are left to package net: those with a zone, unspecified
// ones, those of the other family, and other types.
func (r *raw) sockaddr(to net.Addr) syscall.Sockaddr {
	a, ok := to.(*net.UDPAddr)
	if !ok || a == nil || a.Zone != "" || a.IP.IsUnspecified() {
		return nil
	}
	if r.family == 0 {
		_ = r.fd.Control(func(fd uintptr) {
			switch sa, _ := syscall.Getsockname(int(fd)); sa.(type) {
			case *syscall.SockaddrInet4:
				r.family = syscall.AF_INET
			case *syscall.SockaddrInet6:
				r.family = syscall.AF_INET6
			}
		})
	}
	switch {
	case r.family == syscall.AF_INET && a.IP.To4() != nil:
		return &syscall.SockaddrInet4{Port: a.Port, Addr: [4]byte(a.IP.To4())}
	case r.family == syscall.AF_INET6 && a.IP.To16() != nil:
		return &syscall.SockaddrInet6{Port: a.Port, Addr: [16]byte(a.IP.To16())}
	}
	return nil
}

// udpAddr returns the address as package net would.
func udpAddr(sa syscall.Sockaddr) net.Addr {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return &net.UDPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
	case *syscall.SockaddrInet6:
		a := &net.UDPAddr{IP: net.IP(sa.Addr[:]), Port: sa.Port}
		if sa.ZoneId != 0 {
			a.Zone = strconv.Itoa(int(sa.ZoneId))
			if i, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				a.Zone = i.Name
			}
		}
		return a
	}
	return nil
}
