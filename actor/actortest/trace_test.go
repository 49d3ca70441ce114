package actortest_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
)

// A trace of any system, not only of one that Run has started.
func ExampleTrace() {
	var tr actortest.Trace
	cfg := actor.Config{
		Name: "shop", Clock: scheduler.NewVirtualClock(time.Time{}), Seed: 1, Logger: zap.NewNop(), OnEvent: tr.Add,
	}
	err := actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error {
		orders := actor.Receiver(t, func(t *actor.Tasklet, n int) error {
			if n > 2 {
				return errors.New("sold out")
			}
			return nil
		}, actor.Name("orders"))
		for n := range 4 {
			if err := orders.Send(t, n); err != nil {
				return err
			}
			t.Sleep(time.Minute)
		}
		return nil
	})
	fmt.Print(&tr)
	fmt.Println(err)
	// Output:
	// 0s system_start /shop
	// 0s spawn /shop/orders
	// 3m0s failure /shop/orders error="sold out" message=int count=1
	// 4m0s exit /shop/orders killed message=int
	// 4m0s exit /shop normal
	// 4m0s system_stop /shop
	// <nil>
}

// A line has all of an event but what differs from run to run, and is one line.
func TestTraceLines(t *testing.T) {
	var tr actortest.Trace
	start := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, c := range []struct {
		e    actor.EventRecord
		want string
	}{
		{actor.EventRecord{Kind: event.Spawn, Path: "/a"}, "spawn /a"},
		{actor.EventRecord{Kind: event.Exit, Path: "/a"}, "exit /a normal"},
		{actor.EventRecord{Kind: event.Exit, Path: "/a", Err: actor.ErrKilled}, "exit /a killed"},
		{actor.EventRecord{Kind: event.Exit, Path: "/a", Err: actor.ErrShutdown}, "exit /a shutdown"},
		{actor.EventRecord{Kind: event.Exit, Path: "/a", Err: fmt.Errorf("late: %w", actor.ErrKilled)}, `exit /a killed error="late: actor: killed"`},
		{actor.EventRecord{Kind: event.Failure, Path: "/a", Err: errors.New("two\nlines"), Stack: new(actor.Stack)}, `failure /a error="two\nlines"`},
		{actor.EventRecord{Kind: event.Failure, Path: "/a", Err: fmt.Errorf("at %p", &tr)}, `failure /a error="at 0x…"`},
		{actor.EventRecord{Kind: event.Failure, Path: "/a", Err: errors.New("0x2a is a seed")}, `failure /a error="0x2a is a seed"`},
		{actor.EventRecord{Kind: event.DeadLetter, Path: "/a", Message: reflect.TypeFor[map[string]int](), Count: 2}, "dead_letter /a message=map[string]int count=2"},
		{actor.EventRecord{Kind: event.Overflow}, "overflow"},
		{actor.EventRecord{Kind: event.Kind(200), Path: "/a", Fields: []zap.Field{
			zap.String("s", ""), zap.String("q", `"`), zap.Int("n", 1), zap.Duration("d", time.Minute), zap.Bool("b", true), zap.Error(errTest),
			zap.Time("t", start), zap.Any("m", map[string]int{"y": 2, "x": 1}), zap.Strings("l", []string{"a", "b"}), zap.Skip(),
			zap.Any("p", struct{ P *int }{new(int)}),
		}}, `unknown /a s="" q="\"" n=1 d=1m0s b=true error=boom t=2030-01-02T03:04:05Z m="map[x:1 y:2]" l="[a b]" p={0x…}`},
	} {
		c.e.Time = start.Add(time.Duration(i) * time.Second)
		tr.Add(c.e)
		lines := tr.Lines()
		require.Len(t, lines, i+1)
		require.Equal(t, (time.Duration(i)*time.Second).String()+" "+c.want, lines[i])
	}
	require.Equal(t, strings.Join(tr.Lines(), "\n")+"\n", tr.String())
	tr.Reset()
	require.Empty(t, tr.String())
	require.Empty(t, tr.Lines())
}
