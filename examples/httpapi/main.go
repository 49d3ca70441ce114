// Httpapi is a bank behind net/http. Its handlers are ordinary goroutines. Each account is a
// tasklet, and a handler calls it with the context of its request:
//
//	POST /accounts/{name}/deposit    {"id": "a1", "amount": 100}
//	POST /accounts/{name}/withdraw   {"id": "a2", "amount": 30}
//	GET  /accounts/{name}
//	POST /transfers                  {"id": "a3", "from": "ada", "to": "bob", "amount": 20}
//
// The first request for an account starts its tasklet under a supervisor. The registry finds it by
// its name, and it ends when it has been idle for a while. The status says what happened to a
// request:
//
//	200   done; the answer has the balance
//	400   malformed
//	409   refused: not enough in the account, or the id was used for something else
//	500   the account crashed, and it is unknown whether the request was done
//	503   not done: the account's mailbox is full; with Retry-After
//	504   no answer in time, and it is unknown whether the request is done
//
// A client that does not know the result sends the same request again: requests with the same id
// are done once. When a client goes away, its request is removed from the mailbox, but a transfer
// that has begun is finished. Ctrl-C or SIGTERM first ends the server, which answers all requests
// that it has accepted, and then the tasklets.
//
// Run it with
//
//	go run ./examples/httpapi
//	go run ./examples/httpapi -demo -crash 0.01
//
// The demo drives a server of its own with clients, some of which go away, crashes accounts, and
// accounts for every request.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gotasklet/tasklet/actor"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// options are the flags.
type options struct {
	mailbox              int
	write, idle, timeout time.Duration
	crash                float64
}

func run(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("httpapi", flag.ContinueOnError)
	flags.SetOutput(stderr)
	var o options
	var d demo
	addr := flags.String("addr", "127.0.0.1:8080", "where to listen")
	isDemo := flags.Bool("demo", false, "drive a server of its own, on a free port of 127.0.0.1, and report")
	flags.IntVar(&o.mailbox, "mailbox", 8, "how many requests an account's mailbox holds; 1 or more")
	flags.DurationVar(&o.write, "write", time.Millisecond, "how long it takes to write a posting")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Second, "how long a request may take; more than 0")
	flags.DurationVar(&o.idle, "idle", time.Minute, "after which time without a request an account's tasklet ends; more than 0")
	flags.Float64Var(&o.crash, "crash", 0, "how probable it is that an account crashes with a posting, 0 to 1")
	flags.IntVar(&d.clients, "clients", 200, "how many clients the demo has, 1 or more")
	flags.IntVar(&d.requests, "requests", 5000, "how many requests they make together")
	flags.Float64Var(&d.away, "away", 0.05, "how probable it is that one goes away in mid-request, 0 to 1")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if err := errors.Join(o.check(), d.check(), noArguments(flags)); err != nil {
		fmt.Fprintln(stderr, "httpapi:", err)
		return 2
	}
	if *isDemo {
		*addr = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		fmt.Fprintln(stderr, "httpapi:", err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *isDemo {
		err = d.run(ctx, listener, o, stdout)
	} else {
		err = serve(ctx, listener, o, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "httpapi:", err)
		return 1
	}
	return 0
}

func (o *options) check() error {
	switch {
	case o.mailbox < 1:
		return errors.New("-mailbox must be 1 or more")
	case o.write < 0:
		return errors.New("-write must not be negative")
	case o.timeout <= 0:
		return errors.New("-timeout must be more than 0")
	case o.idle <= 0:
		return errors.New("-idle must be more than 0")
	case !(o.crash >= 0 && o.crash <= 1):
		return errors.New("-crash must be 0 to 1")
	}
	return nil
}

func noArguments(flags *flag.FlagSet) error {
	if flags.NArg() > 0 {
		return fmt.Errorf("there are no arguments, but there is %q", flags.Arg(0))
	}
	return nil
}

// service is a server with its bank.
type service struct {
	*bank
	api    *api
	server *http.Server
	// broken ends when the context given to start ends, or when the server or the bank fails. Its
	// cause says why.
	broken context.Context
}

// start opens a bank, and serves it on listener.
func start(ctx context.Context, listener net.Listener, o options) (*service, error) {
	sys, err := actor.Start(actor.Config{Name: "httpapi", Logger: quiet()})
	if err != nil {
		return nil, err
	}
	b, err := openBank(sys, o)
	if err != nil {
		return nil, errors.Join(err, sys.Stop(context.Background()))
	}
	ctx, fail := context.WithCancelCause(ctx)
	s := &service{bank: b, api: newAPI(b), broken: ctx}
	// A client that sends its request too slowly cannot hold a connection forever.
	s.server = &http.Server{Handler: s.api.handler(), ReadTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	go func() { fail(s.server.Serve(listener)) }()
	go func() { fail(s.top.Tasklet().Join(context.Background())) }() // ends with the bank
	return s, nil
}

// close first ends the server, which waits for its handlers; then the transfers, some of whose
// clients may have gone; then everything else. Every accepted request gets an answer.
func (s *service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.timeout+10*time.Second)
	defer cancel()
	err := context.Cause(s.broken)
	if errors.Is(err, context.Canceled) {
		err = nil // the program was interrupted
	}
	err = errors.Join(err, s.server.Shutdown(ctx))
	s.desk.Close()
	return errors.Join(err, s.server.Close(), s.desk.Join(ctx), s.sys.Stop(ctx))
}

// serve is the program without -demo. It ends when ctx does, or when the bank or the server has
// failed.
func serve(ctx context.Context, listener net.Listener, o options, w io.Writer) error {
	s, err := start(ctx, listener, o)
	if err != nil {
		return err
	}
	url := "http://" + listener.Addr().String()
	fmt.Fprintf(w, "listening on %s; end with Ctrl-C\n", url)
	fmt.Fprintf(w, "  curl -d '{\"id\": \"a1\", \"amount\": 100}' %s/accounts/ada/deposit\n", url)
	fmt.Fprintf(w, "  curl %s/accounts/ada\n", url)
	<-s.broken.Done()
	err = errors.Join(s.close(), s.books.check())
	s.summary(w)
	return err
}

// summary accounts for the requests. It must be called after close.
func (s *service) summary(w io.Writer) {
	accepted, answered := s.api.counts()
	n := 0
	for _, count := range answered {
		n += count
	}
	fmt.Fprintf(w, "closed: %d requests accepted, %d answered; %d were skipped, because nobody waited any more; %d crashes\n",
		accepted, n, s.skipped, s.crashes)
	fmt.Fprintf(w, "books: %d accounts, %d postings, %d in all\n", len(s.books.balances), len(s.books.postings), s.books.total())
}
