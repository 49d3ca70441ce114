package netio_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// One writer sends numbered bytes over a connection while readers come and go: they are killed, run
// into deadlines, change them for each other. Every byte arrives once and in order, and at the end
// nobody waits for something that has come.
func TestSoak(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		for seed := range uint64(10) {
			draw := rand.New(rand.NewPCG(seed, 0))
			x, y := pair(tb, t, kind)
			const all = 30_000
			next := 0 // byte to be read
			take := func(buf []byte) {
				for _, c := range buf {
					if c != byte(next) {
						tb.Errorf("seed %d: byte %d is %d", seed, next, c)
					}
					next++
				}
			}
			var readers []*task
			reader := func() *task {
				return b.start(func(t *core.Task) {
					buf := make([]byte, 1+draw.IntN(500))
					for {
						n, err := x.Read(buf)
						take(buf[:n])
						switch {
						case err == nil:
						case errors.Is(err, os.ErrDeadlineExceeded):
							_ = x.SetReadDeadline(time.Time{})
						default:
							require.True(tb, err == io.EOF || errors.Is(err, io.ErrClosedPipe), err)
							return
						}
						if draw.IntN(4) == 0 {
							t.Yield()
						}
					}
				})
			}
			written := b.start(func(t *core.Task) {
				buf := make([]byte, 0, 1000)
				for sent := 0; sent < all; {
					n := min(1+draw.IntN(1000), all-sent)
					buf = buf[:0]
					for i := range n {
						buf = append(buf, byte(sent+i))
					}
					_, err := y.Write(buf)
					require.NoError(tb, err)
					sent += n
					if draw.IntN(3) == 0 {
						giveWay(t)
					}
				}
				require.NoError(tb, y.Close())
			})
			for range 4 {
				readers = append(readers, reader())
			}
			for next < all {
				switch k := readers[draw.IntN(len(readers))]; draw.IntN(4) {
				case 0:
					k.Kill(draw.IntN(2) == 0)
				case 1:
					_ = x.SetReadDeadline(time.Now().Add(time.Duration(draw.IntN(300)-50) * time.Microsecond))
				case 2:
					_ = x.SetReadDeadline(time.Time{})
				}
				for i, k := range readers {
					if k.State() == core.Finished && next < all {
						readers[i] = reader()
					}
				}
				giveWay(t)
			}
			_ = x.SetReadDeadline(time.Time{})
			written.join(t)
			for _, k := range readers {
				k.join(t)
			}
			require.Equal(tb, all, next)
			x.Close()
		}
	})
}

// Closed at any moment, by a task or a goroutine: also right when the first task begins to wait.
func TestCloseAnytime(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		for i := range 100 {
			x, _ := plainPair(tb, kind)
			c := netio.Wrap(t, x)
			var all []*task
			for range 2 {
				all = append(all, b.start(func(*core.Task) {
					_, err := c.Read(make([]byte, 1))
					isClosed(tb, kind, err)
				}), b.start(func(*core.Task) {
					isClosed(tb, kind, stuff(c))
				}))
			}
			if i%2 == 0 {
				go c.Close()
			} else {
				for range i % 7 {
					t.Yield()
				}
				c.Close()
			}
			for _, k := range all {
				k.join(t)
			}
		}
	})
}

// Ids of connections that were closed are used again, and what comes late for one of them does not
// reach the other.
func TestManyConnections(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		l := listen(t, task, "tcp")
		for range 10 {
			var all []*task2
			for i := range 50 {
				all = append(all, b.start(func(t2 *core.Task) {
					c, err := netio.Dial(t2, "tcp", l.Addr().String())
					require.NoError(t, err)
					defer c.Close()
					for n := range 5 + i%3 {
						_, err := c.Write([]byte{byte(i), byte(n)})
						require.NoError(t, err)
						var got [2]byte
						_, err = io.ReadFull(c, got[:])
						require.NoError(t, err)
						require.Equal(t, [2]byte{byte(i), byte(n)}, got)
					}
				}), b.start(func(*core.Task) {
					c, err := l.Accept()
					require.NoError(t, err)
					defer c.Close()
					_, err = io.Copy(struct{ io.Writer }{c}, c)
					if err != nil {
						require.ErrorAs(t, err, new(*net.OpError))
					}
				}))
			}
			for _, k := range all {
				k.join(task)
			}
		}
	})
}
