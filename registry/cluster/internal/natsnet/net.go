package natsnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Accounts of an embedded server.
const (
	FramesAccount    = "FRAMES"
	DirectoryAccount = "DIRECTORY"
)

// Defaults of Config.
const (
	DefaultPrefix    = "tasklet"
	DefaultNamespace = "default"
)

// Config says how a node connects.
type Config struct {
	URL       string        // of one or more servers, as nats.Connect has them
	Options   []nats.Option // of both connections
	Prefix    string        // of all subjects; DefaultPrefix
	Namespace string        // of the cluster; DefaultNamespace
	Node      string        // name of the node
	Replicas  int           // of the directory, if it has to be made; 1
	Insecure  bool          // see ErrInsecure
}

// ErrInsecure says that a server is off the loopback, and there is no TLS or no credentials.
var ErrInsecure = errors.New("cluster: connection without TLS and credentials off the loopback")

// BucketOf returns the name of the bucket of a cluster.
func BucketOf(prefix, namespace string) string { return prefix + "-" + namespace }

// ValidToken reports whether s can be a part of a subject, and the name of a node.
func ValidToken(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// Net is a node's connection.
type Net struct {
	config Config
	frames *nats.Conn
	dir    *nats.Conn
	sender *sender
	follow *again // those that follow the directory
}

// Connect connects a node. It blocks until it is connected, or ctx ends.
func Connect(ctx context.Context, c Config) (*Net, error) {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	if c.Namespace == "" {
		c.Namespace = DefaultNamespace
	}
	switch c.Replicas {
	case 0:
		c.Replicas = 1
	case 1, 3, 5:
	default:
		return nil, fmt.Errorf("cluster: Replicas is %d, not 1, 3 or 5", c.Replicas)
	}
	for what, s := range map[string]string{"Prefix": c.Prefix, "Namespace": c.Namespace, "Node": c.Node} {
		if !ValidToken(s) {
			return nil, fmt.Errorf("cluster: %s is %q: letters, digits, '-' and '_' are allowed", what, s)
		}
	}
	n := &Net{config: c, follow: &again{}}
	var err error
	if n.frames, err = c.connect(ctx, FramesAccount, nil); err != nil {
		return nil, err
	}
	if n.dir, err = c.connect(ctx, DirectoryAccount, n.follow); err != nil {
		n.frames.Close()
		return nil, err
	}
	n.sender = newSender(n.frames, c.Prefix+"."+c.Namespace+".n.", "."+c.Node)
	return n, nil
}

// connect makes one of the connections.
func (c Config) connect(ctx context.Context, account string, follow *again) (*nats.Conn, error) {
	o := nats.GetDefaultOptions()
	// Options.Url can't have several: nats.Connect would split it.
	for server := range strings.SplitSeq(c.URL, ",") {
		if server = strings.TrimSpace(server); server != "" {
			o.Servers = append(o.Servers, server)
		}
	}
	o.Timeout = 5 * time.Second
	o.ReconnectWait = 100 * time.Millisecond
	o.ReconnectJitter = 100 * time.Millisecond
	o.PingInterval = 2 * time.Second
	for _, option := range slices.Concat(c.Options, []nats.Option{
		nats.Name(account + "/" + c.Node),
		nats.CustomInboxPrefix("_INBOX." + c.Node),
		nats.MaxReconnects(-1),
		nats.ReconnectBufSize(-1),   // the list of unacknowledged frames is the only buffer
		nats.IgnoreAuthErrorAbort(), // a server that starts may not know everybody yet
		nats.DontRandomize(),
	}) {
		if option == nil {
			continue
		}
		if err := option(&o); err != nil {
			return nil, fmt.Errorf("cluster: %w", err)
		}
	}
	if err := secure(o, c.Insecure); err != nil {
		return nil, err
	}
	if follow != nil {
		users := o.ReconnectedCB
		o.ReconnectedCB = func(nc *nats.Conn) {
			follow.call()
			if users != nil {
				users(nc)
			}
		}
	}
	if o.AsyncErrorCB == nil {
		o.AsyncErrorCB = func(*nats.Conn, *nats.Subscription, error) {} // or it prints
	}
	type result struct {
		nc  *nats.Conn
		err error
	}
	done := make(chan result, 1)
	go func() {
		nc, err := o.Connect()
		done <- result{nc, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return nil, fmt.Errorf("cluster: connecting with NATS: %w", r.err)
		}
		return r.nc, nil
	case <-ctx.Done():
		go func() {
			if r := <-done; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// secure returns ErrInsecure if one of the servers may be reached in plain text or without
// credentials.
func secure(o nats.Options, insecure bool) error {
	if insecure || o.InProcessServer != nil {
		return nil
	}
	credentials := o.Nkey != "" || o.UserJWT != nil || o.Token != "" || o.TokenHandler != nil || o.User != "" ||
		o.UserInfo != nil
	verified := o.TLSConfig == nil || !o.TLSConfig.InsecureSkipVerify
	for _, server := range append([]string{o.Url}, o.Servers...) {
		if server == "" {
			continue
		}
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		u, err := url.Parse(server)
		if err != nil {
			return fmt.Errorf("cluster: address of a server: %w", err)
		}
		if loopback(u.Hostname()) {
			continue
		}
		encrypted := (o.Secure || u.Scheme == "tls" || u.Scheme == "wss") && verified
		if !encrypted || !credentials && u.User == nil {
			return fmt.Errorf("%w: %s", ErrInsecure, u.Host)
		}
	}
	return nil
}

// loopback reports whether a host can only be this machine.
func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback() || host == "localhost"
}

// Listen makes frames for this node come to receive, on a goroutine of the connection. The frame
// belongs to receive, which must not block.
func (n *Net) Listen(receive func(from string, frame []byte)) error {
	base := n.config.Prefix + "." + n.config.Namespace + ".n." + n.config.Node + "."
	sub, err := n.frames.Subscribe(base+"*", func(m *nats.Msg) {
		if from := strings.TrimPrefix(m.Subject, base); ValidToken(from) {
			receive(from, m.Data)
		}
	})
	if err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	// What does not fit is lost, the newest first, and asked for again.
	if err := sub.SetPendingLimits(1<<16, 64<<20); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	if err := n.frames.FlushTimeout(5 * time.Second); err != nil {
		return fmt.Errorf("cluster: %w", err)
	}
	return nil
}

// Send sends a copy of a frame to a node, or loses it. It never blocks.
func (n *Net) Send(to string, frame []byte) { n.sender.send(to, frame) }

// Close ends the connections once what was sent is on its way, or after 2 s. It does not block.
func (n *Net) Close() {
	n.follow.close()
	n.sender.close()
	go func() {
		select {
		case <-n.sender.done:
		case <-time.After(2 * time.Second): // the server does not read
		}
		n.frames.Close()
		n.dir.Close()
	}()
}

// Addr returns the address of the server that has the connection for frames now; empty if there is
// none.
func (n *Net) Addr() string {
	if !n.frames.IsConnected() {
		return ""
	}
	return n.frames.ConnectedAddr()
}

// again calls those that have to do something when a connection is there again.
type again struct {
	mu    sync.Mutex // protects the following
	over  bool
	funcs map[*func()]struct{}
}

func (a *again) add(f func()) (remove func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.funcs == nil {
		a.funcs = map[*func()]struct{}{}
	}
	a.funcs[&f] = struct{}{}
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.funcs, &f)
	}
}

func (a *again) call() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for f := range a.funcs {
		(*f)()
	}
}

func (a *again) close() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	a.call()
}

func (a *again) closed() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over
}
