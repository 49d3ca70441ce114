package netio_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// Killed while it reads, or writes, or waits for its turn to do so: the task unwinds, and the
// others use the connection as if nothing had been.
func TestKillInConn(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		read := func(*core.Task) { _, _ = x.Read(make([]byte, 3)) }
		first, second, third := b.start(read), b.start(read), b.start(read)
		for _, k := range []*task{second, first, third} {
			parked(t, k)
			k.Kill(false)
			k.join(t)
			require.NotNil(tb, k.exit)
		}
		b.start(func(*core.Task) {
			_, err := y.Write([]byte("abc"))
			require.NoError(tb, err)
		})
		buf := make([]byte, 3)
		_, err := io.ReadFull(x, buf)
		require.NoError(tb, err)
		require.Equal(tb, "abc", string(buf))

		write := func(*core.Task) { _ = stuff(x) }
		first, second = b.start(write), b.start(write)
		for _, k := range []*task{second, first} {
			parked(t, k)
			k.Kill(false)
			k.join(t)
			require.NotNil(tb, k.exit)
		}
		// Deadlines are as they were.
		for limit, killed := 20*time.Millisecond, false; !killed; limit *= 2 {
			require.NoError(tb, x.SetDeadline(time.Now().Add(limit)))
			third = b.start(read)
			for kind, _, _ := third.Waits(); !third.ended.IsSet() && kind != core.InIO; kind, _, _ = third.Waits() {
				giveWay(t)
			}
			if !third.ended.IsSet() {
				third.Kill(false)
			}
			third.join(t)
			killed = third.exit != nil // or the deadline came first
		}
		_, err = x.Read(buf)
		isTimeout(tb, err)
	})
}

// A kill is raised at the entry, before anything is read or written.
func TestKillAtEntry(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		if kind != "pipe" {
			_, err := y.Write([]byte("a")) // so that Read would not have to wait
			require.NoError(tb, err)
		}
		for _, f := range []func(){
			func() { _, _ = x.Read(make([]byte, 1)) },
			func() { _, _ = x.Write([]byte("b")) },
		} {
			k := b.start(func(t *core.Task) {
				t.Kill(false)
				f()
				tb.Error("it went on")
			})
			k.join(t)
			require.NotNil(tb, k.exit)
		}
		if kind != "pipe" {
			got := make([]byte, 1)
			_, err := io.ReadFull(x, got)
			require.NoError(tb, err)
			require.Equal(tb, "a", string(got))
			require.NoError(tb, x.CloseWrite())
			n, err := y.Read(got)
			require.Equal(tb, 0, n)
			require.Equal(tb, io.EOF, err)
		}
	})
}

// Data and a kill at the same time: what the killed one has not got is there for the next.
func TestKillLosesNothing(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		const all = 2000
		var wrote, got atomic.Int64
		done := make(chan bool)
		go func() {
			defer close(done)
			for wrote.Load() < all {
				_, err := y.NetConn().Write([]byte{byte(wrote.Load())})
				require.NoError(tb, err)
				wrote.Add(1)
			}
		}()
		for got.Load() < all {
			k := b.start(func(*core.Task) {
				var buf [1]byte
				for got.Load() < all {
					n, err := x.Read(buf[:])
					require.NoError(tb, err)
					require.Equal(tb, byte(got.Load()), buf[0])
					got.Add(int64(n))
				}
			})
			for at := got.Load() + 7; got.Load() < min(at, all); {
				giveWay(t)
			}
			killed := make(chan bool)
			go func() { k.Kill(false); close(killed) }()
			k.join(t)
			<-killed
		}
		<-done
	})
}

func TestKillInAccept(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		run(t, func(b *bench, task *core.Task) {
			l := listen(t, task, network)
			accept := func(*core.Task) { _, _ = l.Accept() }
			first, second := b.start(accept), b.start(accept)
			for _, k := range []*task2{first, second} {
				parked(task, k)
				k.Kill(false)
				k.join(task)
				require.NotNil(t, k.exit)
			}
			// It still accepts, its deadline works, and Close wakes.
			dialled, err := netio.Dial(task, network, l.Addr().String())
			require.NoError(t, err)
			accepted, err := l.Accept()
			require.NoError(t, err)
			require.IsType(t, dialled, accepted)
			require.NoError(t, l.SetDeadline(time.Now().Add(10*time.Millisecond)))
			_, err = l.Accept()
			isTimeout(t, err)
			require.NoError(t, l.SetDeadline(time.Time{}))
			first = b.start(func(*core.Task) {
				_, err := l.Accept()
				require.ErrorIs(t, err, net.ErrClosed)
			})
			parked(task, first)
			require.NoError(t, l.Close())
			first.join(task)
			require.NoError(t, accepted.Close())
			require.NoError(t, dialled.Close())
		})
	}
}

// task2 is task, where that is a variable.
type task2 = task

// listen makes a listener that is closed at the end of the test.
func listen(tb testing.TB, t *core.Task, network string) *netio.Listener {
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(tb.TempDir(), "s")
	}
	l, err := netio.Listen(t, network, addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { l.Close() })
	return l
}

// slow is an address that nobody answers at: a listener whose queue is full.
func slow(tb testing.TB) net.Addr {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	tb.Cleanup(func() { l.Close() })
	raw, err := l.(*net.TCPListener).SyscallConn()
	require.NoError(tb, err)
	shorten(tb, raw)
	for refused := 0; refused < 4; { // until none is taken any more; one of 4 in a row may be slow
		c, err := net.DialTimeout("tcp", l.Addr().String(), 50*time.Millisecond)
		if err != nil {
			refused++
			continue
		}
		refused = 0
		tb.Cleanup(func() { c.Close() })
	}
	return l.Addr()
}

func TestDial(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("slow relies on how Linux treats a full queue")
	}
	addr := slow(t).String()
	run(t, func(b *bench, task *core.Task) {
		// The errors are those of package net.
		l := listen(t, task, "tcp")
		closed := l.Addr().String()
		require.NoError(t, l.Close())
		_, err := netio.Dial(task, "tcp", closed)
		_, want := net.Dial("tcp", closed)
		require.EqualError(t, err, want.Error())
		_, err = netio.Dial(task, "nonsense", closed)
		require.ErrorAs(t, err, new(net.UnknownNetworkError))
		_, err = netio.Listen(task, "tcp", "127.0.0.1:99999")
		require.Error(t, err)

		// A kill, a timeout and another end of the context.
		k := b.start(func(t *core.Task) { _, _ = netio.Dial(t, "tcp", addr) })
		parked(task, k)
		k.Kill(false)
		k.join(task)
		require.NotNil(t, k.exit)

		ctx, cancel := core.WithTimeout(task, 20*time.Millisecond)
		_, err = netio.Dial(ctx, "tcp", addr)
		require.Equal(t, scheduler.ErrTimeout, err)
		cancel()

		mine := errors.New("mine")
		ctx, give := context.WithCancelCause(task)
		go give(mine)
		_, err = netio.Dial(ctx, "tcp", addr)
		require.Equal(t, mine, err)

		require.PanicsWithValue(t, "scheduler: netio.Dial with the context of task 1, but task 3 is running: a context may be used only inside its own tasklet",
			func() {
				var v any
				b.start(func(*core.Task) {
					defer func() { v = recover() }()
					_, _ = netio.Dial(task, "tcp", addr)
				}).join(task)
				panic(v)
			})
	})
}

// When the scheduler stops, all that wait unwind, wherever they are; nothing is left, and their
// buffers are their own again.
func TestStop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("slow relies on how Linux treats a full queue")
	}
	addr := slow(t).String()
	for range 2 {
		var unwound, started int
		run(t, func(b *bench, task *core.Task) {
			start := func(f func(t *core.Task, buf []byte)) {
				started++
				k := b.start(func(t *core.Task) {
					buf := make([]byte, 1<<20)
					defer func() {
						clear(buf) // a race, if a helper had it
						unwound++
					}()
					f(t, buf)
				})
				parked(task, k)
			}
			for _, kind := range kinds {
				x, _ := pair(t, task, kind)
				start(func(_ *core.Task, buf []byte) { _, _ = x.Read(buf) })
				start(func(_ *core.Task, buf []byte) { _, _ = x.Read(buf) })
				start(func(_ *core.Task, buf []byte) {
					for {
						_, _ = x.Write(buf)
					}
				})
				start(func(_ *core.Task, buf []byte) {
					for {
						_, _ = x.Write(buf)
					}
				})
			}
			for _, network := range []string{"tcp", "unix"} {
				l := listen(t, task, network)
				start(func(*core.Task, []byte) { _, _ = l.Accept() })
				start(func(*core.Task, []byte) { _, _ = l.Accept() })
			}
			start(func(t *core.Task, _ []byte) { _, _ = netio.Dial(t, "tcp", addr) })
			c, err := netio.ListenPacket(task, "udp", "127.0.0.1:0")
			require.NoError(t, err)
			t.Cleanup(func() { c.Close() })
			start(func(_ *core.Task, buf []byte) { _, _, _ = c.ReadFrom(buf) })
			start(func(_ *core.Task, buf []byte) {
				defer func() { // blocks in its deferred call, too
					_, _, _ = c.ReadFrom(buf)
				}()
				_, _, _ = c.ReadFrom(buf)
			})
		})
		require.Equal(t, started, unwound)
	}
}

// deaf is a connection without deadlines: only Close ends its calls.
type deaf struct{ net.Conn }

func (deaf) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (deaf) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (deaf) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

func TestKillWithoutDeadlines(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		x, _ := plainPair(t, "tcp")
		c := netio.Wrap(task, deaf{x})
		require.ErrorIs(t, c.SetDeadline(time.Now()), errors.ErrUnsupported)
		k := b.start(func(*core.Task) { _, _ = c.Read(make([]byte, 1)) })
		parked(task, k)
		k.Kill(false)
		k.join(task)
		require.NotNil(t, k.exit)
		_, err := c.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

// generous is a connection on which something comes at the moment at which its Read is interrupted.
type generous struct {
	net.Conn
	interrupted chan bool
	calls       int
}

func (g *generous) Read(b []byte) (int, error) {
	if g.calls++; g.calls > 1 {
		return 0, io.EOF
	}
	<-g.interrupted
	return copy(b, "abc"), os.ErrDeadlineExceeded
}

func (g *generous) SetReadDeadline(at time.Time) error {
	if !at.IsZero() {
		close(g.interrupted)
	}
	return nil
}

// What has come when a kill interrupts the helper's call is returned, and the kill raised at the
// next blocking point.
func TestKillKeepsWhatCame(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		x, _ := plainPair(t, "tcp")
		c := netio.Wrap(task, &generous{Conn: x, interrupted: make(chan bool)})
		var got string
		k := b.start(func(*core.Task) {
			buf := make([]byte, 10)
			n, err := c.Read(buf)
			require.NoError(t, err)
			got = string(buf[:n])
			_, err = c.Read(buf)
			t.Error("it went on", err)
		})
		parked(task, k)
		k.Kill(false)
		k.join(task)
		require.NotNil(t, k.exit)
		require.Equal(t, "abc", got)
	})
}

// faulty is a connection whose Read panics.
type faulty struct{ net.Conn }

func (faulty) Read([]byte) (int, error) { panic("faulty") }

// A panic of what is below comes to the caller, though it was a helper that called.
func TestPanicBelow(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		x, _ := plainPair(t, "tcp")
		c := netio.Wrap(task, faulty{x})
		_, err := c.Read(make([]byte, 1))
		var p *scheduler.PanicError
		require.ErrorAs(t, err, &p)
		require.Equal(t, "faulty", p.Value)
	})
}
