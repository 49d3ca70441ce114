package netio_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// A reader parks, and reads what a writer writes later; others run meanwhile.
func TestReadParks(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		var got []byte
		reader := b.start(func(t *core.Task) {
			var err error
			got, err = io.ReadAll(x)
			require.NoError(tb, err)
		})
		parked(t, reader)
		for range 100 {
			n, err := y.Write([]byte("hello"))
			require.NoError(tb, err)
			require.Equal(tb, 5, n)
			t.Yield()
		}
		require.NoError(tb, y.Close())
		reader.join(t)
		require.Len(tb, got, 500)
	})
}

// isTimeout is what package net promises of a call whose deadline has passed.
func isTimeout(tb testing.TB, err error) {
	tb.Helper()
	require.ErrorIs(tb, err, os.ErrDeadlineExceeded)
	var ne net.Error
	require.ErrorAs(tb, err, &ne)
	require.True(tb, ne.Timeout())
}

// stuff writes to c until that fails. If nobody reads it is parked as good as always; the kernel
// may find some more room once in a while.
func stuff(c *netio.Conn) error {
	b := make([]byte, 1<<20)
	for {
		if _, err := c.Write(b); err != nil {
			return err
		}
	}
}

func TestDeadlines(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		buf := make([]byte, 10)

		require.NoError(tb, x.SetDeadline(time.Now().Add(-time.Second)))
		_, err := x.Read(buf)
		isTimeout(tb, err)
		_, err = x.Write(buf)
		isTimeout(tb, err)

		begin := time.Now()
		require.NoError(tb, x.SetDeadline(begin.Add(20*time.Millisecond)))
		_, err = x.Read(buf)
		isTimeout(tb, err)
		require.GreaterOrEqual(tb, time.Since(begin), 20*time.Millisecond)
		_, err = x.Read(buf) // it stays
		isTimeout(tb, err)
		require.NoError(tb, x.SetDeadline(time.Time{}))

		// Set, moved and taken away while a reader and a writer are parked: by another task, and
		// from outside.
		for _, outside := range []bool{false, true} {
			do := func(f func()) { f() }
			if outside {
				do = func(f func()) {
					done := make(chan bool)
					go func() { f(); close(done) }()
					<-done
				}
			}
			var errs [2]error
			do(func() { require.NoError(tb, x.SetDeadline(time.Now().Add(time.Hour))) })
			r := b.start(func(*core.Task) { _, errs[0] = x.Read(buf) })
			w := b.start(func(*core.Task) { errs[1] = stuff(x) })
			parked(t, r)
			parked(t, w)
			do(func() { require.NoError(tb, x.SetDeadline(time.Time{})) })
			for range 10 {
				giveWay(t)
			}
			parked(t, r)
			do(func() { require.NoError(tb, x.SetReadDeadline(time.Now().Add(10*time.Millisecond))) })
			r.join(t)
			isTimeout(tb, errs[0])
			require.NoError(tb, errs[1])
			parked(t, w)
			do(func() { require.NoError(tb, x.SetWriteDeadline(time.Now())) })
			w.join(t)
			isTimeout(tb, errs[1])
			do(func() { require.NoError(tb, x.SetDeadline(time.Time{})) })
		}

		// What was written can be read.
		b.start(func(*core.Task) {
			_, err := y.Write([]byte("abc"))
			require.NoError(tb, err)
		})
		n, err := x.Read(buf)
		require.NoError(tb, err)
		require.Equal(tb, "abc", string(buf[:n]))
	})
}

// isClosed: the pipe of package net has an error of its own.
func isClosed(tb testing.TB, kind string, err error) {
	tb.Helper()
	if kind == "pipe" {
		require.ErrorIs(tb, err, io.ErrClosedPipe)
	} else {
		require.ErrorIs(tb, err, net.ErrClosed)
	}
}

// Close wakes all who wait: for data, for room, and for their turn.
func TestClose(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		for _, outside := range []bool{false, true} {
			x, _ := pair(tb, t, kind)
			var all []*task
			for range 3 {
				all = append(all, b.start(func(*core.Task) {
					_, err := x.Read(make([]byte, 10))
					isClosed(tb, kind, err)
				}), b.start(func(*core.Task) {
					isClosed(tb, kind, stuff(x))
				}))
			}
			for _, k := range all {
				parked(t, k)
			}
			if outside {
				done := make(chan error)
				go func() { done <- x.Close() }()
				require.NoError(tb, <-done)
			} else {
				require.NoError(tb, x.Close())
			}
			for _, k := range all {
				k.join(t)
			}
			_, err := x.Read(make([]byte, 10))
			isClosed(tb, kind, err)
			_, err = x.Write(make([]byte, 10))
			isClosed(tb, kind, err)
			if kind != "pipe" {
				require.ErrorIs(tb, x.Close(), net.ErrClosed, "as package net: twice is an error")
				require.ErrorIs(tb, x.SetDeadline(time.Now()), net.ErrClosed)
			}
		}
	})
}

func TestHalfClose(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		if kind == "pipe" {
			require.ErrorIs(tb, x.CloseWrite(), errors.ErrUnsupported)
			require.ErrorIs(tb, x.CloseRead(), errors.ErrUnsupported)
			return
		}
		var got []byte
		r := b.start(func(*core.Task) {
			var err error
			got, err = io.ReadAll(y)
			require.NoError(tb, err)
			_, err = y.Write([]byte("answer"))
			require.NoError(tb, err)
			require.NoError(tb, y.CloseWrite())
		})
		parked(t, r)
		_, err := x.Write([]byte("question"))
		require.NoError(tb, err)
		require.NoError(tb, x.CloseWrite())
		answer, err := io.ReadAll(x)
		require.NoError(tb, err)
		require.Equal(tb, "question, answer", string(got)+", "+string(answer))

		x, _ = pair(tb, t, kind)
		r = b.start(func(*core.Task) {
			n, err := x.Read(make([]byte, 1))
			require.Zero(tb, n)
			require.Equal(tb, io.EOF, err)
		})
		parked(t, r)
		require.NoError(tb, x.CloseRead())
		r.join(t)
	})
}

// The end that comes together with the last data, or right after it, is seen though a read that got
// little does not try again.
func TestDataAndEnd(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		t.Run(kind, func(tb *testing.T) {
			run(tb, func(b *bench, t *core.Task) {
				for i := range 300 {
					x, y := plainPair(tb, kind)
					c := netio.Wrap(t, x)
					r := b.start(func(*core.Task) {
						got, err := io.ReadAll(c)
						require.NoError(tb, err)
						require.Equal(tb, "abcdef", string(got))
					})
					if i%3 == 0 {
						parked(t, r)
					}
					go func() {
						_, _ = y.Write([]byte("abc"))
						if i%2 == 0 {
							runtime.Gosched()
						}
						_, _ = y.Write([]byte("def"))
						y.Close()
					}()
					r.join(t)
					c.Close()
				}
			})
		})
	}
}

// After a read that got little the next one waits for a signal instead of trying. It sees one that
// came while nobody waited, and that the connection is closed.
func TestReadAfterLittle(t *testing.T) {
	for _, kind := range []string{"tcp", "unix"} {
		run(t, func(b *bench, task *core.Task) {
			x, y := pair(t, task, kind)
			other, itsOther := pair(t, task, kind)
			buf := make([]byte, 100)
			write := func(c *netio.Conn) {
				_, err := c.Write([]byte("abc"))
				require.NoError(t, err)
			}
			little := func(c *netio.Conn) {
				n, err := c.Read(buf)
				require.NoError(t, err)
				require.Equal(t, 3, n)
			}
			for _, c := range []*netio.Conn{y, itsOther} { // so that both are watched
				first := x
				if c == itsOther {
					first = other
				}
				k := b.start(func(*core.Task) { little(first) })
				parked(task, k)
				write(c)
				k.join(task)
			}
			for range 10 {
				write(y)
				write(itsOther)
				little(other) // its signal came after that of x, or with it
				little(x)
			}
			require.NoError(t, x.Close())
			_, err := x.Read(buf)
			require.ErrorIs(t, err, net.ErrClosed)
		})
	}
}

func TestReset(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		x, y := plainPair(t, "tcp")
		c := netio.Wrap(task, x)
		r := b.start(func(*core.Task) {
			_, err := c.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			var op *net.OpError
			require.ErrorAs(t, err, &op)
			require.Equal(t, "read tcp "+x.LocalAddr().String()+"->"+x.RemoteAddr().String()+": read: connection reset by peer", err.Error())
			_, err = c.Write(make([]byte, 1))
			require.ErrorIs(t, err, syscall.EPIPE)
		})
		parked(task, r)
		require.NoError(t, y.(*net.TCPConn).SetLinger(0))
		require.NoError(t, y.Close())
		r.join(task)
	})
}

func TestNothing(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		if kind == "pipe" { // waits for a reader
			r := b.start(func(*core.Task) {
				n, err := y.Read(make([]byte, 5))
				require.Zero(tb, n)
				require.NoError(tb, err)
			})
			defer r.join(t)
		} else {
			n, err := x.Read(nil) // does not wait for data
			require.Zero(tb, n)
			require.NoError(tb, err)
		}
		n, err := x.Write(nil)
		require.Zero(tb, n)
		require.NoError(tb, err)
	})
}

// Writers of much data, and a reader that takes a little at a time: nothing is lost, and no Write
// has another in it.
func TestWritesAreWhole(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		const size, writers, times = 1 << 20, 4, 3
		x, y := pair(tb, t, kind)
		left := writers
		for i := range writers {
			write := func() {
				for range times {
					n, err := x.Write(bytes.Repeat([]byte{byte('a' + i)}, size))
					require.NoError(tb, err)
					require.Equal(tb, size, n)
				}
			}
			if i == 0 { // an ordinary goroutine takes part
				done := make(chan bool)
				go func() { write(); close(done); b.InjectFunc(func() { left-- }) }()
				continue
			}
			b.start(func(*core.Task) { write(); left-- })
		}
		buf := make([]byte, 50_000)
		counts := map[byte]int{}
		var now byte
		inRow := 0
		for total := 0; total < size*writers*times; {
			n, err := y.Read(buf)
			require.NoError(tb, err)
			for _, c := range buf[:n] {
				if c != now {
					require.Zero(tb, inRow%size, "%c within a Write of %c", c, now)
					now, inRow = c, 0
				}
				inRow++
				counts[c]++
			}
			total += n
		}
		require.Equal(tb, map[byte]int{'a': size * times, 'b': size * times, 'c': size * times, 'd': size * times}, counts)
		for left > 0 {
			giveWay(t)
		}
	})
}

// One who never has to wait does not keep the others from running.
func TestFair(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		if kind == "pipe" {
			return // always waits
		}
		x, y := pair(tb, t, kind)
		filler := b.start(func(*core.Task) { _ = stuff(y) })
		parked(t, filler)
		filler.Kill(false)
		filler.join(t)
		rounds := 0
		over := false
		b.start(func(t *core.Task) {
			for !over {
				rounds++
				t.Yield()
			}
		})
		for range 160 {
			_, err := x.Read(make([]byte, 10))
			require.NoError(tb, err)
		}
		over = true
		require.GreaterOrEqual(tb, rounds, 9)
	})
}

// Ordinary goroutines may use a connection as well: their calls block only them.
func TestOrdinaryGoroutines(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		echoed := make(chan error)
		go func() {
			_, err := io.Copy(y, y)
			echoed <- err
		}()
		buf := make([]byte, 5)
		for range 200 {
			_, err := x.Write([]byte("hello"))
			require.NoError(tb, err)
			_, err = io.ReadFull(x, buf)
			require.NoError(tb, err)
			require.Equal(tb, "hello", string(buf))
		}
		// A task waits for its turn behind a goroutine that reads.
		reading := make(chan error)
		go func() {
			_, err := io.ReadFull(x, make([]byte, 1))
			reading <- err
		}()
		second := b.start(func(*core.Task) {
			_, err := x.Read(buf)
			isClosed(tb, kind, err)
		})
		third := b.start(func(*core.Task) { _, _ = x.Read(buf) })
		parked(t, third)
		third.Kill(false)
		third.join(t)
		require.NotNil(tb, third.exit)
		x.Close()
		second.join(t)
		isClosed(tb, kind, <-reading)
		<-echoed
	})
}

// A connection belongs to a scheduler. On another, a call that has to wait is misuse; Wrap makes it
// that one's.
func TestOtherScheduler(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		x, y := pair(t, task, "tcp")
		done := make(chan bool)
		go func() {
			defer close(done)
			run(t, func(_ *bench, there *core.Task) {
				require.PanicsWithValue(t, "netio: Read has to wait, on another scheduler than the connection's or in injected work: see Wrap",
					func() { _, _ = x.Read(make([]byte, 1)) })
				moved := netio.Wrap(there, x)
				require.Same(t, x.NetConn(), moved.NetConn())
				go func() { _, _ = y.Write([]byte("a")) }()
				n, err := moved.Read(make([]byte, 5))
				require.NoError(t, err)
				require.Equal(t, 1, n)
			})
		}()
		<-done
		// The turn was given back.
		_, err := y.Write([]byte("b"))
		require.NoError(t, err)
		_, err = x.Read(make([]byte, 5))
		require.NoError(t, err)
	})
}

func TestMisuse(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		require.PanicsWithValue(t, "netio: Wrap of a nil connection", func() { netio.Wrap(task, nil) })
		require.PanicsWithValue(t, "scheduler: netio.Dial called outside a tasklet: its context belongs to none",
			func() { _, _ = netio.Dial(t.Context(), "tcp", "127.0.0.1:1") })
	})
}

// While a task waits for a connection a virtual clock stands still.
func TestVirtualClock(t *testing.T) {
	for _, kind := range kinds {
		clock := scheduler.NewVirtualClock(time.Time{})
		runWith(t, core.Config{Clock: clock}, func(b *bench, task *core.Task) {
			begin := clock.Now()
			x, y := pair(t, task, kind)
			slept := b.start(func(t *core.Task) { t.Sleep(time.Hour) })
			go func() {
				for range 100 {
					runtime.Gosched()
				}
				_, _ = y.NetConn().Write([]byte("a"))
			}()
			_, err := x.Read(make([]byte, 1))
			require.NoError(t, err)
			require.Equal(t, begin, clock.Now())
			// The deadline is one of the real clock.
			require.NoError(t, x.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			_, err = x.Read(make([]byte, 1))
			isTimeout(t, err)
			require.Equal(t, begin, clock.Now())
			slept.join(task)
			require.Equal(t, begin.Add(time.Hour), clock.Now())
		})
	}
}

// A connection that is forgotten without Close is closed by the garbage collector, as those of
// package net are.
func TestForgotten(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		dialled := b.start(func(t *core.Task) {
			c, _ := netio.Dial(t, "tcp", l.Addr().String())
			_, _ = c.Read(make([]byte, 1))
		})
		parked(task, dialled) // in Dial
		there, err := l.Accept()
		require.NoError(t, err)
		defer there.Close()
		_, err = there.Write([]byte("a"))
		require.NoError(t, err)
		dialled.join(task)
		collected := make(chan error)
		go func() {
			_, err := there.Read(make([]byte, 1))
			collected <- err
		}()
		for {
			runtime.GC()
			task.Yield()
			select {
			case err := <-collected:
				require.ErrorIs(t, err, io.EOF)
				return
			default:
			}
		}
	})
}

// A read that waits and the write that ends it allocate nothing.
func TestAllocations(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		b.start(func(*core.Task) {
			_, _ = io.CopyBuffer(struct{ io.Writer }{y}, struct{ io.Reader }{y}, make([]byte, 100))
		})
		buf := make([]byte, 10)
		n := testing.AllocsPerRun(200, func() {
			_, _ = x.Write(buf)
			_, _ = io.ReadFull(x, buf)
		})
		most := 0.9
		if kind == "pipe" {
			most = 3 // the pipe's own
		}
		if !raceEnabled {
			require.LessOrEqual(tb, n, most)
		}
	})
}
