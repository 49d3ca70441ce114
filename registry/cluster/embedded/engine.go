package embedded

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/registry/cluster"
	"github.com/gotasklet/tasklet/registry/cluster/internal/natsnet"
)

// Accounts of the server.
const (
	framesAccount    = natsnet.FramesAccount
	directoryAccount = natsnet.DirectoryAccount
)

// startTime is how long a server may take until it accepts connections.
const startTime = 20 * time.Second

// Engine is a NATS server in this process. Use [Server] to get one. Methods may be called from any
// goroutine.
type Engine struct {
	config Config
	bad    error // what is wrong with the config
	log    *logger
	admin  string // public key of this process
	key    nkeys.KeyPair

	// Atomic: written by Start and Close, read by Check, which the server calls while it starts.
	accounts atomic.Pointer[server.Server]

	mu sync.Mutex // protects the following
	// Owned by mu.
	server *server.Server     // nil if it does not run
	dir    string             // to be removed at the end
	cancel context.CancelFunc // ends the goroutine of makeBucket; nil if there was none
}

// Server returns a server that is not started.
func Server(c Config) *Engine {
	e := &Engine{}
	e.config, e.bad = c.checked()
	e.log = &logger{f: e.config.Log}
	key, err := nkeys.CreateUser()
	if err == nil {
		e.key = key
		e.admin, err = key.PublicKey()
	}
	if err != nil {
		e.bad = errors.Join(e.bad, err)
	}
	return e
}

// Start starts the server, and returns when nodes can join by it, whether or not this process joins
// a node. It does nothing if the server runs. A seed only waits until it accepts connections: it
// makes the directory when there is a majority of seeds. Start blocks for as long as 40 s. Errors
// are all that is wrong with the Config, or why the server can't run: a port in use, a folder that
// is locked.
func (e *Engine) Start() error {
	if e.bad != nil {
		return e.bad
	}
	begun, err := e.run()
	if err != nil || !begun || len(e.config.Seeds) > 0 {
		return err
	}
	// Not under mu, which InProcessConn needs.
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	if err := e.bucket(ctx); err != nil {
		e.Close()
		return err
	}
	return nil
}

// run runs the server, and reports whether it did not run before.
func (e *Engine) run() (begun bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server != nil {
		return false, nil
	}
	opts, err := e.options()
	if err != nil {
		return false, err
	}
	s, err := server.NewServer(opts)
	if err != nil {
		e.removeDir()
		return false, fmt.Errorf("embedded: %w", err)
	}
	e.accounts.Store(s)
	e.log.forget()
	s.SetLoggerV2(e.log, false, false, false)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Start()
	}()
	fail := func(err error) (bool, error) {
		s.Shutdown()
		s.WaitForShutdown()
		e.removeDir()
		return false, fmt.Errorf("embedded: the server does not start: %w", errors.Join(err, e.log.fatal()))
	}
	for begin := time.Now(); !s.ReadyForConnections(50 * time.Millisecond); {
		if e.log.fatal() != nil {
			return fail(nil)
		}
		if time.Since(begin) > startTime {
			return fail(errors.New("it is not ready for connections"))
		}
	}
	<-done
	account, err := s.LookupAccount(directoryAccount)
	if err != nil {
		return fail(err)
	}
	if !account.JetStreamEnabled() {
		if err := account.EnableJetStream(nil, nil); err != nil {
			return fail(err)
		}
	}
	e.server = s
	if len(e.config.Seeds) > 0 {
		e.makeBucket()
	}
	return true, nil
}

// makeBucket makes the bucket when there is a majority of seeds. e.mu must be held.
func (e *Engine) makeBucket() {
	ctx, cancel := context.WithCancel(context.Background())
	e.cancel = cancel
	go func() { // Close does not wait for it: it needs mu to connect
		defer cancel()
		for ctx.Err() == nil && e.bucket(ctx) != nil {
			select { // it can't even connect
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
}

// options returns the options of the server.
func (e *Engine) options() (*server.Options, error) {
	c := e.config
	dir := c.Dir
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "tasklet-nats-"); err != nil {
			return nil, err
		}
		e.dir = dir
	}
	o := &server.Options{
		ServerName:                 "tasklet",
		NoSigs:                     true, // or it ends the process on SIGINT
		NoLog:                      true,
		JetStream:                  true,
		StoreDir:                   dir,
		SyncAlways:                 true, // what was acknowledged survives a power cut
		DontListen:                 true,
		AlwaysEnableNonce:          true,
		CustomClientAuthentication: e,
		Accounts:                   []*server.Account{server.NewAccount(framesAccount), server.NewAccount(directoryAccount)},
		PingInterval:               2 * time.Second,
		MaxPingsOut:                2,
		TLSConfig:                  c.TLS,
		TLSTimeout:                 5,
		AuthTimeout:                5, // as long as package cluster waits
	}
	if len(c.Seeds) > 0 {
		// Routing waits for the port of clients. Check lets nobody in there.
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	}
	if c.Listen != "" {
		o.DontListen = false
		o.Host, o.Port, _ = split(c.Listen)
		if o.Port == 0 {
			o.Port = server.RANDOM_PORT
		}
	}
	if len(c.Seeds) > 0 {
		o.ServerName = "tasklet-" + c.Self
		o.Cluster = server.ClusterOpts{
			Name: c.Prefix + "-" + c.Namespace, Username: "seed", Password: c.Secret, AuthTimeout: 5,
			TLSConfig: c.TLS, TLSTimeout: 5, NoAdvertise: true,
		}
		o.Cluster.Host, o.Cluster.Port, _ = split(c.Self)
		for _, seed := range c.Seeds {
			if seed != c.Self {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", User: url.UserPassword("seed", c.Secret), Host: seed})
			}
		}
	}
	return o, nil
}

// Close ends the server, and returns when it has ended. Clients of this process reconnect when it
// is started again.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return
	}
	if e.cancel != nil {
		e.cancel()
	}
	e.server.Shutdown()
	e.server.WaitForShutdown()
	e.server = nil
	e.removeDir()
}

func (e *Engine) removeDir() {
	if e.dir != "" {
		_ = os.RemoveAll(e.dir)
		e.dir = ""
	}
}

// URL returns where other processes connect: empty if they can't, or if the server does not run.
func (e *Engine) URL() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil || e.config.Listen == "" {
		return ""
	}
	scheme := "nats"
	if e.config.TLS != nil {
		scheme = "tls"
	}
	return scheme + "://" + e.server.Addr().String()
}

// InProcessConn implements nats.InProcessConnProvider: it connects with the server that runs now,
// since nats.go asks it again for each new connection.
func (e *Engine) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.server == nil {
		return nil, errors.New("embedded: the server does not run")
	}
	return e.server.InProcessConn()
}

// Connect implements [cluster.Connector]: it starts the server, if it does not run, and connects
// the node with it inside of the process. The server ends with the process, or by Close. Connect
// parks the tasklet for as long as 50 s; seeds wait so long for a majority.
func (e *Engine) Connect(t *actor.Tasklet, self cluster.Member) (cluster.Transport, cluster.Directory, error) {
	_, err := actor.Await(t, func(ctx context.Context) (struct{}, error) {
		if err := e.Start(); err != nil {
			return struct{}{}, err
		}
		ctx, cancel := context.WithTimeout(ctx, startTime)
		defer cancel()
		return struct{}{}, e.bucket(ctx)
	})
	if err != nil {
		return nil, nil, err
	}
	return cluster.NATSConfig{
		Options: e.connect(directoryAccount, self.Name), Prefix: e.config.Prefix, Namespace: e.config.Namespace,
	}.Connect(t, self)
}

// connect returns the options of a connection of this process, in one of the accounts, as a node or
// as what makes the bucket.
func (e *Engine) connect(account, node string) []nats.Option {
	return []nats.Option{
		nats.InProcessServer(e),
		nats.Name(account + "/" + node),
		nats.Nkey(e.admin, e.key.Sign),
	}
}

// Check implements server.Authentication: it decides who is let in and what that client may do.
// Only the server calls it.
func (e *Engine) Check(c server.ClientAuthentication) bool {
	opts := c.GetOpts()
	account, node, ok := parseName(opts.Name)
	admin := opts.Nkey == e.admin
	if !ok || e.config.Listen == "" && !admin {
		return false
	}
	if admin || e.config.Nodes != nil {
		if !signed(opts, c.GetNonce()) || !admin && e.config.Nodes[node] != opts.Nkey {
			return false
		}
	}
	s := e.accounts.Load()
	if s == nil {
		return false
	}
	a, err := s.LookupAccount(account)
	if err != nil {
		return false
	}
	user := &server.User{Username: node, Account: a}
	if node != "" {
		user.Permissions = e.config.permissions(account, node)
	} else if !admin {
		return false
	}
	c.RegisterUser(user)
	return true
}

// parseName splits the name that a client of package cluster gives its connection.
func parseName(name string) (account, node string, ok bool) {
	for _, account := range [...]string{framesAccount, directoryAccount} {
		if len(name) > len(account) && name[:len(account)+1] == account+"/" {
			node = name[len(account)+1:]
			return account, node, node == "" || natsnet.ValidToken(node)
		}
	}
	return "", "", false
}

// signed reports whether a client has the key that it says it has.
func signed(o *server.ClientOpts, nonce []byte) bool {
	sig, err := base64.RawURLEncoding.DecodeString(o.Sig)
	if err != nil || len(nonce) == 0 {
		return false
	}
	key, err := nkeys.FromPublicKey(o.Nkey)
	return err == nil && key.Verify(nonce, sig) == nil
}

// permissions returns what a node may do in an account.
func (c Config) permissions(account, node string) *server.Permissions {
	allow := func(subjects ...string) *server.SubjectPermission {
		return &server.SubjectPermission{Allow: subjects}
	}
	if account == framesAccount {
		base := c.Prefix + "." + c.Namespace + ".n."
		return &server.Permissions{
			Publish:   allow(base + "*." + node),
			Subscribe: allow(base + node + ".*"),
		}
	}
	bucket := natsnet.BucketOf(c.Prefix, c.Namespace)
	api, stream, keys := "$JS.API.", "KV_"+bucket, "$KV."+bucket+"."
	return &server.Permissions{
		Publish: allow(
			keys+"node."+node, keys+"name.>", keys+"groups.>",
			api+"STREAM.INFO."+stream,
			api+"STREAM.MSG.GET."+stream,
			api+"CONSUMER.CREATE."+stream+".>",
			api+"CONSUMER.INFO."+stream+".>",
			api+"CONSUMER.DELETE."+stream+".>",
			api+"CONSUMER.MSG.NEXT."+stream+".>",
		),
		Subscribe: allow("_INBOX." + node + ".>"),
	}
}

// bucket makes the bucket of the directory, unless it is there.
func (e *Engine) bucket(ctx context.Context) error {
	nc, err := nats.Connect("", append(e.connect(directoryAccount, ""), nats.Timeout(startTime))...)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	name := natsnet.BucketOf(e.config.Prefix, e.config.Namespace)
	for {
		// A request that comes before there is a leader is never answered.
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := natsnet.MakeBucket(try, js, name, max(1, len(e.config.Seeds)))
		cancel()
		if err == nil {
			return nil
		}
		select { // the other seeds may not be there yet
		case <-ctx.Done():
			return fmt.Errorf("embedded: no majority of seeds makes the directory: %w", errors.Join(ctx.Err(), err))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// logger hands on what the server logs. It never ends the process.
type logger struct {
	f func(slog.Level, string)

	mu sync.Mutex // protects the following
	// Owned by mu.
	last error // the last fatal one
}

func (l *logger) say(level slog.Level, format string, args []any) {
	if l.f != nil {
		l.f(level, fmt.Sprintf(format, args...))
	}
}

func (l *logger) Noticef(format string, args ...any) { l.say(slog.LevelInfo, format, args) }
func (l *logger) Warnf(format string, args ...any)   { l.say(slog.LevelWarn, format, args) }
func (l *logger) Errorf(format string, args ...any)  { l.say(slog.LevelError, format, args) }
func (l *logger) Debugf(format string, args ...any)  { l.say(slog.LevelDebug, format, args) }
func (l *logger) Tracef(format string, args ...any)  { l.say(slog.LevelDebug, format, args) }

// Fatalf keeps the reason for Start.
func (l *logger) Fatalf(format string, args ...any) {
	l.say(slog.LevelError, format, args)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = fmt.Errorf(format, args...)
}

func (l *logger) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *logger) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = nil
}
