package between

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
)

// Driver is the process that sends, with the others that it has started.
type Driver struct {
	server, there *Process
	nc            *nats.Conn
	sys           *actor.System
	packed        actor.Ref[packed]
	encoded       actor.Ref[encoded]
	question      actor.Ref[question]
}

// NewDriver starts this program again in the other roles; see Play.
func NewDriver() (d *Driver, err error) {
	d = &Driver{}
	defer func() {
		if err != nil {
			d.Close()
		}
	}()
	if d.server, err = Start(os.Args[0], "server"); err != nil {
		return d, err
	}
	url, err := d.server.Line()
	if err != nil {
		return d, err
	}
	if d.there, err = Start(os.Args[0], "there "+url); err != nil {
		return d, err
	}
	if _, err = d.there.Line(); err != nil {
		return d, err
	}
	if d.nc, err = nats.Connect(url); err != nil {
		return d, err
	}
	if d.sys, err = actor.Start(actor.Config{Logger: zap.NewNop()}); err != nil {
		return d, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	node, err := cluster.Join(ctx, d.sys, cluster.Config{Name: "here", Connect: cluster.NATS(url)})
	if err != nil {
		return d, err
	}
	if d.packed, err = cluster.WaitFor[packed](ctx, node, "packed"); err != nil {
		return d, err
	}
	if d.encoded, err = cluster.WaitFor[encoded](ctx, node, "encoded"); err != nil {
		return d, err
	}
	d.question, err = cluster.WaitFor[question](ctx, node, "question")
	return d, err
}

// Close ends the processes.
func (d *Driver) Close() {
	if d.nc != nil {
		d.nc.Close()
	}
	if d.sys != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = d.sys.Stop(ctx)
	}
	for _, p := range []*Process{d.there, d.server} {
		if p != nil {
			p.Close()
		}
	}
}

// Profile makes each process write a profile of what follows, to a file whose name is path and what
// the process is; or none, if path is empty.
func (d *Driver) Profile(path string) error {
	of := func(process string) string {
		if path == "" {
			return ""
		}
		return path + "-" + process
	}
	for name, p := range map[string]*Process{"server": d.server, "there": d.there} {
		if err := p.Tell("profile %s", of(name)); err != nil {
			return fmt.Errorf("profile: %w", err)
		}
	}
	return profile(of("here"))
}

// CPU returns the processor time of each process: this one, the one that messages are sent to, and
// the server.
func (d *Driver) CPU() (times [3]time.Duration, err error) {
	times[0] = Used()
	if times[1], err = d.there.CPU(); err != nil {
		return times, err
	}
	times[2], err = d.server.CPU()
	return times, err
}

// Memory returns the most memory that each process has had resident, in kB, in the order of CPU.
func (d *Driver) Memory() (kB [3]int64, err error) {
	kB[0] = Peak()
	if kB[1], err = d.there.Number("memory"); err != nil {
		return kB, err
	}
	kB[2], err = d.server.Number("memory")
	return kB, err
}

// PlainStream publishes n messages by nats.go. As the other streams, it returns when all have been
// handled.
func (d *Driver) PlainStream(n int) error {
	return d.counted(n, func() error {
		data := make([]byte, Size)
		for i := range n {
			binary.BigEndian.PutUint64(data, uint64(i))
			if err := d.nc.Publish("plain.stream", data); err != nil {
				return err
			}
		}
		return d.nc.Flush()
	})
}

// Packed sends n messages that are written as they are.
func (d *Driver) Packed(n int) error {
	return stream(d, d.packed, n, func(m *packed, i uint64) { binary.BigEndian.PutUint64(m.data[:], i) })
}

// Encoded sends n messages that are written as CBOR.
func (d *Driver) Encoded(n int) error {
	data := make([]byte, 91)
	return stream(d, d.encoded, n, func(m *encoded, i uint64) {
		*m = encoded{ID: firstID + i, Name: "the name of something", Data: data}
	})
}

// stream sends n messages, which number fills.
func stream[M any](d *Driver, to actor.Ref[M], n int, number func(*M, uint64)) error {
	return d.counted(n, func() error {
		return d.inside(func(t *actor.Tasklet) error {
			for i := range n {
				var m M
				number(&m, uint64(i))
				if err := to.Send(t, m); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// counted calls send, which sends n messages, and waits until they have been handled.
func (d *Driver) counted(n int, send func() error) error {
	if err := d.there.Tell("count %d", n); err != nil {
		return err
	}
	if err := send(); err != nil {
		return err
	}
	return d.there.Handled()
}

// inside runs f in a tasklet, and waits for it.
func (d *Driver) inside(f func(*actor.Tasklet) error) error {
	return actor.Go(d.sys, f).Join(context.Background())
}

// PlainCalls makes n requests by nats.go, from so many callers.
func (d *Driver) PlainCalls(n, callers int) error {
	data := make([]byte, Size)
	return Callers(n, callers, func(int) error {
		_, err := d.nc.Request("plain.call", data, 10*time.Second)
		return err
	})
}

// Callers calls f n times, from so many goroutines.
func Callers(n, callers int, f func(i int) error) error {
	errs := make([]error, callers)
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := 0; i < n/callers && errs[c] == nil; i++ {
				errs[c] = f(i)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Calls makes n calls, from so many callers.
func (d *Driver) Calls(n, callers int) error {
	return d.inside(func(t *actor.Tasklet) error {
		var all []*actor.Tasklet
		for range callers {
			all = append(all, actor.Go(t, func(t *actor.Tasklet) error {
				for i := range n / callers {
					v, err := actor.Call(t, d.question, func(r actor.Reply[int]) question { return question{i, filler(), r} })
					if err != nil {
						return err
					}
					if v != i {
						return fmt.Errorf("the answer to %d is %d", i, v)
					}
				}
				return nil
			}))
		}
		for _, c := range all {
			if err := c.Join(t); err != nil {
				return err
			}
		}
		return nil
	})
}
