package netio_test

import (
	"context"
	"errors"
	"math"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

// Deadlines far in the past have passed, those far in the future never come, and the zero time is
// none.
func TestOddDeadlines(t *testing.T) {
	now := time.Now()
	past := []time.Time{now.Add(-1), now.Add(math.MinInt64), time.Unix(0, 0), time.Unix(-1<<40, 0), time.Unix(1, 0), now.Add(1)}
	future := []time.Time{{}, now.Add(math.MaxInt64), time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), time.Unix(1<<40, 0), time.Unix(1<<62, 0)}
	err := actor.Run(context.Background(), actor.Config{}, func(t0 *actor.Tasklet) error {
		ln, err := netio.Listen(t0, "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		for _, at := range past {
			require.NoError(t, ln.SetDeadline(at))
			_, err := ln.Accept()
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%v", at)
		}
		for _, at := range future {
			require.NoError(t, ln.SetDeadline(at))
			actor.Go(t0, func(t *actor.Tasklet) error {
				c, err := netio.Dial(t, "tcp", ln.Addr().String())
				if err != nil {
					return err
				}
				return c.Close()
			})
			c, err := ln.Accept()
			require.NoError(t, err, "%v", at)
			require.NoError(t, c.Close())
		}
		require.NoError(t, ln.Close())

		a, err := netio.ListenPacket(t0, "udp", "127.0.0.1:0")
		require.NoError(t, err)
		exchange(t, t0, a, past, future,
			func(b []byte) (int, error) { n, _, err := a.ReadFrom(b); return n, err },
			func(b []byte) (int, error) { return a.WriteTo(b, a.LocalAddr()) })
		require.NoError(t, a.Close())

		x, y := net.Pipe()
		conn := netio.Wrap(t0, x)
		go func() { // the other end sends back what it gets
			b := make([]byte, 1)
			for {
				if _, err := y.Read(b); err != nil {
					return
				}
				if _, err := y.Write(b); err != nil {
					return
				}
			}
		}()
		exchange(t, t0, conn, past, future, conn.Read, conn.Write)
		return errors.Join(conn.Close(), y.Close())
	})
	require.NoError(t, err)
}

type deadlines interface {
	SetDeadline(time.Time) error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

func exchange(t *testing.T, t0 *actor.Tasklet, c deadlines, past, future []time.Time, read, write func([]byte) (int, error)) {
	t.Helper()
	b := make([]byte, 1)
	for _, at := range past {
		t0.Sleep(time.Millisecond) // now.Add(1) has passed too
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetReadDeadline} {
			require.NoError(t, set(at))
			_, err := read(b)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%v", at)
		}
		for _, set := range []func(time.Time) error{c.SetDeadline, c.SetWriteDeadline} {
			require.NoError(t, set(at))
			_, err := write(b)
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "%v", at)
		}
	}
	for _, at := range future {
		for _, set := range []func(time.Time) error{
			c.SetDeadline,
			func(at time.Time) error { return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at)) },
		} {
			require.NoError(t, set(at))
			_, err := write(b)
			require.NoError(t, err, "%v", at)
			_, err = read(b)
			require.NoError(t, err, "%v", at)
		}
	}
}
