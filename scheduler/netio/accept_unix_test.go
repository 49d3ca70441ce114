//go:build unix

package netio_test

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// socket returns a client's end and a function that connects it to l, which opens no file.
func socket(tb testing.TB, l net.Listener) (connect, hangUp func()) {
	tb.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	require.NoError(tb, err)
	connect = func() {
		to := &syscall.SockaddrInet4{Port: l.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
		require.NoError(tb, syscall.Connect(fd, to))
	}
	return connect, func() { require.NoError(tb, syscall.Close(fd)) }
}

// withoutFiles calls f while the process can open no file.
func withoutFiles(tb testing.TB, f func()) {
	tb.Helper()
	var was syscall.Rlimit
	require.NoError(tb, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was))
	none := was
	none.Cur = 3
	require.NoError(tb, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	defer func() { require.NoError(tb, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)) }()
	f()
}

// A server that has too many open files for a while is told so, waits, and goes on; on a virtual
// clock, too, and on an ordinary goroutine. Closing the listener ends the loop at once, though it
// waits.
func TestAllSurvivesTooManyFiles(tb *testing.T) {
	run(tb, func(b *bench, t *core.Task) {
		for _, goroutine := range []bool{false, true} {
			l, err := netio.Listen(t, "tcp", "127.0.0.1:0")
			require.NoError(tb, err)
			connect, hangUp := socket(tb, l)
			told := make(chan error, 100)
			accepted := make(chan net.Conn, 1)
			over := make(chan struct{})
			loop := func() {
				defer close(over)
				for c, err := range l.All() {
					if err != nil {
						told <- err
					} else {
						accepted <- c
					}
				}
			}
			withoutFiles(tb, func() {
				if goroutine {
					go loop()
				} else {
					b.start(func(*core.Task) { loop() })
				}
				connect()
				for range 3 {
					require.ErrorIs(tb, wait(t, told), syscall.EMFILE)
				}
			})
			require.NoError(tb, wait(t, accepted).Close())
			hangUp()

			connect, hangUp = socket(tb, l)
			for len(told) > 0 {
				<-told
			}
			withoutFiles(tb, func() {
				connect()
				for range 4 { // the next wait takes longer than all the others
					require.ErrorIs(tb, wait(t, told), syscall.EMFILE)
				}
				require.NoError(tb, l.Close())
				wait(t, over)
			})
			hangUp()
		}
	})
}

// wait receives from c while other tasks run.
func wait[T any](t *core.Task, c chan T) T {
	for {
		select {
		case v := <-c:
			return v
		default:
			t.Yield()
		}
	}
}

// A break leaves the listener open; a deadline ends the loop; a kill ends the wait after an error.
func TestAllEnds(tb *testing.T) {
	run(tb, func(b *bench, t *core.Task) {
		l, err := netio.Listen(t, "tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer l.Close()
		for range 2 {
			there, err := net.Dial("tcp", l.Addr().String())
			require.NoError(tb, err)
			for c, err := range l.All() {
				require.NoError(tb, err)
				require.NoError(tb, errors.Join(c.Close(), there.Close()))
				break
			}
		}
		require.NoError(tb, l.SetDeadline(time.Now().Add(time.Millisecond)))
		n := 0
		for _, err := range l.All() {
			require.ErrorIs(tb, err, os.ErrDeadlineExceeded)
			n++
		}
		require.Equal(tb, 1, n)
		require.NoError(tb, l.SetDeadline(time.Time{}))

		connect, hangUp := socket(tb, l)
		defer hangUp()
		told := make(chan error, 100)
		withoutFiles(tb, func() {
			connect()
			k := b.start(func(*core.Task) {
				for _, err := range l.All() {
					told <- err
				}
			})
			for range 4 {
				wait(t, told)
			}
			k.Kill(false)
			k.join(t)
			require.NotNil(tb, k.exit)
		})
	})
}
