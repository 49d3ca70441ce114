package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/supervisor"
)

const (
	workers = 8
	items   = 200 // the number of different items
)

// The messages.
type (
	order struct {
		id, item int
	}
	// priceQuestion goes to the cache.
	priceQuestion struct {
		item  int
		reply actor.Reply[int]
	}
	// query goes to the connection. It stores an order, or without one looks up a price.
	query struct {
		order, item int
		reply       actor.Reply[int]
	}
	// mail tells a customer that an order is done.
	mail struct{ order int }
)

// shop is the state that the parts of the shop share. They run on one scheduler, one at a time, so
// it needs no lock.
type shop struct {
	options
	draw  *rand.Rand
	books books
	took  time.Duration

	// Addresses stay the same when their tasklets are restarted, so all parts may know them from
	// the start.
	conn    actor.Ref[query]
	cache   actor.Ref[priceQuestion]
	mailer  actor.Ref[mail]
	workers [workers]actor.Ref[order]

	restarts map[string]int // by path
	// orders left in the mailboxes of workers that ended permanently, by events
	unread int
}

func newShop(o options) *shop {
	s := &shop{
		options:  o,
		draw:     rand.New(rand.NewPCG(o.seed, 7)),
		conn:     actor.NewRef[query](actor.MailboxLen(64)),
		cache:    actor.NewRef[priceQuestion](actor.MailboxLen(64)),
		mailer:   actor.NewRef[mail](actor.MailboxLen(64)),
		restarts: make(map[string]int),
	}
	for i := range s.workers {
		s.workers[i] = actor.NewRef[order](actor.MailboxLen(16))
	}
	s.books.onSettled = o.onSettled
	return s
}

// spec returns the tree.
func (s *shop) spec() supervisor.Spec {
	var staff []supervisor.Child
	for i, ref := range s.workers {
		staff = append(staff, supervisor.Child{
			ID: fmt.Sprint("worker-", i+1), Body: actor.ReceiverInitBody(ref, s.worker), Shutdown: 100 * time.Millisecond,
		})
	}
	return supervisor.Spec{
		Name: "shop", Intensity: 30, Period: 10 * time.Second, LogEvery: time.Second,
		Children: []supervisor.Child{
			{ID: "db", Body: supervisor.Body(supervisor.Spec{
				Strategy: supervisor.RestForOne, Intensity: 20, Period: time.Second,
				Children: []supervisor.Child{
					{ID: "conn", Body: actor.ReceiverInitBody(s.conn, s.connect)},
					{ID: "cache", Body: actor.ReceiverInitBody(s.cache, s.newCache)},
				},
			})},
			{ID: "orders", Body: supervisor.Body(supervisor.Spec{Intensity: 200, Period: time.Second, Children: staff})},
			{ID: "mailer", Body: actor.ReceiverInitBody(s.mailer, s.newMailer)},
		},
	}
}

// crashes panics with probability p.
func (s *shop) crashes(p float64, what string) {
	if s.draw.Float64() < p {
		panic(what)
	}
}

// connect is the init of the connection.
func (s *shop) connect(t *actor.Tasklet) (func(*actor.Tasklet, query) error, error) {
	t.Sleep(5 * time.Millisecond) // a handshake, during which no query is served
	return func(t *actor.Tasklet, q query) error {
		s.crashes(s.crash/20, "connection reset")
		if q.order != 0 {
			return answer(t, q.reply, q.order)
		}
		t.Sleep(2 * time.Millisecond)
		return answer(t, q.reply, 100+q.item)
	}, nil
}

// answer replies. If no worker waits for the reply any more, because it has crashed, that is no
// failure of the tasklet that answers.
func answer(t *actor.Tasklet, r actor.Reply[int], v int) error {
	if err := r.Send(t, v); !errors.Is(err, actor.ErrNotAwaited) {
		return err
	}
	return nil
}

// newCache is the init of the cache. The cache is empty after each start.
func (s *shop) newCache(*actor.Tasklet) (func(*actor.Tasklet, priceQuestion) error, error) {
	prices := make(map[int]int)
	return func(t *actor.Tasklet, q priceQuestion) error {
		s.crashes(s.crash/20, "cache is corrupt")
		price, ok := prices[q.item]
		if !ok {
			var err error
			price, err = actor.Call(t, s.conn, func(r actor.Reply[int]) query { return query{item: q.item, reply: r} })
			if err != nil {
				_ = q.reply.Fail(t, err)
				return nil
			}
			prices[q.item] = price
		}
		return answer(t, q.reply, price)
	}, nil
}

// newMailer is the init of the mailer.
func (s *shop) newMailer(t *actor.Tasklet) (func(*actor.Tasklet, mail) error, error) {
	inHand := 0
	t.Defer(func() {
		if inHand != 0 {
			s.books.mail(inHand, mailLost)
		}
	})
	sent := 0
	return func(t *actor.Tasklet, m mail) error {
		inHand = m.order
		s.crashes(s.crash/20, "mail server hung up")
		if sent++; sent%10 == 0 {
			t.Sleep(time.Millisecond)
		}
		s.books.mail(m.order, mailSent)
		inHand = 0
		return nil
	}, nil
}

// worker is the init of a worker. When a worker crashes, the order in its hands is lost, and the
// next incarnation begins with the next order. The deferred call belongs to the incarnation that
// crashed, and knows which order it was.
func (s *shop) worker(t *actor.Tasklet) (func(*actor.Tasklet, order) error, error) {
	inHand := 0
	t.Defer(func() {
		if inHand != 0 {
			s.books.settle(inHand, lost, t.Path())
		}
	})
	return func(t *actor.Tasklet, o order) error {
		inHand = o.id
		err := s.serve(t, o)
		inHand = 0
		if err != nil {
			s.books.settle(o.id, calledOff, err.Error())
			return nil
		}
		s.books.settle(o.id, done, "")
		if err := s.mailer.Send(t, mail{o.id}); err != nil {
			s.books.mail(o.id, mailLost)
		}
		return nil
	}, nil
}

// serve handles an order.
func (s *shop) serve(t *actor.Tasklet, o order) error {
	ctx, cancel := actor.WithTimeout(t, time.Second)
	defer cancel()
	_, err := actor.Call(ctx, s.cache, func(r actor.Reply[int]) priceQuestion { return priceQuestion{o.item, r} })
	if err != nil {
		return reason("price", err)
	}
	t.Sleep(time.Duration(1+s.draw.IntN(4)) * time.Millisecond)
	s.crashes(s.crash, "worker slipped")
	_, err = actor.Call(ctx, s.conn, func(r actor.Reply[int]) query { return query{order: o.id, item: o.item, reply: r} })
	if err != nil {
		return reason("database", err)
	}
	return nil
}

// reason describes in a few words why an order is called off.
func reason(what string, err error) error {
	var j *actor.JoinError
	switch {
	case errors.Is(err, actor.ErrTimeout):
		return fmt.Errorf("%s: no answer in time", what)
	case errors.As(err, &j):
		return fmt.Errorf("%s: %v", what, j.Cause)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// onEvent counts restarts, and orders that will not be read.
func (s *shop) onEvent(e actor.EventRecord) {
	switch e.Kind {
	case supervisor.EventRestart:
		s.restarts[e.Path]++
	case event.DeadLetter:
		if e.Message == reflect.TypeFor[order]() {
			s.unread += e.Count
		}
	}
}
