package between

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// Size is the size of all messages.
const Size = 128

// packed is a message that is written as it is.
type packed struct{ data [Size]byte }

func (p packed) AppendBinary(to []byte) ([]byte, error) { return append(to, p.data[:]...), nil }

func (p *packed) UnmarshalBinary(from []byte) error {
	if copy(p.data[:], from) != Size || len(from) != Size {
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

// firstID is the ID of the first message of a stream: all have the same size.
const firstID = 1 << 40

// question is the request of a call, with about as many bytes.
type question struct {
	N     int              `cbor:"1,keyasint"`
	Data  []byte           `cbor:"2,keyasint"`
	Reply actor.Reply[int] `cbor:"3,keyasint"`
}

func filler() []byte { return zeros[:] }

var zeros [Size - 10]byte

func init() {
	cluster.Type[packed]("between.packed", 1)
	cluster.Type[encoded]("between.encoded", 1)
	cluster.Type[question]("between.question", 1)
}

// Play is what the processes do that a Driver has started: a program that uses it calls Play first
// if RoleEnv is set.
func Play(role string) error {
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
	Obey(nil, nil)
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// there is the process that messages are sent to.
func there(url string) error {
	var c Counter
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer nc.Close()
	sub, err := nc.Subscribe("plain.stream", func(m *nats.Msg) { c.Got(binary.BigEndian.Uint64(m.Data)) })
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
		receive(ctx, sys, node, "packed", func(_ *actor.Tasklet, m packed) error { c.Got(binary.BigEndian.Uint64(m.data[:])); return nil }),
		receive(ctx, sys, node, "encoded", func(_ *actor.Tasklet, m encoded) error { c.Got(m.ID - firstID); return nil }),
		receive(ctx, sys, node, "question", func(t *actor.Tasklet, q question) error { return q.Reply.Send(t, q.N) }),
		nc.Flush(),
	)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	Obey(&c, nil)
	return nil
}

// receive starts a receiver and gives it a name.
func receive[M any](ctx context.Context, sys *actor.System, node *cluster.Node, name string, f func(*actor.Tasklet, M) error) error {
	_, err := cluster.Claim(ctx, node, name, actor.Receiver(sys, f))
	return err
}
