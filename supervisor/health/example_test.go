package health_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/supervisor/health"
)

// probes returns the handler of the probes.
func probes(sys *actor.System, ping func(context.Context) error) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("/livez", health.Live(sys, health.Options{}))
	mux.Handle("/readyz", health.Ready(sys, health.Options{
		Checks: []health.Check{{Name: "database", Func: ping}},
	}))
	return mux
}

// The process is alive, but its database does not answer.
func Example() {
	err := actor.Run(context.Background(), actor.Config{Name: "shop", Logger: zap.NewNop()}, func(t *actor.Tasklet) error {
		server := httptest.NewServer(probes(t.System(), func(context.Context) error { return errors.New("connection refused") }))
		defer server.Close()
		for _, path := range []string{"/livez", "/readyz"} {
			_, err := actor.Await(t, func(ctx context.Context) (struct{}, error) { return struct{}{}, probe(server.URL + path) })
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output:
	// /livez 200 {"status":"ok"}
	// /readyz 503 {"status":"fail","checks":[{"name":"database","status":"fail","problem":"connection refused"}]}
}
