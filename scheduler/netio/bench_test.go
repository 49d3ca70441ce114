//go:build unix

package netio_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

const (
	connections = 1000
	messageSize = 64
	// the address of the server that this process is to be the client of
	clientOf = "NETIO_TEST_CLIENT_OF"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(clientOf); addr != "" {
		client(addr)
		return
	}
	os.Exit(m.Run())
}

// client has a message to and fro on each of its connections, once all are there, until the server
// closes them.
func client(addr string) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range connections {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		wg.Go(func() {
			defer c.Close()
			<-start
			var b [messageSize]byte
			for {
				if _, err := c.Write(b[:]); err != nil {
					return
				}
				if _, err := io.ReadFull(c, b[:]); err != nil {
					return
				}
			}
		})
	}
	close(start)
	wg.Wait()
}

// server is what both sides of the benchmark have in common: it counts messages, and measures b.N
// of them after each connection has had its first.
type server struct {
	b     *testing.B
	count atomic.Int64
	begin chan struct{}
	end   chan struct{}
}

// echo serves one connection. Each message of the client comes in one piece, as it is small.
func (s *server) echo(c net.Conn) {
	var buf [4096]byte
	for {
		n, err := c.Read(buf[:])
		if err != nil {
			return
		}
		if _, err := c.Write(buf[:n]); err != nil {
			return
		}
		switch s.count.Add(1) {
		case 2 * connections:
			close(s.begin)
		case 2*connections + int64(s.b.N):
			close(s.end)
		}
	}
}

// measure starts the client and waits until it is over. stop ends the server.
func (s *server) measure(addr net.Addr, stop func()) {
	self, err := os.Executable()
	require.NoError(s.b, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), clientOf+"="+addr.String())
	cmd.Stderr = os.Stderr
	require.NoError(s.b, cmd.Start())
	<-s.begin
	s.b.ResetTimer()
	used := processorTime()
	<-s.end
	s.b.StopTimer()
	s.b.ReportMetric(float64(processorTime()-used)/float64(s.b.N), "cpu-ns/msg")
	s.b.ReportMetric(float64(s.b.Elapsed().Nanoseconds())/float64(s.b.N), "ns/msg")
	stop()
	require.NoError(s.b, cmd.Wait())
}

// processorTime is what this process has used so far, in nanoseconds.
func processorTime() int64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return u.Utime.Nano() + u.Stime.Nano()
}

// An echo server with 1,000 connections; the client is another process.
func BenchmarkEcho(b *testing.B) {
	for _, schedulers := range []int{1, 2} {
		b.Run(fmt.Sprintf("netio-on-%d", schedulers), func(b *testing.B) {
			s := &server{b: b, begin: make(chan struct{}), end: make(chan struct{})}
			clock, team := scheduler.RealClock(), new(core.Team)
			var bns []*bench
			for range schedulers {
				bns = append(bns, newBench(b, core.Config{Clock: clock, Team: team}))
			}
			addr := make(chan net.Addr)
			bns[0].start(func(t *core.Task) {
				l, err := netio.Listen(t, "tcp", "127.0.0.1:0")
				require.NoError(b, err)
				defer l.Close()
				addr <- l.Addr()
				for n := 0; ; n++ {
					c, err := l.Accept()
					require.NoError(b, err)
					bn := bns[n%schedulers]
					bn.InjectFunc(func() {
						bn.start(func(t *core.Task) {
							c := netio.Wrap(t, c) // on the scheduler that is to serve it
							defer c.Close()
							s.echo(c)
						})
					})
				}
			})
			over := make(chan error)
			for _, bn := range bns {
				go func() { over <- bn.Run() }()
			}
			s.measure(<-addr, func() {
				for _, bn := range bns {
					bn.Stop()
				}
				for range bns {
					require.NoError(b, <-over)
				}
			})
		})
	}
	b.Run("goroutines", func(b *testing.B) {
		s := &server{b: b, begin: make(chan struct{}), end: make(chan struct{})}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(b, err)
		var wg sync.WaitGroup
		var all []net.Conn
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				all = append(all, c)
				wg.Go(func() { s.echo(c) })
			}
		})
		s.measure(l.Addr(), func() {
			l.Close()
			for _, c := range all {
				c.Close()
			}
			wg.Wait()
		})
	})
}
