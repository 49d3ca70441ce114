package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/embedded"
	"github.com/gotasklet/tasklet/registry/cluster/internal/natsnet"
)

// This file tests the connection of a node, package natsnet, against a real server.

func limit(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// join connects a node of this process.
func join(t *testing.T, e *embedded.Engine, node string) *natsnet.Net {
	t.Helper()
	n, err := natsnet.Connect(limit(t, 20*time.Second), natsnet.Config{Node: node, Options: e.Options("", "")})
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

func TestFrames(t *testing.T) {
	e := start(t, embedded.Config{})
	a, b := join(t, e, "a"), join(t, e, "b")
	got := make(chan string, 2000)
	require.NoError(t, b.Listen(func(from string, frame []byte) { got <- from + " " + string(frame) }))
	require.NoError(t, a.Listen(func(string, []byte) { t.Error("a frame for b came to a") }))
	frame := make([]byte, 20)
	for i := range 1000 {
		frame = fmt.Appendf(frame[:0], "frame %d", i)
		a.Send("b", frame) // it is copied
	}
	for i := range 1000 {
		assert.Equal(t, fmt.Sprintf("a frame %d", i), <-got)
	}
	a.Send("not.a.node", frame)
	a.Send("c", frame) // who is not there
	assert.NotEmpty(t, a.Addr())

	// While there is no server frames are lost, or wait in the queue of the sender, and nothing
	// blocks; then it goes on.
	e.Close()
	for range 100000 {
		a.Send("b", frame)
	}
	require.NoError(t, e.Start())
	for {
		a.Send("b", []byte("again"))
		select {
		case s := <-got:
			if s == "a again" {
				return
			}
			require.Equal(t, "a frame 999", s, "what was still to be sent")
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal("the connection does not come back")
		}
	}
}

// Of several servers one is enough.
func TestServers(t *testing.T) {
	nobody := reserve(t)
	e := start(t, embedded.Config{Listen: "127.0.0.1:0"})
	for _, url := range []string{
		nobody + "," + e.URL(), "nats://" + nobody + " , " + e.URL() + ",",
	} {
		n, err := natsnet.Connect(limit(t, 20*time.Second), natsnet.Config{URL: url, Node: "a"})
		require.NoError(t, err, url)
		assert.Equal(t, e.URL(), "nats://"+n.Addr())
		n.Close()
	}
}

func TestDirectory(t *testing.T) {
	e := start(t, embedded.Config{})
	require.NoError(t, e.Bucket(limit(t, 20*time.Second)))
	ctx := limit(t, 60*time.Second)
	d, err := join(t, e, "a").Directory(ctx)
	require.NoError(t, err)
	other, err := join(t, e, "b").Directory(ctx)
	require.NoError(t, err)

	keys := []string{"name/account/42", "name/..", "name/ä b", "name/.", "name/*", "name/>", "name/a=b", "node/a"}
	tokens := map[string]natsnet.Token{}
	var last natsnet.Token
	for _, key := range keys {
		_, _, err := d.Get(ctx, key)
		assert.Equal(t, natsnet.ErrNoKey, err)
		token, err := d.Create(ctx, key, []byte("v "+key), 0)
		require.NoError(t, err, key)
		assert.Greater(t, token.Revision, last.Revision)
		assert.NotZero(t, token.Era)
		tokens[key], last = token, token
	}
	for _, key := range keys {
		value, token, err := d.Get(ctx, key)
		require.NoError(t, err)
		assert.Equal(t, "v "+key, string(value))
		assert.Equal(t, tokens[key], token)
	}
	const key = "name/account/42"
	_, err = other.Update(limit(t, 300*time.Millisecond), "node/a", nil, tokens["node/a"], 0)
	assert.ErrorIs(t, err, context.DeadlineExceeded, "a session of another node: the server does not answer")
	_, token, err := d.Get(ctx, "node/a")
	require.NoError(t, err)
	assert.Equal(t, tokens["node/a"], token)
	_, err = d.Create(ctx, key, nil, 0)
	assert.Equal(t, natsnet.ErrExists, err)
	_, err = other.Update(ctx, key, []byte("x"), natsnet.Token{Era: last.Era, Revision: 99}, 0)
	assert.Equal(t, natsnet.ErrChanged, err)
	_, err = other.Update(ctx, key, []byte("x"), natsnet.Token{Era: 1, Revision: tokens[key].Revision}, 0)
	assert.Equal(t, natsnet.ErrChanged, err, "a token of another era")
	token, err = other.Update(ctx, key, []byte("new"), tokens[key], 0)
	require.NoError(t, err)
	assert.Equal(t, natsnet.ErrChanged, d.Delete(ctx, key, tokens[key]))
	require.NoError(t, d.Delete(ctx, key, token))
	_, _, err = d.Get(ctx, key)
	assert.Equal(t, natsnet.ErrNoKey, err)
	assert.Equal(t, natsnet.ErrChanged, d.Delete(ctx, key, token))
	again, err := d.Create(ctx, key, []byte("again"), 0)
	require.NoError(t, err, "over the mark of the deletion")
	assert.Greater(t, again.Revision, token.Revision)
	_, err = d.Update(ctx, "name/never", nil, token, 0)
	assert.Equal(t, natsnet.ErrChanged, err)

	for _, bad := range []string{"", "name", "name/", "/x", "a.b/x", "name/" + strings.Repeat("é", 200)} {
		_, err := d.Create(ctx, bad, nil, 0)
		assert.ErrorIs(t, err, natsnet.ErrKey, "%.20q", bad)
		_, _, err = d.Get(ctx, bad)
		assert.ErrorIs(t, err, natsnet.ErrKey)
		assert.ErrorIs(t, d.Delete(ctx, bad, token), natsnet.ErrKey)
	}
}

// A mirror is what is known of a directory by following it.
type mirror struct {
	mu      sync.Mutex
	keys    map[string]string
	changed chan struct{}
}

func (m *mirror) change(c natsnet.Change) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Gone {
		delete(m.keys, c.Key)
	} else {
		m.keys[c.Key] = string(c.Value)
	}
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// wait waits until the mirror is as it is expected.
func (m *mirror) wait(t *testing.T, want map[string]string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		m.mu.Lock()
		same := maps.Equal(m.keys, want)
		has := fmt.Sprint(m.keys)
		m.mu.Unlock()
		if same {
			return
		}
		select {
		case <-m.changed:
		case <-limit:
			t.Fatalf("it is %s, not %v", has, want)
		}
	}
}

func TestFollow(t *testing.T) {
	e := start(t, embedded.Config{Dir: t.TempDir()})
	require.NoError(t, e.Bucket(limit(t, 20*time.Second)))
	ctx := limit(t, 60*time.Second)
	d, err := join(t, e, "a").Directory(ctx)
	require.NoError(t, err)
	follow := func() (*mirror, func()) {
		m := &mirror{keys: map[string]string{}, changed: make(chan struct{}, 1)}
		stop := d.Follow(m.change)
		t.Cleanup(stop)
		return m, stop
	}
	empty, _ := follow()
	one, err := d.Create(ctx, "name/one", []byte("1"), 0)
	require.NoError(t, err)
	two, err := d.Create(ctx, "name/two", []byte("2"), 0)
	require.NoError(t, err)
	late, stop := follow()
	for _, m := range []*mirror{empty, late} {
		m.wait(t, map[string]string{"name/one": "1", "name/two": "2"})
	}
	stop()
	stop()
	one, err = d.Update(ctx, "name/one", []byte("11"), one, 0)
	require.NoError(t, err)
	require.NoError(t, d.Delete(ctx, "name/two", two))
	empty.wait(t, map[string]string{"name/one": "11"})

	// A key ends by itself after its time, unless it is renewed.
	session, err := d.Create(ctx, "node/a", []byte("s"), time.Hour)
	require.NoError(t, err)
	empty.wait(t, map[string]string{"name/one": "11", "node/a": "s"})
	_, err = d.Update(ctx, "node/a", []byte("t"), session, time.Second)
	require.NoError(t, err)
	empty.wait(t, map[string]string{"name/one": "11"})
	for err = natsnet.ErrChanged; err == natsnet.ErrChanged; { // it ended before it was renewed
		session, err = d.Create(ctx, "node/a", []byte("short"), 900*time.Millisecond)
		require.NoError(t, err, "over the mark of the end")
		_, err = d.Update(ctx, "node/a", []byte("anew"), session, time.Hour)
	}
	require.NoError(t, err)

	// A server that is started again is followed at once.
	e.Close()
	require.NoError(t, e.Start())
	for err = context.Canceled; err != nil; {
		_, err = d.Update(limit(t, time.Second), "name/one", []byte("111"), one, 0)
		if err == natsnet.ErrChanged { // an earlier try came through
			break
		}
		require.NoError(t, ctx.Err())
	}
	empty.wait(t, map[string]string{"name/one": "111", "node/a": "anew"})
	late.wait(t, map[string]string{"name/one": "1", "name/two": "2"})
}

// A consumer that sends heartbeats and nothing else is replaced.
func TestDeafConsumer(t *testing.T) {
	e := start(t, embedded.Config{})
	require.NoError(t, e.Bucket(limit(t, 20*time.Second)))
	ctx := limit(t, 60*time.Second)
	d, err := join(t, e, "a").Directory(ctx)
	require.NoError(t, err)
	m := &mirror{keys: map[string]string{}, changed: make(chan struct{}, 1)}
	t.Cleanup(d.Follow(m.change))
	_, err = d.Create(ctx, "name/one", []byte("1"), 0)
	require.NoError(t, err)
	m.wait(t, map[string]string{"name/one": "1"})

	nc, err := nats.Connect("", e.Options(embedded.DirectoryAccount, "")...)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	stream, err := js.Stream(ctx, "KV_tasklet-default")
	require.NoError(t, err)
	for paused := 0; paused == 0; { // one that was just replaced is not there any more
		require.NoError(t, ctx.Err())
		for info := range stream.ListConsumers(ctx).Info() {
			_, err := stream.PauseConsumer(ctx, info.Name, time.Now().Add(time.Hour))
			if !errors.Is(err, jetstream.ErrConsumerNotFound) {
				require.NoError(t, err)
				paused++
			}
		}
	}
	_, err = d.Create(ctx, "name/two", []byte("2"), 0)
	require.NoError(t, err)
	m.wait(t, map[string]string{"name/one": "1", "name/two": "2"})
}

// Off the loopback a client does not connect without TLS and credentials.
func TestInsecureClients(t *testing.T) {
	key, public := user(t)
	_, trusting := certificates(t)
	nkey := nats.Nkey(public, key.Sign)
	for _, c := range []struct {
		url     string
		options []nats.Option
	}{
		{"nats://192.0.2.1:4222", nil},
		{"192.0.2.1", nil},
		{"nats://192.0.2.1:4222", []nats.Option{nkey}},
		{"nats://192.0.2.1:4222", []nats.Option{nats.Secure(trusting)}},
		{"tls://192.0.2.1:4222", nil},
		{"tls://192.0.2.1:4222", []nats.Option{nkey, nats.Secure(insecureTLS())}},
		{"nats://127.0.0.1:4222,nats://192.0.2.1:4222", nil},
		{"nats://user:password@192.0.2.1:4222", nil},
		{"nats://localhost.example.com:4222", nil},
	} {
		_, err := natsnet.Connect(limit(t, time.Second), natsnet.Config{URL: c.url, Options: c.options, Node: "a"})
		assert.ErrorIs(t, err, natsnet.ErrInsecure, c.url)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	ctx := limit(t, 100*time.Millisecond)
	_, err = natsnet.Connect(ctx, natsnet.Config{URL: l.Addr().String(), Node: "a"})
	assert.ErrorIs(t, err, context.DeadlineExceeded, "a server that says nothing")
	_, err = natsnet.Connect(ctx, natsnet.Config{Node: "a.b"})
	assert.ErrorContains(t, err, `Node is "a.b"`)
}
