package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"sync"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

const (
	// clientGone is the status of a request whose client went away. No client receives it; it is
	// for the summary.
	clientGone = 499
	maxAmount  = 1_000_000_000
	maxBody    = 1 << 10
)

// api is the HTTP interface of the bank. Its methods run on goroutines of net/http, several at a
// time.
type api struct {
	bank *bank

	// mu protects the following.
	mu       sync.Mutex
	accepted int
	answered map[int]int // by status
}

// money is the body of a deposit, a withdrawal (amount and id), or a transfer.
type money struct {
	// ID is chosen by the client. A repeated request with the same id makes no second posting.
	ID     string `json:"id"`
	From   string `json:"from,omitempty"`
	To     string `json:"to,omitempty"`
	Amount int64  `json:"amount"`
}

// balance is the body of an answer.
type balance struct {
	Account string `json:"account"`
	Balance int64  `json:"balance"`
}

func newAPI(b *bank) *api { return &api{bank: b, answered: make(map[int]int)} }

func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /accounts/{name}", a.handle(func(ctx context.Context, r *http.Request) (balance, error) {
		return a.post(ctx, r.PathValue("name"), "", 0)
	}))
	mux.HandleFunc("POST /accounts/{name}/deposit", a.handle(func(ctx context.Context, r *http.Request) (balance, error) {
		m, err := read(r, false)
		if err != nil {
			return balance{}, err
		}
		return a.post(ctx, r.PathValue("name"), m.ID, m.Amount)
	}))
	mux.HandleFunc("POST /accounts/{name}/withdraw", a.handle(func(ctx context.Context, r *http.Request) (balance, error) {
		m, err := read(r, false)
		if err != nil {
			return balance{}, err
		}
		return a.post(ctx, r.PathValue("name"), m.ID, -m.Amount)
	}))
	mux.HandleFunc("POST /transfers", a.handle(func(ctx context.Context, r *http.Request) (balance, error) {
		m, err := read(r, true)
		if err != nil {
			return balance{}, err
		}
		n, err := actor.Call(ctx, a.bank.desk, func(reply actor.Reply[int64]) transfer {
			return transfer{m.ID, m.From, m.To, m.Amount, reply}
		})
		return balance{m.From, n}, err
	}))
	return mux
}

func (a *api) post(ctx context.Context, name, id string, amount int64) (balance, error) {
	if !valid.MatchString(name) {
		return balance{}, badRequest("an account has a name of 1 to 64 letters, digits, dots, dashes and underscores")
	}
	n, err := a.bank.ask(ctx, name, id, amount)
	return balance{name, n}, err
}

// badRequest is an error of the client.
type badRequest string

func (e badRequest) Error() string { return string(e) }

var valid = regexp.MustCompile(`^[\w.-]{1,64}$`)

func read(r *http.Request, transfer bool) (m money, err error) {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	switch err := d.Decode(&m); {
	case err != nil:
		return m, badRequest("the body is no JSON of this API: " + err.Error())
	case !valid.MatchString(m.ID):
		return m, badRequest("id must be 1 to 64 letters, digits, dots, dashes and underscores")
	case m.Amount < 1 || m.Amount > maxAmount:
		return m, badRequest(fmt.Sprint("amount must be 1 to ", maxAmount))
	case transfer && (!valid.MatchString(m.From) || !valid.MatchString(m.To) || m.From == m.To):
		return m, badRequest("from and to must be two accounts")
	case !transfer && (m.From != "" || m.To != ""):
		return m, badRequest("from and to are for transfers")
	}
	return m, nil
}

// handle makes a handler of f. Its context ends when the client leaves, or when the server's time
// for a request is over.
func (a *api) handle(f func(context.Context, *http.Request) (balance, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.accepted++
		a.mu.Unlock()
		ctx, cancel := context.WithTimeout(r.Context(), a.bank.timeout)
		defer cancel()
		var body any
		b, err := f(ctx, r)
		status := statusOf(r, err)
		if body = b; err != nil {
			body = struct {
				Error string `json:"error"`
			}{err.Error()}
		}
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "1")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body) // fails if the client has gone
		a.mu.Lock()
		a.answered[status]++
		a.mu.Unlock()
	}
}

// statusOf returns the status for the result of a request.
func statusOf(r *http.Request, err error) int {
	var bad badRequest
	switch {
	case err == nil:
		return http.StatusOK
	case r.Context().Err() != nil:
		return clientGone
	case errors.As(err, &bad):
		return http.StatusBadRequest
	case errors.Is(err, errOverdraft), errors.Is(err, errReused):
		return http.StatusConflict
	case errors.Is(err, actor.ErrTimeout):
		return http.StatusGatewayTimeout
	case errors.Is(err, mailbox.ErrFull), errors.Is(err, mailbox.ErrClosed), errors.Is(err, errUnderWay), errors.Is(err, errShut):
		return http.StatusServiceUnavailable
	}
	// The account crashed, and it is unknown whether the request was done. A repetition tells.
	return http.StatusInternalServerError
}

// counts returns the number of requests, and the number of answers by status.
func (a *api) counts() (accepted int, answered map[int]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.accepted, maps.Clone(a.answered)
}
