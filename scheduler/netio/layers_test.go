package netio_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/internal/core"
	"github.com/gotasklet/tasklet/scheduler/netio"
)

func TestCopy(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		p, q := pair(tb, t, kind)
		data := make([]byte, 3<<20)
		_, _ = rand.Read(data)
		b.start(func(*core.Task) { // passes on from one connection to the other
			n, err := io.Copy(p, y)
			require.NoError(tb, err)
			require.EqualValues(tb, len(data), n)
			require.NoError(tb, p.Close())
		})
		b.start(func(*core.Task) {
			_, err := io.Copy(x, bytes.NewReader(data))
			require.NoError(tb, err)
			require.NoError(tb, x.Close())
		})
		got, err := io.ReadAll(q)
		require.NoError(tb, err)
		require.True(tb, bytes.Equal(data, got))
	})
}

func TestBufioAndJSON(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		type item struct{ N int }
		x, y := pair(tb, t, kind)
		b.start(func(*core.Task) {
			w := bufio.NewWriter(y)
			for i := range 1000 {
				fmt.Fprintln(w, "line", i)
			}
			require.NoError(tb, w.Flush())
			enc := json.NewEncoder(y)
			for i := range 1000 {
				require.NoError(tb, enc.Encode(item{i}))
			}
		})
		r := bufio.NewReader(x)
		for i := range 1000 {
			line, err := r.ReadString('\n')
			require.NoError(tb, err)
			require.Equal(tb, fmt.Sprintf("line %d\n", i), line)
		}
		dec := json.NewDecoder(r)
		for i := range 1000 {
			var it item
			require.NoError(tb, dec.Decode(&it))
			require.Equal(tb, i, it.N)
		}
	})
}

func TestTextproto(t *testing.T) {
	each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
		x, y := pair(tb, t, kind)
		b.start(func(*core.Task) {
			server := textproto.NewConn(y)
			require.NoError(tb, server.PrintfLine("220 ready"))
			line, err := server.ReadLine()
			require.NoError(tb, err)
			require.Equal(tb, "HELO there", line)
			require.NoError(tb, server.PrintfLine("250 hello"))
		})
		client := textproto.NewConn(x)
		_, _, err := client.ReadResponse(220)
		require.NoError(tb, err)
		id, err := client.Cmd("HELO there")
		require.NoError(tb, err)
		client.StartResponse(id)
		_, msg, err := client.ReadResponse(250)
		client.EndResponse(id)
		require.NoError(tb, err)
		require.Equal(tb, "hello", msg)
	})
}

// certificate is for both ends of the TLS connections here.
var certificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"test"}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

func tlsConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate()}, InsecureSkipVerify: true, ServerName: "test"}
}

// One task reads from a tls.Conn and another writes to it, on both ends, much data in both
// directions at the same time: after the handshake that is safe.
func TestTLSReaderAndWriter(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		each(t, func(tb testing.TB, b *bench, t *core.Task, kind string) {
			cfg := tlsConfig()
			cfg.MaxVersion = version
			x, y := pair(tb, t, kind)
			client, server := tls.Client(x, cfg), tls.Server(y, cfg)
			shaking := b.start(func(t *core.Task) { require.NoError(tb, server.HandshakeContext(t)) })
			require.NoError(tb, client.HandshakeContext(t))
			shaking.join(t)

			data := make([]byte, 2<<20)
			_, _ = rand.Read(data)
			var all []*task
			for _, c := range []*tls.Conn{client, server} {
				all = append(all, b.start(func(*core.Task) {
					n, err := c.Write(data)
					require.NoError(tb, err)
					require.Equal(tb, len(data), n)
				}), b.start(func(*core.Task) {
					got := make([]byte, len(data))
					_, err := io.ReadFull(c, got)
					require.NoError(tb, err)
					require.True(tb, bytes.Equal(data, got))
				}))
			}
			for _, k := range all {
				k.join(t)
			}
			// Close while the other reads: it sees the end.
			end := b.start(func(*core.Task) {
				_, err := server.Read(make([]byte, 1))
				require.Equal(tb, io.EOF, err)
			})
			parked(t, end)
			if kind == "pipe" {
				go func() { _ = client.Close() }() // writes its alert, for which a reader is needed
			} else {
				require.NoError(tb, client.Close())
			}
			end.join(t)
		})
	}
}

// A TLS server by way of tls.NewListener, with a task for each connection, and clients that are
// ordinary goroutines.
func TestTLSListener(t *testing.T) {
	run(t, func(b *bench, task *core.Task) {
		ln := tls.NewListener(listen(t, task, "tcp"), tlsConfig())
		const clients = 10
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				c, err := tls.Dial("tcp", ln.Addr().String(), tlsConfig())
				if err != nil {
					t.Error(err)
					return
				}
				defer c.Close()
				fmt.Fprintf(c, "client %d\n", i)
				got, err := bufio.NewReader(c).ReadString('\n')
				if err != nil || got != fmt.Sprintf("CLIENT %d\n", i) {
					t.Errorf("%q, %v", got, err)
				}
			})
		}
		var served []*task2
		for range clients {
			c, err := ln.Accept()
			require.NoError(t, err)
			served = append(served, b.start(func(*core.Task) {
				defer c.Close()
				line, err := bufio.NewReader(c).ReadString('\n')
				require.NoError(t, err)
				_, err = io.WriteString(c, strings.ToUpper(line))
				require.NoError(t, err)
			}))
		}
		for _, k := range served {
			k.join(task)
		}
		wg.Wait()
	})
}

// locked is a library's connection with a mutex that it holds across its calls.
type locked struct {
	net.Conn
	mu sync.Mutex
}

// A task that parks while it holds a sync.Mutex, and another that wants it: that one blocks the
// scheduler, and the first can't go on. The stall is reported; with a task of its own for each such
// lock it does not come to that.
func TestMutexAcrossAWait(t *testing.T) {
	stalled := make(chan core.Stall, 10)
	cfg := core.Config{StallAfter: 20 * time.Millisecond, Hooks: core.Hooks{Stall: func(s core.Stall) { stalled <- s }}}
	var l *locked
	// Nobody but this goroutine can end it.
	var waits atomic.Bool
	rescued := make(chan bool)
	go func() {
		defer close(rescued)
		for !waits.Load() { // what is reported before is a slow machine
			s := <-stalled
			require.NotEmpty(t, s)
		}
		l.mu.Unlock() // for the one who is parked
	}()
	runWith(t, cfg, func(b *bench, task *core.Task) {
		x, _ := pair(t, task, "tcp")
		l = &locked{Conn: x}
		first := b.start(func(*core.Task) {
			l.mu.Lock()
			_ = stuff(x)
		})
		parked(task, first)
		second := b.start(func(*core.Task) {
			waits.Store(true)
			l.mu.Lock() // blocks the scheduler
			defer l.mu.Unlock()
		})
		second.join(task)
		first.Kill(false)
		first.join(task)
	})
	<-rescued
}

// handshakers is for a process of its own: two tasks use a tls.Conn that has not had its handshake.
// One parks in it with a mutex locked, the other wants that mutex, and the scheduler is blocked for
// good.
const handshakers = "NETIO_TEST_HANDSHAKERS"

func TestTLSTwoHandshakes(t *testing.T) {
	if os.Getenv(handshakers) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestTLSTwoHandshakes$")
		cmd.Env = append(os.Environ(), handshakers+"=1")
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Equal(t, 77, cmd.ProcessState.ExitCode(), "%s", out)
		return
	}
	cfg := core.Config{StallAfter: 50 * time.Millisecond, Hooks: core.Hooks{Stall: func(core.Stall) { os.Exit(77) }}}
	runWith(t, cfg, func(b *bench, task *core.Task) {
		x, _ := pair(t, task, "tcp")
		c := tls.Client(x, tlsConfig())
		reader := b.start(func(*core.Task) { _, _ = c.Read(make([]byte, 1)) })
		parked(task, reader)
		_, _ = c.Write(make([]byte, 1))
	})
}

var _ net.Conn = (*netio.Conn)(nil)
var _ net.Listener = (*netio.Listener)(nil)
var _ net.PacketConn = (*netio.PacketConn)(nil)
