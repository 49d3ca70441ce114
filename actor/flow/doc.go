// Package flow has tools for calls to a service that may fail or be overloaded, such as a server, a
// database or a disk. [Try] repeats a call with growing pauses. A [Breaker] refuses calls to a
// service that keeps failing. A [Bulkhead] limits the number of calls that are in flight.
// How often something is done is limited by a Limiter of package actor/flow/limiter, a module of
// its own.
//
// The tools use the clock of the system, so that a test can wait for an hour in no time, and its
// seed, so that a run can be repeated. None of them is a tasklet, so none can end or need be
// supervised. A call that panics, calls runtime.Goexit or belongs to a tasklet that is killed
// releases what it held.
//
// They can be combined. In the following order a refusal by the breaker is not repeated, and each
// attempt waits for its turn again:
//
//	body, err := flow.Try(t, retry, func(ctx context.Context) ([]byte, error) {
//		var body []byte
//		err := breaker.Do(ctx, func(ctx context.Context) error {
//			return bulkhead.Do(ctx, func(ctx context.Context) (err error) {
//				body, err = actor.Await(ctx, fetch)
//				return err
//			})
//		})
//		return body, err
//	})
//
// where retry.If returns false for a *[OpenError].
package flow
