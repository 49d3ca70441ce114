package actor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
)

// Each caller on an ordinary goroutine gets the answer to its own request, whatever becomes of the
// others, although they use the same cells one after the other.
func TestCallsFromGoroutinesGetTheirOwnAnswers(t *testing.T) {
	type ask struct {
		n, how int
		reply  actor.Reply[int]
	}
	errNo := errors.New("no")
	const ways = 9
	callers, rounds := 16, 400
	if raceEnabled || testing.Short() {
		rounds = 100
	}
	err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
		helper := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error { return q.reply.Send(t, q.n+1) })
		var kept []ask
		r := actor.Receiver(t0, func(t *actor.Tasklet, q ask) error {
			switch q.how {
			case 0:
				return nil // no reply
			case 1:
				return errNo
			case 2:
				panic(errNo)
			case 3:
				return q.reply.Fail(t, errNo)
			case 4:
				q.reply.Delegate(helper.Tasklet())
				return helper.Send(t, q)
			case 5:
				go func() { _ = q.reply.Send(context.Background(), q.n+1) }()
				q.reply.Delegate(helper.Tasklet())
				return nil
			case 6: // much too late, and again
				kept = append(kept, q)
				q.reply.Delegate(helper.Tasklet())
			default:
				_ = q.reply.Send(t, q.n+1)
				for range q.n % 4 { // the caller goes on while the request is still in hand
					runtime.Gosched()
				}
			}
			for _, late := range kept[:max(0, len(kept)-3)] {
				_ = late.reply.Send(t, -1)
			}
			if len(kept) > 10 {
				kept = kept[1:]
			}
			return nil
		})
		_, err := actor.Await(t0, func(context.Context) (int, error) {
			var wg sync.WaitGroup
			errs := make(chan error, callers*rounds)
			for i := range callers {
				wg.Go(func() {
					draw := rand.New(rand.NewPCG(uint64(i), 1))
					for n := i; n < callers*rounds; n += callers {
						q := ask{n: n, how: draw.IntN(ways)}
						ctx, cancel := context.Background(), func() {}
						if q.how == 6 || draw.IntN(4) == 0 {
							ctx, cancel = context.WithTimeout(ctx, time.Duration(draw.IntN(300))*time.Microsecond)
						}
						v, err := actor.Call(ctx, r, func(reply actor.Reply[int]) ask { q.reply = reply; return q })
						cancel()
						switch {
						case errors.Is(err, actor.ErrTimeout):
						case q.how == 0 && errors.Is(err, actor.ErrNoReply):
						case q.how >= 1 && q.how <= 3 && errors.Is(err, errNo):
						case q.how >= 4 && err == nil && v == n+1 && q.how != 6:
						case q.how == 6 && err == nil && v == -1: // sent in time after all
						default:
							errs <- fmt.Errorf("call %d, of kind %d: %d, %v", n, q.how, v, err)
						}
					}
				})
			}
			wg.Wait()
			close(errs)
			return 0, <-errs
		})
		return err
	})
	require.NoError(t, err)
}

// A cell that was made in a bubble of testing/synctest is not used outside of it, nor in another:
// its channel may not be.
func TestCallsFromGoroutinesInBubbles(t *testing.T) {
	calls := func(t *testing.T) {
		err := actor.Run(context.Background(), actor.Config{Logger: zap.NewNop()}, func(t0 *actor.Tasklet) error {
			r := actor.Receiver(t0, func(t *actor.Tasklet, q question) error {
				t.Sleep(time.Millisecond) // the caller has to block
				return q.reply.Send(t, q.n+1)
			})
			_, err := actor.Await(t0, func(ctx context.Context) (int, error) {
				for i := range 3 {
					if v, err := actor.Call(ctx, r, func(r actor.Reply[int]) question { return question{i, r} }); err != nil || v != i+1 {
						return 0, fmt.Errorf("%d, %w", v, err)
					}
				}
				return 0, nil
			})
			return err
		})
		require.NoError(t, err)
	}
	synctest.Test(t, calls)
	synctest.Test(t, calls)
	calls(t)
}
