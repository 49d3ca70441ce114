//go:build linux

package real_test

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy passes TCP connections on to a server, and can be told to stop that.
type proxy struct {
	listener net.Listener
	to       string

	mu sync.Mutex // protects the following
	// Owned by mu.
	cut   bool // connections end at once
	hole  bool // what comes is kept back
	open  map[net.Conn]struct{}
	moved *sync.Cond // hole or cut has changed
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, open: map[net.Conn]struct{}{}}
	p.moved = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(func() {
		l.Close()
		p.set(true, false)
	})
	return p
}

func (p *proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *proxy) serve(c net.Conn) {
	defer c.Close()
	d, err := net.DialTimeout("tcp", p.to, time.Second)
	if err != nil {
		return
	}
	defer d.Close()
	p.mu.Lock()
	if p.cut {
		p.mu.Unlock()
		return
	}
	p.open[c], p.open[d] = struct{}{}, struct{}{}
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.open, c)
		delete(p.open, d)
	}()
	done := make(chan struct{}, 2)
	pass := func(to, from net.Conn) {
		defer func() { done <- struct{}{} }()
		buf := make([]byte, 32<<10)
		for {
			n, err := from.Read(buf)
			p.mu.Lock()
			for p.hole && !p.cut {
				p.moved.Wait()
			}
			p.mu.Unlock()
			if n > 0 {
				if _, err := to.Write(buf[:n]); err != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}
	go pass(c, d)
	go pass(d, c)
	<-done
}

// set cuts all connections and refuses new ones, or keeps back all that comes, or passes it on.
func (p *proxy) set(cut, hole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.hole = cut, hole
	p.moved.Broadcast()
	if cut {
		for c := range p.open {
			c.Close()
		}
	}
}
