package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// roleEnv is the environment variable that says what a process is: "server", or "there" and the URL
// of the server.
const roleEnv = "TASKLET_BETWEEN_ROLE"

// size is the size of all messages.
const size = 128

// binary is a message that is written as it is.
type binary struct{ data [size]byte }

func (b binary) AppendBinary(to []byte) ([]byte, error) { return append(to, b.data[:]...), nil }

func (b *binary) UnmarshalBinary(from []byte) error {
	if copy(b.data[:], from) != size || len(from) != size {
		return errors.New("wrong size")
	}
	return nil
}

// encoded is a message in CBOR that has as many bytes as the others.
type encoded struct {
	ID   uint64 `cbor:"1,keyasint"`
	Name string `cbor:"2,keyasint"`
	Data []byte `cbor:"3,keyasint"`
}

func newEncoded() encoded {
	return encoded{ID: 1 << 40, Name: "the name of something", Data: make([]byte, 91)}
}

// question is the request of a call, with about as many bytes.
type question struct {
	N     int              `cbor:"1,keyasint"`
	Data  []byte           `cbor:"2,keyasint"`
	Reply actor.Reply[int] `cbor:"3,keyasint"`
}

func filler() []byte { return zeros[:] }

var zeros [size - 10]byte

func init() {
	cluster.Type[binary]("between.binary", 1)
	cluster.Type[encoded]("between.encoded", 1)
	cluster.Type[question]("between.question", 1)
}

// play is what the processes do that the driver starts.
func play(role string) error {
	role, url, _ := strings.Cut(role, " ")
	if role == "server" {
		return serve()
	}
	return there(url)
}

// serve runs a server until the driver has ended.
func serve() error {
	dir, err := os.MkdirTemp("", "tasklet-between-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true,
	})
	if err != nil {
		return err
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return errors.New("the server does not start")
	}
	fmt.Println(s.ClientURL())
	orders(nil)
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// there is the process that messages are sent to.
func there(url string) error {
	var left atomic.Int64
	counted := func() {
		if left.Add(-1) == 0 {
			fmt.Println("handled")
		}
	}
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.Subscribe("plain.stream", func(*nats.Msg) { counted() })
	if err != nil {
		return err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil { // nothing is dropped, at any price
		return err
	}
	if _, err := nc.Subscribe("plain.call", func(m *nats.Msg) { _ = m.Respond(m.Data[:8]) }); err != nil {
		return err
	}
	sys, err := actor.Start(actor.Config{Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	node, err := cluster.Join(ctx, sys, cluster.Config{Name: "there", Connect: cluster.NATS(url)})
	if err != nil {
		return err
	}
	err = errors.Join(
		receive(ctx, sys, node, "binary", func(*actor.Tasklet, binary) error { counted(); return nil }),
		receive(ctx, sys, node, "encoded", func(*actor.Tasklet, encoded) error { counted(); return nil }),
		receive(ctx, sys, node, "question", func(t *actor.Tasklet, q question) error { return q.Reply.Send(t, q.N) }),
		nc.Flush(),
	)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	orders(&left)
	return nil
}

// receive starts a receiver and gives it a name.
func receive[M any](ctx context.Context, sys *actor.System, node *cluster.Node, name string, f func(*actor.Tasklet, M) error) error {
	_, err := cluster.Claim(ctx, node, name, actor.Receiver(sys, f))
	return err
}

// orders carries out what the driver says, until it ends. left is how many messages are to be
// counted. Atomic: written here, and counted down where messages come in.
func orders(left *atomic.Int64) {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		var n int64
		if _, err := fmt.Sscanf(s.Text(), "count %d", &n); err == nil {
			left.Store(n)
			fmt.Println("ok")
			continue
		}
		if path, ok := strings.CutPrefix(s.Text(), "profile "); ok {
			if err := profile(path); err != nil {
				fmt.Println(err)
				continue
			}
			fmt.Println("ok")
			continue
		}
		fmt.Println(used().Nanoseconds())
	}
}

// profiled is the file of the profile that is being written, or nil.
var profiled *os.File

// profile ends the profile that is being written, and begins another one unless path is empty.
func profile(path string) error {
	if profiled != nil {
		pprof.StopCPUProfile()
		if err := profiled.Close(); err != nil {
			return err
		}
		profiled = nil
	}
	if path == "" {
		return nil
	}
	var err error
	if profiled, err = os.Create(path); err != nil {
		return err
	}
	return pprof.StartCPUProfile(profiled)
}
