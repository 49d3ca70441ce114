package cluster

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster/internal/natsnet"
)

// ErrInsecure says that a NATS server is off the loopback, and is to be reached without TLS or
// without credentials. See [NATSConfig].
var ErrInsecure = natsnet.ErrInsecure

// NATSConfig is a [Connector] that connects by a NATS server with JetStream, of version 2.11 or
// later. See [NATS] for the usual case, and package embedded for a server in the process.
//
// Off the loopback it connects by TLS and with credentials only: [ErrInsecure].
type NATSConfig struct {
	// URL has the addresses of one or more servers of a NATS cluster, with commas between them.
	URL string
	// Options are those of nats.Connect: credentials, TLS, handlers. Reconnecting and the names of
	// connections are the node's affair, options for these have no effect.
	Options []nats.Option
	// Prefix and Namespace begin all subjects: <prefix>.<namespace>.n.<to>.<from> for frames, and
	// the bucket <prefix>-<namespace> for the directory. Nodes of different namespaces are in
	// different clusters. The defaults are "tasklet" and "default".
	Prefix, Namespace string
	// Replicas is how many servers keep the directory, if it has to be made: 1, 3 or 5; 1 by
	// default.
	Replicas int
	// Insecure allows connections off the loopback without TLS and without credentials.
	Insecure bool
}

// NATS returns a [Connector] that connects by a NATS server: NATSConfig with these fields.
func NATS(url string, options ...nats.Option) Connector {
	return NATSConfig{URL: url, Options: options}
}

// connectTime is how long it may take until a server answers.
const connectTime = 30 * time.Second

// Connect implements [Connector]. It parks the tasklet for as long as 30 s.
func (c NATSConfig) Connect(t *actor.Tasklet, self Member) (Transport, Directory, error) {
	type both struct {
		net *natsnet.Net
		dir *natsnet.Directory
	}
	b, err := actor.Await(t, func(ctx context.Context) (both, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		n, err := natsnet.Connect(ctx, natsnet.Config{
			URL: c.URL, Options: c.Options, Prefix: c.Prefix, Namespace: c.Namespace, Node: self.Name,
			Replicas: c.Replicas, Insecure: c.Insecure,
		})
		if err != nil {
			return both{}, err
		}
		d, err := n.Directory(ctx)
		if err != nil {
			n.Close()
			return both{}, err
		}
		return both{n, d}, nil
	})
	if err != nil {
		return nil, nil, err
	}
	return b.net, natsDirectory{b.dir}, nil
}

// natsDirectory is a natsnet.Directory whose methods park a tasklet.
type natsDirectory struct{ d *natsnet.Directory }

// await runs f on another goroutine if ctx belongs to a tasklet.
func await[R any](ctx context.Context, f func(context.Context) (R, error)) (R, error) {
	var r R
	var err error
	if actor.Current(ctx) != nil {
		r, err = actor.Await(ctx, f)
	} else {
		r, err = f(ctx)
	}
	return r, ours(err)
}

// ours returns the error of this package for one of natsnet.
func ours(err error) error {
	switch {
	case errors.Is(err, natsnet.ErrExists):
		return ErrExists
	case errors.Is(err, natsnet.ErrChanged):
		return ErrChanged
	case errors.Is(err, natsnet.ErrNoKey):
		return ErrNoKey
	}
	return err
}

// Create implements [Directory].
func (d natsDirectory) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (Token, error) {
	return await(ctx, func(ctx context.Context) (Token, error) {
		token, err := d.d.Create(ctx, key, value, ttl)
		return Token(token), err
	})
}

// Update implements [Directory].
func (d natsDirectory) Update(ctx context.Context, key string, value []byte, token Token, ttl time.Duration) (Token, error) {
	return await(ctx, func(ctx context.Context) (Token, error) {
		token, err := d.d.Update(ctx, key, value, natsnet.Token(token), ttl)
		return Token(token), err
	})
}

// Delete implements [Directory].
func (d natsDirectory) Delete(ctx context.Context, key string, token Token) error {
	_, err := await(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, d.d.Delete(ctx, key, natsnet.Token(token))
	})
	return err
}

// Get implements [Directory].
func (d natsDirectory) Get(ctx context.Context, key string) (value []byte, token Token, err error) {
	type result struct {
		value []byte
		token Token
	}
	r, err := await(ctx, func(ctx context.Context) (result, error) {
		value, token, err := d.d.Get(ctx, key)
		return result{value, Token(token)}, err
	})
	return r.value, r.token, err
}

// Follow implements [Directory].
func (d natsDirectory) Follow(f func(Change)) (stop func()) {
	return d.d.Follow(func(c natsnet.Change) {
		f(Change{Key: c.Key, Value: c.Value, Token: Token(c.Token), Gone: c.Gone})
	})
}
