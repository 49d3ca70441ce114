package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor/entity"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

const (
	maxRequests  = 512 // requests that are handled at a time; others get a 503
	maxBody      = 4 << 10
	maxItem      = 100
	maxKey       = 64
	requestLimit = 5 * time.Second
)

// api is the HTTP server. Its handlers are ordinary goroutines of net/http:
//
//	POST /orders             {"customer": "ada", "item": "tea", "amount": 250}
//	GET  /orders/{id}
//	GET  /customers/{name}
//	POST /debug/crash-worker, with -debug
//	GET  /debug/tasklets/, the pages of package inspector, for this machine
//	GET  /metrics, for Prometheus
//
// A POST with the header Idempotency-Key can be sent again, whatever happened to the first one: a
// customer has one order for each key.
//
// The status says what happened:
//
//	201  the order is stored
//	400  the request is wrong, and the answer says why; 413 if it is too large
//	404  there is no such order
//	409  the credit limit is exceeded, or the key belongs to another order; nothing was stored
//	503  overload, or the program ends; nothing was stored; try again after Retry-After
//	500  a failure, or 504 no answer in time; it is unknown whether the order was stored
type api struct {
	addr      string
	store     *store
	customers *entity.Entities[string, newOrder]
	handler   http.Handler
	slots     chan struct{} // as many as requests are being handled
}

func newAPI(sys *actor.System, o options, s *store, p *payments, customers *entity.Entities[string, newOrder], metrics http.Handler) *api {
	a := &api{addr: o.addr, store: s, customers: customers, slots: make(chan struct{}, maxRequests)}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", a.limited(a.postOrder))
	mux.HandleFunc("GET /orders/{id}", a.limited(a.getOrder))
	mux.HandleFunc("GET /customers/{name}", a.limited(a.getCustomer))
	mux.Handle("GET /metrics", metrics)
	var allowed []inspector.Option
	if o.debug {
		allowed = append(allowed, inspector.AllowActions())
	}
	mux.Handle("/debug/tasklets/", inspector.Handler(sys, allowed...))
	if o.debug {
		var n atomic.Uint32
		mux.HandleFunc("POST /debug/crash-worker", func(w http.ResponseWriter, r *http.Request) {
			if !p.crashWorker(int(n.Add(1))) {
				http.Error(w, "there is no worker now", http.StatusConflict)
			}
		})
	}
	a.handler = mux
	return a
}

// serve is the body of the tasklet api. A drain makes the server refuse new connections, and waits
// for the requests that were accepted. A kill closes all connections.
func (a *api) serve(t *actor.Tasklet) error {
	listener, err := net.Listen("tcp", a.addr)
	if err != nil {
		return err
	}
	t.Log().Info("listening", zap.String("addr", listener.Addr().String()))
	server := &http.Server{
		Handler:      a.handler,
		ReadTimeout:  10 * time.Second, // a slow client cannot hold a connection
		WriteTimeout: 20 * time.Second,
		IdleTimeout:  time.Minute,
		ErrorLog:     zap.NewStdLog(t.Log()),
	}
	stopped := make(chan error, 2) // results of Shutdown, in a drain, and of Close, after a kill
	t.OnDrain(func() {
		go func() { stopped <- server.Shutdown(context.Background()) }()
	})
	_, err = actor.Await(t, func(ctx context.Context) (struct{}, error) {
		defer context.AfterFunc(ctx, func() { stopped <- server.Close() })()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return struct{}{}, err
		}
		return struct{}{}, <-stopped // a drain has answered every accepted request
	})
	return err
}

// limited refuses requests while too many are being handled.
func (a *api) limited(f func(r *http.Request) (status int, body any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		default:
			writeError(w, mailbox.ErrFull)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestLimit)
		defer cancel()
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		status, body, err := f(r.WithContext(ctx))
		if err != nil {
			writeError(w, err)
			return
		}
		writeJSON(w, status, body)
	}
}

func (a *api) postOrder(r *http.Request) (int, any, error) {
	input, err := readOrder(r.Body)
	if err != nil {
		return 0, nil, err
	}
	key := r.Header.Get("Idempotency-Key")
	if len(r.Header.Values("Idempotency-Key")) > 1 || len(key) > maxKey || strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' }) {
		return 0, nil, badInput(fmt.Sprintf("Idempotency-Key must be given once, with at most %d visible ASCII characters", maxKey))
	}
	o, err := entity.Call(r.Context(), a.customers, input.Customer, func(reply actor.Reply[order]) newOrder {
		return newOrder{input.Item, input.Amount, key, reply}
	})
	return http.StatusCreated, o, err
}

func (a *api) getOrder(r *http.Request) (int, any, error) {
	o, err := a.store.order(r.Context(), r.PathValue("id"))
	return http.StatusOK, o, err
}

func (a *api) getCustomer(r *http.Request) (int, any, error) {
	c, err := a.store.account(r.Context(), r.PathValue("name"))
	return http.StatusOK, c, err
}

// orderInput is the body of POST /orders.
type orderInput struct {
	Customer string `json:"customer"`
	Item     string `json:"item"`
	Amount   int64  `json:"amount"`
}

// A badInput is an error that says what is wrong with a request.
type badInput string

func (b badInput) Error() string { return string(b) }

var customerName = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)

func readOrder(body io.Reader) (in orderInput, err error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		if errors.As(err, new(*http.MaxBytesError)) {
			return in, err
		}
		return in, badInput("the body is not an order: " + err.Error())
	}
	switch {
	case decoder.More():
		return in, badInput("the body has more than one value")
	case !customerName.MatchString(in.Customer):
		return in, badInput("customer must be a letter and up to 31 further letters and digits, in lower case")
	case in.Item == "" || len(in.Item) > maxItem:
		return in, badInput(fmt.Sprintf("item must have 1 to %d bytes", maxItem))
	case in.Amount < 1 || in.Amount > creditLimit:
		return in, badInput(fmt.Sprintf("amount must be 1 to %d cents", creditLimit))
	}
	return in, nil
}

// writeError answers with the status that belongs to err.
func writeError(w http.ResponseWriter, err error) {
	var (
		bad    badInput
		aside  *entity.FailedError
		status = http.StatusInternalServerError
		text   = err.Error()
		wait   = time.Second
	)
	switch {
	case errors.As(err, &bad):
		status = http.StatusBadRequest
	case errors.As(err, new(*http.MaxBytesError)):
		status, text = http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody)
	case errors.Is(err, sql.ErrNoRows):
		status, text = http.StatusNotFound, "there is no such order"
	case errors.Is(err, errCredit), errors.Is(err, errKey):
		status = http.StatusConflict
	case errors.As(err, &aside): // the customer's tasklet has failed several times
		status, wait = http.StatusServiceUnavailable, time.Until(aside.Until)
	case errors.Is(err, mailbox.ErrFull), errors.As(err, new(refusal)):
		status, text = http.StatusServiceUnavailable, "overloaded: "+text
	case errors.Is(err, mailbox.ErrClosed):
		status, text = http.StatusServiceUnavailable, "the program ends"
	case errors.Is(err, actor.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		status, text = http.StatusGatewayTimeout, "no answer in time: it is unknown whether the order was stored"
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(max(1, int(math.Ceil(wait.Seconds())))))
	}
	writeJSON(w, status, map[string]string{"error": text})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone gets no answer
}
