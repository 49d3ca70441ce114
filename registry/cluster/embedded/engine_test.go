package embedded_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/embedded"
)

func start(t *testing.T, c embedded.Config) *embedded.Engine {
	t.Helper()
	e := embedded.Server(c)
	require.NoError(t, e.Start())
	t.Cleanup(e.Close)
	return e
}

// reserve returns an address of the loopback whose port nobody else gets for a minute: its last
// connection was ended by the listener, which the kernel remembers. It gives such a port to those
// only who ask for it.
func reserve(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	defer client.Close()
	server, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, server.Close())
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, io.EOF)
	return l.Addr().String()
}

func user(t *testing.T) (nkeys.KeyPair, string) {
	t.Helper()
	key, err := nkeys.CreateUser()
	require.NoError(t, err)
	public, err := key.PublicKey()
	require.NoError(t, err)
	return key, public
}

// certificates returns the configuration of a server and of a client that trusts it.
func certificates(t *testing.T) (serverSide, clientSide *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return &tls.Config{Certificates: []tls.Certificate{own}, RootCAs: pool, ClientCAs: pool},
		&tls.Config{RootCAs: pool}
}

// A config that would let in who must not be let in is an error, which says what is wrong with it.
func TestRefusedConfigs(t *testing.T) {
	_, public := user(t)
	secure, _ := certificates(t)
	three := []string{"127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"}
	away := []string{"10.0.0.1:7001", "10.0.0.2:7001", "10.0.0.3:7001"}
	nodes := map[string]string{"a": public}
	for _, c := range []struct {
		config embedded.Config
		says   []string
	}{
		{embedded.Config{Listen: "10.0.0.1:4222"}, []string{"Listen is 10.0.0.1:4222, off the loopback, and there is no TLS", "no Nodes with credentials"}},
		{embedded.Config{Listen: "10.0.0.1:4222", Nodes: nodes}, []string{"no TLS"}},
		{embedded.Config{Listen: "10.0.0.1:4222", TLS: secure}, []string{"no Nodes"}},
		{embedded.Config{Listen: ":4222"}, []string{"no TLS"}},
		{embedded.Config{Listen: "0.0.0.0:4222"}, []string{"no TLS"}},
		{embedded.Config{Listen: "[::]:4222"}, []string{"no TLS"}},
		{embedded.Config{Listen: "localhost.example.com:4222"}, []string{"no TLS"}},
		{embedded.Config{Listen: "127.0.0.1"}, []string{"missing port"}},
		{embedded.Config{Listen: "127.0.0.1:70000"}, []string{"is no number up to 65535"}},
		{embedded.Config{Seeds: away, Self: away[0], Secret: strings.Repeat("x", 16), Dir: "d"}, []string{"Seeds[0] is 10.0.0.1:7001, off the loopback"}},
		{embedded.Config{Seeds: three[:2], Self: three[0]}, []string{"Seeds has 2 addresses, not 3 or 5"}},
		{embedded.Config{Seeds: three, Self: "x:1"}, []string{"none of Seeds", "Secret has 0 bytes", "Dir is empty"}},
		{embedded.Config{Seeds: []string{three[0], three[0], three[1]}, Self: three[0]}, []string{"twice"}},
		{embedded.Config{Self: three[0]}, []string{"there are no Seeds"}},
		{embedded.Config{Prefix: "a.b"}, []string{"Prefix is \"a.b\""}},
		{embedded.Config{Namespace: ">"}, []string{"Namespace"}},
		{embedded.Config{Nodes: map[string]string{"a.*": public}}, []string{`Nodes has "a.*"`}},
		{embedded.Config{Nodes: map[string]string{"a": "SUxxx"}}, []string{"no public key"}},
		{embedded.Config{Nodes: map[string]string{"a": public, "b": public}}, []string{"one key for a and b"}},
		{embedded.Config{TLS: &tls.Config{}}, []string{"no certificate"}},
		{embedded.Config{TLS: &tls.Config{Certificates: secure.Certificates, InsecureSkipVerify: true}}, []string{"does not verify"}},
	} {
		err := embedded.Server(c.config).Start()
		for _, says := range c.says {
			assert.ErrorContains(t, err, says)
		}
	}
	e := start(t, embedded.Config{Listen: "0.0.0.0:0", Insecure: true})
	assert.NotEmpty(t, e.URL())
}

// as returns the options of a node that connects by an address.
func as(account, node string, key nkeys.KeyPair, more ...nats.Option) []nats.Option {
	o := append([]nats.Option{nats.Name(account + "/" + node),
		nats.CustomInboxPrefix("_INBOX." + cmp.Or(strings.Trim(node, "*"), "x")), nats.Timeout(20 * time.Second)}, more...)
	if key != nil {
		public, _ := key.PublicKey()
		o = append(o, nats.Nkey(public, key.Sign))
	}
	return o
}

// Every way in that is refused.
func TestRefusedConnections(t *testing.T) {
	a, publicA := user(t)
	b, publicB := user(t)
	stranger, _ := user(t)
	secure, trusting := certificates(t)
	e := start(t, embedded.Config{
		Listen: "127.0.0.1:0", TLS: secure, Nodes: map[string]string{"a": publicA, "b": publicB},
	})
	tlsOption := nats.Secure(trusting)
	frames, directory := embedded.FramesAccount, embedded.DirectoryAccount

	nc, err := nats.Connect(e.URL(), as(frames, "a", a, tlsOption)...)
	require.NoError(t, err)
	nc.Close()

	for what, options := range map[string][]nats.Option{
		"no credentials":                 as(frames, "a", nil, tlsOption),
		"the key of a stranger":          as(frames, "a", stranger, tlsOption),
		"the key of another node":        as(frames, "a", b, tlsOption),
		"no node":                        as(frames, "", a, tlsOption),
		"an unknown node":                as(frames, "c", a, tlsOption),
		"a name that is a wildcard":      as(frames, "*", a, tlsOption),
		"another account":                as("$SYS", "a", a, tlsOption),
		"no name":                        {tlsOption},
		"a user and a password":          append(as(frames, "a", nil, tlsOption), nats.UserInfo("a", "a")),
		"a token":                        append(as(directory, "a", nil, tlsOption), nats.Token("a")),
		"a key without its seed":         append(as(frames, "a", nil, tlsOption), nats.Nkey(publicA, func(n []byte) ([]byte, error) { return stranger.Sign(n) })),
		"the signature of another nonce": append(as(frames, "a", nil, tlsOption), nats.Nkey(publicA, func([]byte) ([]byte, error) { return a.Sign([]byte("nonce")) })),
	} {
		nc, err := nats.Connect(e.URL(), options...)
		if !assert.ErrorIs(t, err, nats.ErrAuthorization, what) {
			nc.Close()
		}
	}
	_, err = nats.Connect(strings.Replace(e.URL(), "tls:", "nats:", 1), as(frames, "a", a)...)
	assert.Error(t, err, "a client that does not trust the certificate")

	// Without TLS nothing is read of a client.
	conn, err := net.Dial("tcp", strings.TrimPrefix(e.URL(), "tls://"))
	require.NoError(t, err)
	defer conn.Close()
	_, _ = conn.Write([]byte("CONNECT {\"verbose\":true}\r\nPING\r\n"))
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var all strings.Builder
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		all.Write(buf[:n])
		if err != nil {
			break
		}
	}
	assert.NotContains(t, all.String(), "+OK")
	assert.NotContains(t, all.String(), "PONG")
}

// violations collects what the server refuses a client.
type violations struct {
	mu  sync.Mutex
	all []string
}

func (v *violations) option() nats.Option {
	return nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.all = append(v.all, err.Error())
	})
}

func (v *violations) take(t *testing.T, nc *nats.Conn) string {
	t.Helper()
	require.NoError(t, nc.Flush())
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		v.mu.Lock()
		s := strings.Join(v.all, "\n")
		v.all = nil
		v.mu.Unlock()
		if s != "" {
			return s
		}
		require.NoError(t, nc.Flush())
	}
	return ""
}

// The server enforces who speaks: a node sends in its own name only, reads what is for it only, and
// writes no session but its own.
func TestNodeSpeaksForItselfOnly(t *testing.T) {
	a, publicA := user(t)
	b, publicB := user(t)
	e := start(t, embedded.Config{Listen: "127.0.0.1:0", Nodes: map[string]string{"a": publicA, "b": publicB}})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, e.Bucket(ctx))
	require.NoError(t, e.Bucket(ctx), "it is there")
	frames, directory := embedded.FramesAccount, embedded.DirectoryAccount
	var refused violations
	connect := func(account, node string, key nkeys.KeyPair) *nats.Conn {
		nc, err := nats.Connect(e.URL(), as(account, node, key, refused.option())...)
		require.NoError(t, err)
		t.Cleanup(nc.Close)
		return nc
	}
	na, nb := connect(frames, "a", a), connect(frames, "b", b)
	got, err := nb.SubscribeSync("tasklet.default.n.b.*")
	require.NoError(t, err)
	require.NoError(t, nb.Flush())
	require.NoError(t, na.Publish("tasklet.default.n.b.a", []byte("hello")))
	m, err := got.NextMsg(20 * time.Second)
	require.NoError(t, err)
	assert.Equal(t, "tasklet.default.n.b.a", m.Subject)

	for _, subject := range []string{
		"tasklet.default.n.b.b", "tasklet.default.n.b.c", "tasklet.other.n.b.a", "tasklet.default.n.b.a.b",
		"anything", "$SYS.REQ.SERVER.PING", "$JS.API.INFO", "_INBOX.b.x", "$KV.tasklet-default.node.b",
	} {
		require.NoError(t, na.Publish(subject, nil))
		assert.Contains(t, refused.take(t, na), "Permissions Violation for Publish to", subject)
	}
	for _, subject := range []string{"tasklet.default.n.b.*", "tasklet.default.n.*.*", "tasklet.>", ">", "_INBOX.>", "_INBOX.b.>"} {
		_, err := na.SubscribeSync(subject)
		require.NoError(t, err)
		assert.Contains(t, refused.take(t, na), "Permissions Violation for Subscription to", subject)
	}

	da := connect(directory, "a", a)
	js, err := jetstream.New(da)
	require.NoError(t, err)
	for _, subject := range []string{"$KV.tasklet-default.node.a", "$KV.tasklet-default.name.account/42", "$KV.tasklet-default.groups.b"} {
		_, err = js.Publish(ctx, subject, []byte("x"))
		require.NoError(t, err, subject)
	}
	for _, subject := range []string{
		"$KV.tasklet-default.node.b", "$KV.tasklet-default.other", "$KV.other.node.a",
		"$JS.API.STREAM.DELETE.KV_tasklet-default", "$JS.API.STREAM.PURGE.KV_tasklet-default",
		"$JS.API.STREAM.UPDATE.KV_tasklet-default", "$JS.API.STREAM.CREATE.x", "$JS.API.STREAM.MSG.DELETE.KV_tasklet-default",
		"$JS.API.STREAM.LIST", "$JS.API.CONSUMER.CREATE.other.x", "tasklet.default.n.b.a", "$JS.API.STREAM.SNAPSHOT.KV_tasklet-default",
		"$JS.API.META.LEADER.STEPDOWN",
	} {
		require.NoError(t, da.Publish(subject, []byte("{}")))
		assert.Contains(t, refused.take(t, da), "Permissions Violation for Publish to", subject)
	}
	_, err = da.SubscribeSync("$KV.>")
	require.NoError(t, err)
	assert.Contains(t, refused.take(t, da), "Permissions Violation for Subscription")

	// The server does not speak for a node either: what a consumer delivers does not reach frames.
	stream := "KV_tasklet-default"
	_, _ = js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{})
	req := `{"stream_name":"KV_tasklet-default","config":{"name":"forge","deliver_subject":"tasklet.default.n.b.c","deliver_policy":"all","ack_policy":"none"}}`
	answer, err := da.Request("$JS.API.CONSUMER.CREATE."+stream+".forge", []byte(req), 20*time.Second)
	require.NoError(t, err)
	assert.NotContains(t, string(answer.Data), `"error"`, "the server lets it: that is why there are two accounts")
	require.NoError(t, na.Publish("tasklet.default.n.b.a", []byte("last")))
	m, err = got.NextMsg(20 * time.Second)
	require.NoError(t, err)
	assert.Equal(t, "last", string(m.Data), "and nothing before it")
	// Nor does it write sessions.
	req = strings.Replace(strings.Replace(req, "forge", "cycle", 1), "tasklet.default.n.b.c", "$KV.tasklet-default.node.b", 1)
	answer, err = da.Request("$JS.API.CONSUMER.CREATE."+stream+".cycle", []byte(req), 20*time.Second)
	require.NoError(t, err)
	assert.Contains(t, string(answer.Data), "cycle")
}

// Without Listen there is no way in but for this process; a server that is started again has what
// it had, and clients of the process find it.
func TestRestart(t *testing.T) {
	var mu sync.Mutex
	var logged []string
	e := embedded.Server(embedded.Config{Dir: t.TempDir(), Log: func(level slog.Level, text string) {
		mu.Lock()
		defer mu.Unlock()
		logged = append(logged, fmt.Sprint(level, " ", text))
	}})
	require.NoError(t, e.Start())
	require.NoError(t, e.Start(), "it runs")
	t.Cleanup(e.Close)
	assert.Empty(t, e.URL())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	require.NoError(t, e.Bucket(ctx))
	again := make(chan struct{}, 10)
	nc, err := nats.Connect("", append(e.Options(embedded.DirectoryAccount, ""), nats.MaxReconnects(-1),
		nats.ReconnectWait(10*time.Millisecond), nats.ReconnectHandler(func(*nats.Conn) { again <- struct{}{} }))...)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	kv, err := js.KeyValue(ctx, "tasklet-default")
	require.NoError(t, err)
	_, err = kv.PutString(ctx, "k", "v")
	require.NoError(t, err)

	e.Close()
	e.Close()
	require.NoError(t, e.Start())
	select {
	case <-again:
	case <-time.After(20 * time.Second):
		t.Fatal("the client does not find the new server")
	}
	v, err := kv.Get(ctx, "k")
	require.NoError(t, err)
	assert.Equal(t, "v", string(v.Value()))
	mu.Lock()
	defer mu.Unlock()
	assert.Contains(t, strings.Join(logged, "\n"), "INFO Server is ready")
}

func TestPortInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	e := embedded.Server(embedded.Config{Listen: l.Addr().String()})
	err = e.Start()
	assert.ErrorContains(t, err, "address already in use", "and the process goes on")
	_, err = e.InProcessConn()
	assert.Error(t, err)
}

// Three seeds find each other, with TLS; one that does not know the secret does not get in.
func TestSeeds(t *testing.T) {
	var seeds []string
	for range 3 {
		seeds = append(seeds, reserve(t))
	}
	secure, trusting := certificates(t)
	config := func(self int, secret string) embedded.Config {
		return embedded.Config{Dir: t.TempDir(), Seeds: seeds, Self: seeds[self], Secret: secret, TLS: secure}
	}
	secret := strings.Repeat("s", 16)
	e := start(t, config(0, secret))
	_, err := nats.Connect("tls://"+e.ClientAddr(), as(embedded.FramesAccount, "a", nil, nats.Secure(trusting))...)
	assert.ErrorIs(t, err, nats.ErrAuthorization, "there is a port for clients, but not for these")
	wrong := embedded.Server(config(1, strings.Repeat("x", 16)))
	require.NoError(t, wrong.Start())
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	assert.Error(t, e.Bucket(ctx), "there is no majority")
	wrong.Close()

	start(t, config(1, secret))
	start(t, config(2, secret))
	ctx, cancel = context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	require.NoError(t, e.Bucket(ctx))
	nc, err := nats.Connect("", e.Options(embedded.DirectoryAccount, "")...)
	require.NoError(t, err)
	defer nc.Close()
	js, err := jetstream.New(nc)
	require.NoError(t, err)
	var s jetstream.Stream
	for err = jetstream.ErrStreamNotFound; errors.Is(err, jetstream.ErrStreamNotFound); {
		// If the seeds have just chosen a new leader, it may answer before it knows all.
		s, err = js.Stream(ctx, "KV_tasklet-default")
	}
	require.NoError(t, err)
	assert.Equal(t, 3, s.CachedInfo().Config.Replicas)
}

func insecureTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }
