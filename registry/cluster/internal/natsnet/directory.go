package natsnet

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of a Directory. Any other error means that it is not known whether the call has had an
// effect, or will have.
var (
	// ErrExists is returned by Create if the key is there.
	ErrExists = errors.New("cluster: key exists")
	// ErrChanged is returned by Update and Delete if the key has another token, or is not there.
	ErrChanged = errors.New("cluster: key has changed")
	// ErrNoKey is returned by Get.
	ErrNoKey = errors.New("cluster: no such key")
)

// MarkerTTL is how long the stream remembers that a key has ended or was deleted. A node
// that was cut off for longer reads the whole directory again.
const MarkerTTL = time.Hour

// Token is the number of a change.
type Token struct{ Era, Revision uint64 }

// Change is a change of the directory.
type Change struct {
	Key   string
	Value []byte
	Token Token
	Gone  bool
}

// Directory is a bucket of JetStream. Its methods block; they may be called on any goroutine.
type Directory struct {
	net    *Net
	js     jetstream.JetStream
	bucket string
	stream string
	prefix string        // of the subjects of keys
	era    atomic.Uint64 // when the stream was made; atomic: look writes it, all read it
	// acked is the greatest number of a message that was written here. Atomic: put and look write
	// it, and followers read it.
	acked atomic.Uint64
}

// Directory returns the directory of the cluster, and makes it if it is not there and this node
// may.
func (n *Net) Directory(ctx context.Context) (*Directory, error) {
	js, err := jetstream.New(n.dir)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	bucket := BucketOf(n.config.Prefix, n.config.Namespace)
	d := &Directory{net: n, js: js, bucket: bucket, stream: "KV_" + bucket, prefix: "$KV." + bucket + "."}
	for {
		// A request that comes before there is a leader is never answered.
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := d.look(try)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			if err = MakeBucket(try, js, bucket, n.config.Replicas); err == nil {
				err = d.look(try)
			} else {
				err = fmt.Errorf("bucket %s is not there, and this node can't make it: %w", bucket, err)
			}
		}
		cancel()
		if err == nil {
			return d, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("cluster: no directory: %w: %w", context.Cause(ctx), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// MakeBucket makes the bucket of a cluster, unless it is there.
func MakeBucket(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) error {
	_, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: bucket, History: 1, Replicas: replicas, LimitMarkerTTL: MarkerTTL,
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	return err
}

// look finds out when the stream was made.
func (d *Directory) look(ctx context.Context) error {
	s, err := d.js.Stream(ctx, d.stream)
	if err != nil {
		return err
	}
	if era := uint64(s.CachedInfo().Created.UnixNano()); d.era.Swap(era) != era {
		d.acked.Store(0)
	}
	return nil
}

// Create adds a key that is not there. If ttl is not 0 the key ends by itself after that time, in
// whole seconds, unless it is updated.
func (d *Directory) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (Token, error) {
	subject, err := d.subject(key)
	if err != nil {
		return Token{}, err
	}
	last := uint64(0)
	for range 5 {
		token, err := d.put(ctx, &nats.Msg{Subject: subject, Data: value}, last, ttl)
		if !errors.Is(err, ErrChanged) {
			return token, err
		}
		// There is a message: the key, or a mark that it has ended.
		_, token, gone, err := d.read(ctx, subject)
		switch {
		case errors.Is(err, ErrNoKey):
			last = 0
		case err != nil:
			return Token{}, err
		case !gone:
			return Token{}, ErrExists
		default:
			last = token.Revision
		}
	}
	return Token{}, ErrExists // others are quicker all the time
}

// Update replaces the value of a key that has the token, and begins its time anew.
func (d *Directory) Update(ctx context.Context, key string, value []byte, token Token, ttl time.Duration) (Token, error) {
	subject, err := d.subject(key)
	if err != nil {
		return Token{}, err
	}
	if token.Era != d.era.Load() || token.Revision == 0 {
		return Token{}, ErrChanged
	}
	return d.put(ctx, &nats.Msg{Subject: subject, Data: value}, token.Revision, ttl)
}

// Delete removes a key that has the token.
func (d *Directory) Delete(ctx context.Context, key string, token Token) error {
	subject, err := d.subject(key)
	if err != nil {
		return err
	}
	if token.Era != d.era.Load() || token.Revision == 0 {
		return ErrChanged
	}
	m := &nats.Msg{Subject: subject, Header: nats.Header{"KV-Operation": []string{"DEL"}}}
	_, err = d.put(ctx, m, token.Revision, MarkerTTL)
	return err
}

// put publishes a message of a key whose last message has to be the one with the number last.
func (d *Directory) put(ctx context.Context, m *nats.Msg, last uint64, ttl time.Duration) (Token, error) {
	options := []jetstream.PublishOpt{
		jetstream.WithExpectStream(d.stream),
		jetstream.WithExpectLastSequencePerSubject(last),
	}
	if ttl > 0 {
		// The server would cut it to whole seconds.
		options = append(options, jetstream.WithMsgTTL((ttl + time.Second - 1).Truncate(time.Second)))
	}
	ack, err := d.js.PublishMsg(ctx, m, options...)
	var api *jetstream.APIError
	switch {
	case err == nil:
		for old := d.acked.Load(); old < ack.Sequence && !d.acked.CompareAndSwap(old, ack.Sequence); {
			old = d.acked.Load()
		}
		return Token{d.era.Load(), ack.Sequence}, nil
	case errors.As(err, &api) && api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		return Token{}, ErrChanged
	}
	return Token{}, fmt.Errorf("cluster: directory: %w", err)
}

// Get reads the truth, from the leader of the stream.
func (d *Directory) Get(ctx context.Context, key string) (value []byte, token Token, err error) {
	subject, err := d.subject(key)
	if err != nil {
		return nil, Token{}, err
	}
	value, token, gone, err := d.read(ctx, subject)
	if err == nil && gone {
		return nil, Token{}, ErrNoKey
	}
	return value, token, err
}

// read reads the last message of a subject from the leader; a replica that answers what nats.go
// asks by itself may be behind.
func (d *Directory) read(ctx context.Context, subject string) (value []byte, token Token, gone bool, err error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return nil, Token{}, false, err
	}
	m, err := d.net.dir.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+d.stream, request)
	if err != nil {
		return nil, Token{}, false, fmt.Errorf("cluster: directory: %w", err)
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Seq    uint64 `json:"seq"`
			Header string `json:"hdrs"`
			Data   []byte `json:"data"`
		} `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return nil, Token{}, false, fmt.Errorf("cluster: directory: %w", err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return nil, Token{}, false, ErrNoKey
		}
		return nil, Token{}, false, fmt.Errorf("cluster: directory: %w", answer.Error)
	}
	header, err := parseHeader(answer.Message.Header)
	if err != nil {
		return nil, Token{}, false, fmt.Errorf("cluster: directory: %w", err)
	}
	return answer.Message.Data, Token{d.era.Load(), answer.Message.Seq}, isGone(header), nil
}

// parseHeader reads the header of a message as the API of JetStream has it.
func parseHeader(encoded string) (nats.Header, error) {
	if encoded == "" {
		return nil, nil
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, err
	}
	_, rest, _ := strings.Cut(string(raw), "\r\n") // NATS/1.0
	header, err := textproto.NewReader(bufio.NewReader(strings.NewReader(rest))).ReadMIMEHeader()
	if err != nil {
		return nil, err
	}
	h := nats.Header{}
	for name, values := range header {
		for _, v := range values {
			h.Add(name, v)
		}
	}
	return h, nil
}

// isGone reports whether a message says that its key is not there any more: it was deleted, or its
// time is over.
func isGone(h nats.Header) bool {
	for name, values := range h {
		switch {
		case strings.EqualFold(name, "KV-Operation") && len(values) > 0 && values[0] != "PUT",
			strings.EqualFold(name, "Nats-Marker-Reason"):
			return true
		}
	}
	return false
}

// Follow calls f for every key that is there, and then for every change, in order, until stop.
// After a cut it may skip changes, but not the last one of a key. f is called on one goroutine at a
// time.
func (d *Directory) Follow(f func(Change)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	w := &follower{d: d, f: f, ctx: ctx, wake: make(chan struct{}, 1), known: map[string]Token{}}
	remove := d.net.follow.add(func() {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	})
	go w.run()
	return func() {
		remove()
		cancel()
	}
}

// follower follows a directory by one consumer after the other.
type follower struct {
	d    *Directory
	f    func(Change)
	ctx  context.Context
	wake chan struct{} // the connection is there again, or a consumer has missed its heartbeat
	at   atomic.Uint64 // the number of the last message; atomic: read by watch

	// Owned by the goroutine of run.
	known map[string]Token // all keys that are there
	last  Token            // of the last change
	heard time.Time        // when all was well
}

// run makes a consumer anew each time that something is wrong. An ordered consumer of nats.go would
// do that too, but with pauses of up to 10 s in which it can't be stopped.
func (w *follower) run() {
	for wait := time.Duration(0); w.ctx.Err() == nil && !w.d.net.follow.closed(); wait = min(2*wait+50*time.Millisecond, time.Second) {
		if wait > 0 {
			select {
			case <-w.ctx.Done():
			case <-w.wake:
			case <-time.After(wait):
			}
		}
		if w.once() {
			wait = 0
		}
	}
}

// once follows by one consumer until that does not do any more. It reports whether it did at all.
func (w *follower) once() bool {
	ctx, cancel := context.WithTimeout(w.ctx, 3*time.Second)
	defer cancel()
	select {
	case <-w.wake:
	default:
	}
	if w.d.look(ctx) != nil {
		return false
	}
	era := w.d.era.Load()
	config := jetstream.ConsumerConfig{
		FilterSubject:     w.d.prefix + ">",
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       w.last.Revision + 1,
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: time.Minute,
		Replicas:          1,
		MemoryStorage:     true,
	}
	fresh := w.last.Era != era || time.Since(w.heard) > MarkerTTL/2
	if fresh {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverLastPerSubjectPolicy, 0
	}
	consumer, err := w.d.js.CreateConsumer(ctx, w.d.stream, config)
	if err != nil {
		return false
	}
	info := consumer.CachedInfo()
	defer func() { go w.d.remove(info.Name) }()
	messages, err := consumer.Messages(jetstream.PullHeartbeat(time.Second), jetstream.PullExpiry(5*time.Second),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return false
	}
	over := make(chan struct{})
	defer close(over)
	w.at.Store(0)
	if !fresh {
		w.at.Store(w.last.Revision)
	}
	go func() {
		w.watch(over)
		messages.Stop()
	}()
	var seen map[string]Token // since the begin, while it is read from there
	if fresh {
		seen = map[string]Token{}
		if info.NumPending == 0 && info.Delivered.Consumer == 0 {
			w.settle(seen, era)
			seen = nil
		}
	}
	for n := uint64(1); ; n++ {
		m, err := messages.Next()
		if err != nil || w.ctx.Err() != nil {
			return true
		}
		meta, err := m.Metadata()
		if err != nil || meta.Sequence.Consumer != n { // something was lost on the way
			return true
		}
		w.heard = time.Now()
		token := Token{era, meta.Sequence.Stream}
		w.at.Store(token.Revision)
		if !fresh && token.Revision <= w.last.Revision {
			continue // from a replica that is behind
		}
		if key, ok := decodeKey(strings.TrimPrefix(m.Subject(), w.d.prefix)); ok {
			w.change(Change{Key: key, Value: m.Data(), Token: token, Gone: isGone(m.Headers())})
			if seen != nil {
				seen[key] = token
			}
		}
		w.last = token
		if seen != nil && meta.NumPending == 0 {
			w.settle(seen, era)
			seen = nil
		}
	}
}

// watch returns when a consumer is to be made anew: the connection was lost, or what this node has
// written does not come. A consumer is on one of the servers, whose replica may be behind for long
// after servers were killed, and its heartbeats go on.
func (w *follower) watch(over <-chan struct{}) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	behind := 0
	for due := uint64(0); ; due = w.d.acked.Load() {
		select {
		case <-w.ctx.Done():
			return
		case <-w.wake:
			return
		case <-over:
			return
		case <-tick.C:
		}
		if behind++; w.at.Load() >= due {
			behind = 0
		}
		if behind == 2 {
			return
		}
	}
}

// remove removes a consumer. What does not succeed the server does after a while.
func (d *Directory) remove(consumer string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = d.js.DeleteConsumer(ctx, d.stream, consumer)
}

// change tells of a change, unless it is known.
func (w *follower) change(c Change) {
	has, there := w.known[c.Key]
	if there && has == c.Token {
		return
	}
	if c.Gone {
		if !there {
			return
		}
		delete(w.known, c.Key)
		c.Value = nil
	} else {
		w.known[c.Key] = c.Token
	}
	w.f(c)
}

// settle ends the keys that were not seen when the stream was read from its begin.
func (w *follower) settle(seen map[string]Token, era uint64) {
	for key, token := range w.known {
		if _, there := seen[key]; !there {
			delete(w.known, key)
			w.f(Change{Key: key, Token: Token{era, token.Revision}, Gone: true})
		}
	}
	w.heard, w.last.Era = time.Now(), era
}

// subject returns the subject of a key.
func (d *Directory) subject(key string) (string, error) {
	s, err := encodeKey(key)
	return d.prefix + s, err
}
