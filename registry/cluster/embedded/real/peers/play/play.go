// Package play is what the programs of the libraries have in common: two processes, one of which
// sends to the other, and both do what the comparison tells them.
package play

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/gotasklet/tasklet/registry/cluster/embedded/real/internal/between"
)

// Library is a library to be compared.
type Library struct {
	// There starts what is sent to, and returns its address.
	There func(*between.Counter) (address string, err error)
	// Here starts what sends to an address.
	Here func(address string) (Sender, error)
}

// Sender is what sends.
type Sender interface {
	// Stream begins to send n messages, of which at most window are on their way; or all, if it is
	// 0.
	Stream(n, window int)
	// Call sends a request with a number, and returns the number that is in the answer.
	Call(number uint64) (uint64, error)
}

// Main is the program of a library. It ends with its parent.
func Main(l Library) {
	if err := run(l); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(l Library) error {
	role, address, _ := strings.Cut(os.Getenv(between.RoleEnv), " ")
	switch role {
	case "there":
		c := new(between.Counter)
		address, err := l.There(c)
		if err != nil {
			return err
		}
		fmt.Println(address)
		between.Obey(c, nil)
		return nil
	case "here":
		s, err := l.Here(address)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		between.Obey(nil, func(order string) string { return obey(s, order) })
		return nil
	}
	return errors.New("this program is started by the comparison: go run ../")
}

func obey(s Sender, order string) string {
	var n, m int
	if _, err := fmt.Sscanf(order, "stream %d %d", &n, &m); err == nil {
		s.Stream(n, m)
		return "ok"
	}
	if _, err := fmt.Sscanf(order, "calls %d %d", &n, &m); err != nil {
		return "what is " + order
	}
	err := between.Callers(n, m, func(i int) error {
		v, err := s.Call(uint64(i))
		if err == nil && v != uint64(i) {
			err = fmt.Errorf("the answer to %d is %d", i, v)
		}
		return err
	})
	if err != nil {
		return strings.ReplaceAll(err.Error(), "\n", "; ")
	}
	return "ok"
}

// Message returns a message of 128 bytes with a number.
func Message(number uint64) *wrapperspb.BytesValue {
	return wrapperspb.Bytes(binary.BigEndian.AppendUint64(make([]byte, 0, between.Size), number)[:between.Size])
}

// Number returns the number of a message.
func Number(m *wrapperspb.BytesValue) uint64 { return binary.BigEndian.Uint64(m.Value) }

// Window knows which messages of a stream may be sent.
type Window struct{ n, size, sent, acked int }

// NewWindow returns the window of n messages of which at most size are on their way, or all if it
// is 0.
func NewWindow(n, size int) *Window {
	if size == 0 {
		size = n
	}
	return &Window{n: n, size: size}
}

// Every returns after how many messages the receiver is to say how many it has handled.
func (w *Window) Every() uint64 {
	if w.size == w.n {
		return uint64(w.n) + 1 // never
	}
	return uint64(max(1, w.size/4))
}

// Ack says that messages up to a number have been handled.
func (w *Window) Ack(handled uint64) { w.acked = int(handled) }

// Next returns the number of a message that may be sent now.
func (w *Window) Next() (number uint64, ok bool) {
	if w.sent == w.n || w.sent-w.acked == w.size {
		return 0, false
	}
	w.sent++
	return uint64(w.sent - 1), true
}
