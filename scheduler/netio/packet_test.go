package netio_test

import (
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

func listenPacket(tb testing.TB, t *core.Task, network, addr string) *netio.PacketConn {
	tb.Helper()
	c, err := netio.ListenPacket(t, network, addr)
	require.NoError(tb, err)
	tb.Cleanup(func() { c.Close() })
	return c
}

// Datagrams to and fro, with the addresses that package net would give.
func TestPackets(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", ":0"} {
		run(t, func(b *bench, task *core.Task) {
			server, client := listenPacket(t, task, "udp", addr), listenPacket(t, task, "udp", addr)
			to := server.LocalAddr().(*net.UDPAddr)
			if to.IP.IsUnspecified() {
				to = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: to.Port}
			}
			b.start(func(*core.Task) {
				buf := make([]byte, 100)
				for {
					n, from, err := server.ReadFrom(buf)
					if err != nil {
						require.ErrorIs(t, err, net.ErrClosed)
						return
					}
					_, err = server.WriteTo(buf[:n], from)
					require.NoError(t, err)
				}
			})
			buf := make([]byte, 100)
			for i := range 200 {
				want := fmt.Sprint("datagram ", i)
				if i == 7 {
					want = "" // an empty one is no end
				}
				n, err := client.WriteTo([]byte(want), to)
				require.NoError(t, err)
				require.Equal(t, len(want), n)
				n, from, err := client.ReadFrom(buf)
				require.NoError(t, err)
				require.Equal(t, want, string(buf[:n]))
				require.Equal(t, to.Port, from.(*net.UDPAddr).Port)
				require.True(t, to.IP.Equal(from.(*net.UDPAddr).IP))
			}
			require.NoError(t, server.Close())

			// Both as with package net: what comes, and what is refused.
			plain, err := net.ListenPacket("udp", addr)
			require.NoError(t, err)
			defer plain.Close()
			_, err = plain.WriteTo([]byte("x"), &net.UDPAddr{IP: to.IP, Port: client.LocalAddr().(*net.UDPAddr).Port})
			require.NoError(t, err)
			_, from, err := client.ReadFrom(buf)
			require.NoError(t, err)
			_, err = client.WriteTo([]byte("x"), from)
			require.NoError(t, err)
			_, _, err = plain.ReadFrom(buf)
			require.NoError(t, err)
			for _, bad := range []net.Addr{&net.TCPAddr{}, &net.UDPAddr{IP: net.IP{1, 2, 3}, Port: 9}, (*net.UDPAddr)(nil)} {
				_, err := client.WriteTo([]byte("x"), bad)
				_, want := client.NetConn().WriteTo([]byte("x"), bad)
				require.EqualError(t, err, want.Error())
			}
			_, err = client.WriteTo(make([]byte, 1<<20), to)
			_, want := client.NetConn().WriteTo(make([]byte, 1<<20), to)
			require.EqualError(t, err, want.Error())
		})
	}
}

// Deadline, kill and close while a task waits for a datagram.
func TestPacketWaits(t *testing.T) {
	for _, network := range []string{"udp", "unixgram"} {
		if network == "unixgram" && runtime.GOOS == "windows" {
			continue
		}
		run(t, func(b *bench, task *core.Task) {
			addr := "127.0.0.1:0"
			if network == "unixgram" {
				addr = filepath.Join(t.TempDir(), "s")
			}
			c := listenPacket(t, task, network, addr)
			buf := make([]byte, 10)
			k := b.start(func(*core.Task) { _, _, _ = c.ReadFrom(buf) })
			parked(task, k)
			k.Kill(false)
			k.join(task)
			require.NotNil(t, k.exit)

			var err error
			k = b.start(func(*core.Task) { _, _, err = c.ReadFrom(buf) })
			parked(task, k)
			require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			k.join(task)
			isTimeout(t, err)
			require.NoError(t, c.SetReadDeadline(time.Time{}))

			n, err := c.WriteTo([]byte("to me"), c.LocalAddr())
			require.NoError(t, err)
			require.Equal(t, 5, n)
			n, from, err := c.ReadFrom(buf)
			require.NoError(t, err)
			require.Equal(t, "to me", string(buf[:n]))
			require.Equal(t, c.LocalAddr().String(), from.String())

			k = b.start(func(*core.Task) { _, _, err = c.ReadFrom(buf) })
			parked(task, k)
			require.NoError(t, c.Close())
			k.join(task)
			require.ErrorIs(t, err, net.ErrClosed)
		})
	}
}

// A connected UDP socket is a Conn; an empty datagram is not the end.
func TestDialUDP(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		server := listenPacket(t, task, "udp", "127.0.0.1:0")
		c, err := netio.Dial(task, "udp", server.LocalAddr().String())
		require.NoError(t, err)
		defer c.Close()
		buf := make([]byte, 10)
		for _, want := range []string{"a", "", "bc"} {
			n, err := c.Write([]byte(want))
			require.NoError(t, err)
			require.Equal(t, len(want), n)
			n, from, err := server.ReadFrom(buf)
			require.NoError(t, err)
			require.Equal(t, want, string(buf[:n]))
			b.start(func(*core.Task) {
				_, err := server.WriteTo([]byte(want), from)
				require.NoError(t, err)
			})
			n, err = c.Read(buf)
			require.NoError(t, err)
			require.Equal(t, want, string(buf[:n]))
		}
	})
}
