// Package rolling has what two builds of one program share, whose messages differ: old and new are
// the builds. Their test lets them talk to each other, and replaces one by the other while messages
// flow. It is not meant to be imported.
package rolling

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/supervisor"
)

// Build is what differs between the builds. M is the interface of the messages of a shop.
type Build[M any] struct {
	// Handle handles a message of a shop, and returns what is seen of it.
	Handle func(t *actor.Tasklet, m M) (seen string, err error)
	// Order returns an order, which is counted by who sends it and its number.
	Order func(from string, n int) M
	// Counted returns the two of an order, or false for any other message.
	Counted func(m M) (from string, n int, ok bool)
	// Claim claims further names, or is nil.
	Claim func(p *Process, t *actor.Tasklet) error
	// Do has what the test can make the process do with the shop of the node to.
	Do map[string]func(p *Process, t *actor.Tasklet, to string) (string, error)
}

// Process is a process of either build.
type Process struct {
	// Set in Main, then read-only.
	Name string
	Node *cluster.Node

	sys   *actor.System
	quiet atomic.Bool // senders stop; atomic: written by commands, read by senders

	mu sync.Mutex // protects the following, which OnEvent and tasklets use
	// Owned by mu.
	rep Report
}

// Report is the account of a process.
type Report struct {
	Seen    []string         // messages that have come, without those that are counted
	Letters []string         // dead letters: reason, type and error
	Sent    map[string]int   // orders that Send has accepted, by who sends
	Handled map[string][]int // numbers of orders that were handled, by who has sent them
	Certain int              // messages reported as not handled
	Perhaps int              // messages reported as perhaps handled
}

// Answer is a line of a process: what a command has come to.
type Answer struct {
	Text   string  `json:",omitempty"`
	Err    string  `json:",omitempty"`
	Report *Report `json:",omitempty"`
}

// Main is the main function of a build. The arguments of the process are the name of its node, and
// the URL of the server. It reads a command a line, and answers each with a line.
func Main[M any](b Build[M]) {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage:", os.Args[0], "NODE URL")
		os.Exit(2)
	}
	p := &Process{Name: os.Args[1], rep: Report{Sent: map[string]int{}, Handled: map[string][]int{}}}
	if err := run(p, b, os.Args[2]); err != nil {
		say(Answer{Err: err.Error()})
		os.Exit(1)
	}
}

func run[M any](p *Process, b Build[M], url string) (err error) {
	p.sys, err = actor.Start(actor.Config{Name: p.Name, Logger: zap.NewNop(), OnEvent: p.onEvent})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p.Node, err = cluster.Join(ctx, p.sys, cluster.Config{
		Name: p.Name, Connect: cluster.NATS(url), TTL: 5 * time.Second,
	})
	if err != nil {
		return err
	}
	shop := actor.NewRef[M](actor.Name("shop"))
	top, err := supervisor.Start(p.sys, supervisor.Spec{Name: "top", Children: []supervisor.Child{
		{ID: "shop", Body: actor.ReceiverBody(shop, handler(p, b))},
		{ID: "orders", Body: cluster.SingletonReceiver(p.Node, "orders", func(*cluster.Claimed) actor.Handler[M] {
			return handler(p, b)
		})},
	}})
	if err != nil {
		return err
	}
	if _, err := cluster.Claim(ctx, p.Node, "shop/"+p.Name, shop); err != nil {
		return err
	}
	if b.Claim != nil {
		if err := p.do(func(t *actor.Tasklet) error { return b.Claim(p, t) }); err != nil {
			return err
		}
	}
	say(Answer{Text: "ready"})
	var senders *actor.Tasklet
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		what, to, _ := strings.Cut(s.Text(), " ")
		switch what {
		case "flow":
			senders = actor.Go(p.sys, func(t *actor.Tasklet) error {
				for _, name := range strings.Fields(to) {
					actor.Go(t, func(t *actor.Tasklet) error { return flow(p, b, t, name) })
				}
				_, err := t.JoinChildren(t)
				return err
			}, actor.Name("senders"))
			say(Answer{Text: "it flows"})
		case "quiet":
			p.quiet.Store(true)
			say(answer("quiet", senders.Join(context.Background())))
		case "report":
			say(p.report())
		case "leave": // as docs/cluster.md says
			p.quiet.Store(true)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			if senders != nil {
				err = senders.Join(ctx)
			}
			top.Tasklet().Kill()
			_ = top.Tasklet().Join(ctx) // it was killed
			if err = errors.Join(err, p.Node.Leave(ctx), p.sys.Stop(ctx)); err != nil {
				return err
			}
			say(p.report())
			return nil
		default:
			f, ok := b.Do[what]
			if !ok {
				return fmt.Errorf("unknown command %q", what)
			}
			var text string
			err := p.do(func(t *actor.Tasklet) (err error) { text, err = f(p, t, to); return err })
			say(answer(text, err))
		}
	}
	return errors.New("its parent has ended")
}

// do calls f in a tasklet.
func (p *Process) do(f func(t *actor.Tasklet) error) error {
	var err error
	joined := actor.Go(p.sys, func(t *actor.Tasklet) error {
		_, end := actor.WithTimeout(t, 20*time.Second)
		defer end()
		err = f(t)
		return nil
	}, actor.Name("do")).Join(context.Background())
	return errors.Join(err, joined)
}

func answer(text string, err error) Answer {
	a := Answer{Text: text}
	if err != nil {
		a.Err = err.Error()
	}
	return a
}

// say writes a line.
func say(a Answer) {
	b, err := json.Marshal(a)
	if err != nil {
		panic(err)
	}
	_, _ = os.Stdout.Write(append(b, '\n'))
}

func handler[M any](p *Process, b Build[M]) actor.Handler[M] {
	return func(t *actor.Tasklet, m M) error {
		if from, n, ok := b.Counted(m); ok && from != "" {
			p.mu.Lock()
			p.rep.Handled[from] = append(p.rep.Handled[from], n)
			p.mu.Unlock()
			return nil
		}
		seen, err := b.Handle(t, m)
		p.Seen(seen)
		return err
	}
}

// Seen takes down what has come.
func (p *Process) Seen(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rep.Seen = append(p.rep.Seen, what)
}

// flow sends orders to the owner of a name, wherever it lives, until the process is to be quiet.
func flow[M any](p *Process, b Build[M], t *actor.Tasklet, name string) error {
	from := p.Node.Self().Incarnation.String() + " to " + name
	for n := 1; !p.quiet.Load(); {
		ctx, cancel := actor.WithTimeout(t, 100*time.Millisecond)
		ref, err := cluster.WaitFor[M](ctx, p.Node, name)
		cancel()
		for err == nil && !p.quiet.Load() {
			if err = ref.Send(t, b.Order(from, n)); err == nil {
				p.mu.Lock()
				p.rep.Sent[from] = n
				p.mu.Unlock()
				n++
				t.Sleep(time.Millisecond)
			}
		}
		t.Sleep(10 * time.Millisecond) // it has moved
	}
	return nil
}

func (p *Process) onEvent(e actor.EventRecord) {
	if e.Kind != event.DeadLetter && e.Kind != event.MessageLost {
		return
	}
	why := ""
	for _, f := range e.Fields {
		if f.Key == "reason" {
			why = f.String
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rep.Letters = append(p.rep.Letters, fmt.Sprintf("%s %v: %v", why, e.Message, e.Err)); why == "unknown" {
		p.rep.Perhaps += e.Count
	} else {
		p.rep.Certain += e.Count
	}
}

// report returns a copy of the account.
func (p *Process) report() Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	b, err := json.Marshal(p.rep)
	if err != nil {
		panic(err)
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		panic(err)
	}
	return Answer{Report: &r}
}

// Send waits for the name and sends a message to its owner.
func Send[M any](p *Process, t *actor.Tasklet, name string, m M) error {
	ref, err := cluster.WaitFor[M](t, p.Node, name)
	if err != nil {
		return err
	}
	return ref.Send(t, m)
}

// Call waits for the name and calls its owner.
func Call[M, R any](p *Process, t *actor.Tasklet, name string, msg func(actor.Reply[R]) M) (string, error) {
	ref, err := cluster.WaitFor[M](t, p.Node, name)
	if err != nil {
		return "", err
	}
	v, err := actor.Call(t, ref, msg)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%+v", v), nil
}
