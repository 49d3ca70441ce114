package inspector_test

import (
	"context"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/inspector"
)

// The handler is mounted in a mux, and answers requests of this machine.
func ExampleHandler() {
	sys, err := actor.Start(actor.Config{Name: "shop", Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = sys.Stop(context.Background()) }()

	mux := http.NewServeMux()
	mux.Handle("/debug/tasklets/", inspector.Handler(sys))
	server := httptest.NewServer(mux)
	defer server.Close()

	resp, err := http.Get(server.URL + "/debug/tasklets/api/tree?format=text")
	if err != nil {
		panic(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(resp.Body)
	fmt.Print(string(text))
	// Output:
	// supervision tree  system=shop tasklets=1 restarts=0 stalled=0
	// shop  system  idle
}

// People on other machines give a password, and may kill and restart tasklets. The log says who.
func ExampleAuthorize() {
	sys, err := actor.Start(actor.Config{Name: "shop", Logger: zap.NewNop()})
	if err != nil {
		panic(err)
	}
	defer func() { _ = sys.Stop(context.Background()) }()

	options := []inspector.Option{
		inspector.Authorize(func(r *http.Request) (who string, ok bool) {
			user, password, _ := r.BasicAuth()
			return user, subtle.ConstantTimeCompare([]byte(password), []byte("secret")) == 1
		}, "inspector.example.com"),
		inspector.AllowActions(),
		inspector.LogLevel(zap.NewAtomicLevel()),
	}
	h := inspector.Handler(sys, options...)

	r := httptest.NewRequest(http.MethodGet, "/debug/tasklets/", nil)
	r.Host = "inspector.example.com"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code)
	r.SetBasicAuth("ada", "secret")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output:
	// 401
	// 200
}

// A tasklet shows what it has, on its page.
func ExamplePublish() {
	type cache struct {
		Entries int
		Oldest  string
	}
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
		inspector.Publish(t, func() any { return cache{Entries: 3, Oldest: "2h"} })
		h := inspector.Handler(t.System())
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/tasklet/"+t.ID().String(), nil)
		r.RemoteAddr, r.Host = "127.0.0.1:1", "localhost"
		h.ServeHTTP(w, r)
		fmt.Println(w.Code)
		return nil
	})
	fmt.Println(err)
	// Output:
	// 200
	// <nil>
}
