package otelactor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/otelactor"
	"github.com/gotasklet/tasklet/supervisor/entity"
	"github.com/gotasklet/tasklet/supervisor/work"
)

// order is a message with a trace.
type order struct {
	otelactor.Trace
	Item string
	N    int
}

// recorder keeps all spans.
type recorder struct {
	*tracetest.SpanRecorder
	p *sdktrace.TracerProvider
	trace.Tracer
}

func newRecorder(opts ...sdktrace.TracerProviderOption) *recorder {
	r := tracetest.NewSpanRecorder()
	p := sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r))...)
	return &recorder{r, p, p.Tracer("test")}
}

// all returns the spans by name, and fails if one has not ended.
func (r *recorder) all(tb testing.TB) map[string]sdktrace.ReadOnlySpan {
	tb.Helper()
	require.Equal(tb, len(r.Started()), len(r.Ended()), "a span has not ended")
	spans := map[string]sdktrace.ReadOnlySpan{}
	for _, s := range r.Ended() {
		spans[s.Name()] = s
	}
	return spans
}

func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key(key) {
			return kv.Value.String()
		}
	}
	return ""
}

// A trace goes from a goroutine through mailboxes and calls. The span of the context of Run is the
// parent of nothing.
func TestTrace(t *testing.T) {
	r := newRecorder()
	tracer := otelactor.NewTracer(r.p)
	main, mainSpan := r.Start(context.Background(), "run")
	var inBank trace.SpanContext
	runCtx(t, main, actor.Config{Around: tracer.Around}, func(root *actor.Tasklet) {
		type charge struct {
			otelactor.Trace
			reply actor.Reply[int]
		}
		bank := actor.Receiver(root, func(t *actor.Tasklet, c charge) error {
			inBank = trace.SpanContextFromContext(t.Context())
			return c.reply.Send(t, 7)
		}, actor.Name("bank"))
		store := actor.Receiver(root, func(t *actor.Tasklet, o order) error {
			n, err := otelactor.Call(t.Context(), tracer, bank, func(reply actor.Reply[int], tr otelactor.Trace) charge { return charge{tr, reply} })
			if n != 7 {
				panic(n)
			}
			return err
		}, actor.Name("store"))
		front := actor.Receiver(root, func(t *actor.Tasklet, o *order) error {
			return tracer.Do(t.Context(), "price", func(ctx context.Context) error {
				if actor.Current(ctx) != t {
					panic("another tasklet")
				}
				return store.Send(ctx, order{Trace: otelactor.TraceOf(ctx), Item: o.Item})
			})
		}, actor.Name("front"))
		// Neither of these has a trace, although the context of Run has a span.
		require.Zero(t, otelactor.TraceOf(root))
		require.Zero(t, otelactor.TraceOf(root.Context()))
		ctx, cancel := actor.WithTimeout(root, time.Minute)
		require.Zero(t, otelactor.TraceOf(ctx))
		cancel()
		require.NoError(t, front.Send(root, &order{Item: "none"}))
		root.Sleep(time.Second)
		require.Len(t, r.Started(), 1, "only the one of the test")

		_ = tracer.Root(root, "request", func(ctx context.Context) error {
			return front.Send(root, &order{Trace: otelactor.TraceOf(ctx), Item: "tea"})
		})
		root.Sleep(time.Second)
	})
	mainSpan.End()
	spans := r.all(t)
	require.Len(t, spans, 7)
	parents := map[string]string{
		"handle *otelactor_test.order": "request", "price": "handle *otelactor_test.order", "handle otelactor_test.order": "price",
		"call otelactor_test.charge": "handle otelactor_test.order", "handle otelactor_test.charge": "call otelactor_test.charge",
	}
	for child, parent := range parents {
		require.Equal(t, spans[parent].SpanContext().SpanID(), spans[child].Parent().SpanID(), child)
		require.Equal(t, spans["request"].SpanContext().TraceID(), spans[child].SpanContext().TraceID(), child)
		require.Equal(t, codes.Unset, spans[child].Status().Code)
	}
	require.False(t, spans["request"].Parent().IsValid())
	require.NotEqual(t, mainSpan.SpanContext().TraceID(), spans["request"].SpanContext().TraceID())
	bank := spans["handle otelactor_test.charge"]
	require.Equal(t, inBank, bank.SpanContext())
	require.Equal(t, "/tasklet/bank", attr(bank, "tasklet.path"))
	require.Equal(t, "receiver", attr(bank, "tasklet.kind"))
	require.Equal(t, "tasklet", attr(bank, "tasklet.system"))
	require.Equal(t, "otelactor_test.charge", attr(bank, "tasklet.message"))
	require.Equal(t, otelactor.ScopeName, bank.InstrumentationScope().Name)
}

// runCtx is run with the context of Run.
func runCtx(tb testing.TB, ctx context.Context, cfg actor.Config, main func(t *actor.Tasklet)) {
	tb.Helper()
	require.NoError(tb, actor.Run(ctx, virtual(cfg), func(t *actor.Tasklet) error { main(t); return nil }))
}

// Without a hook, the handler still has the trace of the message, and passes it on.
func TestTraceWithoutTracer(t *testing.T) {
	want := sampledTrace()
	run(t, actor.Config{}, func(root *actor.Tasklet) {
		var got []otelactor.Trace
		last := actor.Receiver(root, func(by *actor.Tasklet, o order) error {
			got = append(got, otelactor.TraceOf(by.Context()))
			sc := trace.SpanContextFromContext(by.Context())
			require.True(t, sc.IsRemote())
			require.Equal(t, want.TraceState, sc.TraceState().String())
			return nil
		})
		first := actor.Receiver(root, func(t *actor.Tasklet, o order) error {
			return last.Send(t, order{Trace: otelactor.TraceOf(t.Context())})
		})
		require.NoError(t, first.Send(root, order{Trace: want}))
		root.Sleep(time.Second)
		require.Equal(t, []otelactor.Trace{want}, got)
	})
}

func sampledTrace() otelactor.Trace {
	return otelactor.Trace{TraceID: [16]byte{15: 1}, SpanID: [8]byte{7: 2}, TraceFlags: 1, TraceState: "vendor=x"}
}

// A trace that is not sampled makes no span, not even one that a library begins in the handler, and
// neither does what the handler sends on. A bare sampler that knows no parent changes nothing.
func TestNotSampled(t *testing.T) {
	for name, sampler := range map[string]sdktrace.Sampler{
		"default":    sdktrace.ParentBased(sdktrace.AlwaysSample()),
		"bare ratio": sdktrace.TraceIDRatioBased(0.9999),
	} {
		r := newRecorder(sdktrace.WithSampler(sampler))
		tracer := otelactor.NewTracer(r.p, otelactor.Roots(func(context.Context, any) bool { return true }))
		handled := 0
		run(t, actor.Config{Around: tracer.Around}, func(root *actor.Tasklet) {
			library := func(ctx context.Context) {
				handled++
				ctx, span := r.Start(ctx, "library")
				require.False(t, span.IsRecording(), name)
				require.True(t, trace.SpanContextFromContext(ctx).IsValid())
				span.End()
			}
			second := actor.Receiver(root, func(by *actor.Tasklet, o order) error {
				library(by.Context())
				require.Equal(t, root.System(), actor.Current(by.Context()).System())
				return nil
			})
			first := actor.Receiver(root, func(by *actor.Tasklet, o order) error {
				library(by.Context())
				require.EqualValues(t, 9, o.TraceID[15])
				require.EqualValues(t, 9, trace.SpanContextFromContext(o.Context(by)).TraceID()[15])
				sent := otelactor.TraceOf(by.Context())
				require.Zero(t, sent.TraceFlags)
				require.NotZero(t, sent.TraceID)
				ctx, cancel := context.WithTimeout(by.Context(), time.Minute) // as a library would
				defer cancel()
				return second.Send(ctx, order{Trace: sent})
			})
			require.NoError(t, first.Send(root, order{Trace: otelactor.Trace{TraceID: [16]byte{15: 9}, SpanID: [8]byte{9}}}))
			root.Sleep(time.Second)
		})
		require.Equal(t, 2, handled)
		require.Empty(t, r.Started(), name)
	}
}

// However a handler ends, its span ends, and says so.
func TestSpanStatus(t *testing.T) {
	errNo := errors.New("no\nway")
	for name, c := range map[string]struct {
		handle func(t *actor.Tasklet) error
		code   codes.Code
		text   string
		typ    string
	}{
		"nil":        {func(*actor.Tasklet) error { return nil }, codes.Unset, "", ""},
		"stop":       {func(*actor.Tasklet) error { return actor.ErrStop }, codes.Unset, "", ""},
		"shutdown":   {func(*actor.Tasklet) error { return fmt.Errorf("x: %w", actor.ErrShutdown) }, codes.Unset, "", ""},
		"error":      {func(*actor.Tasklet) error { return errNo }, codes.Error, `no\nway`, "*errors.errorString"},
		"bad error":  {func(*actor.Tasklet) error { return badError{} }, codes.Error, "", "otelactor_test.badError"},
		"panic":      {func(*actor.Tasklet) error { panic("no") }, codes.Error, "panic", "panic"},
		"goexit":     {func(*actor.Tasklet) error { runtime.Goexit(); return nil }, codes.Error, "panic", "panic"},
		"kill":       {func(t *actor.Tasklet) error { t.Kill(); t.Yield(); return nil }, codes.Error, "killed", "killed"},
		"long sleep": {func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil }, codes.Error, "killed", "killed"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder()
			run(t, actor.Config{Around: otelactor.NewTracer(r.p).Around}, func(root *actor.Tasklet) {
				ref := actor.Receiver(root, func(t *actor.Tasklet, o order) error { return c.handle(t) })
				require.NoError(t, ref.Send(root, order{Trace: sampledTrace()}))
				root.Sleep(time.Second)
			})
			span := r.all(t)["handle otelactor_test.order"]
			require.NotNil(t, span)
			require.Equal(t, c.code, span.Status().Code)
			if c.text != "" {
				require.Equal(t, c.text, span.Status().Description)
			}
			require.Equal(t, c.typ, attr(span, "error.type"))
		})
	}
}

type badError struct{}

func (badError) Error() string { panic("bad") }

// A batch is one span, which knows the traces of its messages.
func TestBatch(t *testing.T) {
	type other interface{ any }
	r := newRecorder()
	tracer := otelactor.NewTracer(r.p)
	run(t, actor.Config{Around: tracer.Around}, func(root *actor.Tasklet) {
		nothing := func(*actor.Tasklet, []order) error { return nil }
		values := actor.BatchReceiver(root, 300, time.Second, nothing)
		pointers := actor.BatchReceiver(root, 8, time.Second, func(*actor.Tasklet, []*order) error { return nil })
		mixed := actor.BatchReceiver(root, 8, time.Second, func(*actor.Tasklet, []other) error { return nil })
		plain := actor.BatchReceiver(root, 8, time.Second, func(*actor.Tasklet, []int) error { return nil })
		unsampled := otelactor.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}}
		numbered := func(i int) otelactor.Trace {
			return otelactor.Trace{TraceID: [16]byte{14: byte(i >> 8), 15: byte(i)}, SpanID: [8]byte{1}, TraceFlags: 1}
		}
		_ = values.Send(root, order{})
		_ = values.Send(root, order{Trace: unsampled})
		for i := range 200 {
			_ = values.Send(root, order{Trace: numbered(i + 1)})
		}
		_ = pointers.Send(root, nil)
		_ = pointers.Send(root, &order{Trace: numbered(1)})
		_ = pointers.Send(root, &order{Trace: numbered(2)})
		_ = mixed.Send(root, nil)
		_ = mixed.Send(root, (*order)(nil))
		_ = mixed.Send(root, 5)
		_ = mixed.Send(root, order{Trace: numbered(3)})
		_ = mixed.Send(root, &order{Trace: numbered(4)})
		_ = plain.Send(root, 1)
		root.Sleep(time.Minute)
		require.Len(t, r.Ended(), 3)
		_ = values.Send(root, order{Trace: unsampled})
		_ = values.Send(root, order{})
		root.Sleep(time.Minute)
		require.Len(t, r.Ended(), 3)
	})
	spans := r.all(t)
	all := spans["handle []otelactor_test.order"]
	require.EqualValues(t, 1, all.Parent().TraceID()[15])
	require.Len(t, all.Links(), 127)
	require.EqualValues(t, 2, all.Links()[0].SpanContext.TraceID()[15])
	require.Equal(t, "202", attr(all, "tasklet.messages"))
	require.Zero(t, all.DroppedLinks())
	require.EqualValues(t, 1, spans["handle []*otelactor_test.order"].Parent().TraceID()[15])
	require.Len(t, spans["handle []*otelactor_test.order"].Links(), 1)
	require.EqualValues(t, 3, spans["handle []otelactor_test.other"].Parent().TraceID()[15])
	require.EqualValues(t, 4, spans["handle []otelactor_test.other"].Links()[0].SpanContext.TraceID()[15])
}

// A Receiver of an interface type has the trace of its messages through the hook.
func TestTraceOfAny(t *testing.T) {
	r := newRecorder()
	var got []byte
	run(t, actor.Config{Around: otelactor.NewTracer(r.p).Around}, func(root *actor.Tasklet) {
		ref := actor.Receiver(root, func(by *actor.Tasklet, m any) error {
			sc := trace.SpanContextFromContext(by.Context())
			_, span := r.Start(by.Context(), "library")
			require.Equal(t, sc.IsSampled() || !sc.IsValid(), span.IsRecording())
			span.End()
			id := sc.TraceID()
			got = append(got, id[15])
			return nil
		})
		sampled := otelactor.Trace{TraceID: [16]byte{15: 5}, SpanID: [8]byte{1}, TraceFlags: 1}
		for _, m := range []any{1, order{Trace: sampled}, &order{Trace: sampled}, (*order)(nil), nil, order{Trace: otelactor.Trace{TraceID: [16]byte{15: 5}, SpanID: [8]byte{1}}}} {
			_ = ref.Send(root, m)
		}
		root.Sleep(time.Second)
	})
	require.Equal(t, []byte{0, 5, 5, 0, 0, 255}, got)
	r.all(t)
}

// Entities, queues of work and blocking functions have the trace too.
func TestTraceThroughLibrary(t *testing.T) {
	r := newRecorder()
	run(t, actor.Config{Around: otelactor.NewTracer(r.p).Around}, func(root *actor.Tasklet) {
		var inEntity, inWork, inAwait otelactor.Trace
		accounts := entity.New(entity.Spec[string, order]{Name: "accounts", Init: func(*actor.Tasklet, string) (actor.Handler[order], error) {
			return func(t *actor.Tasklet, o order) error { inEntity = otelactor.TraceOf(t.Context()); return nil }, nil
		}})
		queue := work.New(work.Spec[order]{Name: "queue", Workers: 2, Cap: 5, Handle: func(t *actor.Tasklet, o order) error {
			inWork = otelactor.TraceOf(t.Context())
			_, err := actor.Await(t.Context(), func(ctx context.Context) (int, error) {
				inAwait = otelactor.TraceOf(ctx)
				return 0, nil
			})
			return err
		}})
		actor.StartTasklet(root, accounts.Body())
		actor.StartTasklet(root, queue.Body())
		root.Yield()
		require.NoError(t, accounts.Send(root, "ada", order{Trace: sampledTrace()}))
		require.NoError(t, queue.Send(root, order{Trace: sampledTrace()}))
		root.Sleep(time.Second)
		require.Equal(t, sampledTrace().TraceID, inEntity.TraceID)
		require.Equal(t, sampledTrace().TraceID, inWork.TraceID)
		require.Equal(t, inWork, inAwait)
	})
	r.all(t)
	require.Len(t, r.Ended(), 2)
}

// Traces begin where the program asks for them, and with Links each handler has one of its own.
func TestRootsAndLinks(t *testing.T) {
	r := newRecorder()
	tracer := otelactor.NewTracer(r.p, otelactor.Links(), otelactor.Roots(func(ctx context.Context, m any) bool {
		o, ok := m.(order)
		return ok && o.N == 3 || m == nil
	}))
	main, mainSpan := r.Start(context.Background(), "run")
	runCtx(t, main, actor.Config{Around: tracer.Around}, func(root *actor.Tasklet) {
		var ref actor.Ref[order]
		ref = actor.Receiver(root, func(t *actor.Tasklet, o order) error {
			if o.N == 0 {
				return nil
			}
			return ref.Send(t, order{Trace: otelactor.TraceOf(t.Context()), N: o.N - 1})
		})
		_ = ref.Send(root, order{N: 5}) // 5 and 4 have no trace
		actor.Interval(root, time.Second, func(*actor.Tasklet) error { return nil }, actor.Name("tick"))
		root.Sleep(1500 * time.Millisecond)
	})
	mainSpan.End()
	r.all(t)
	ids := map[trace.TraceID]bool{mainSpan.SpanContext().TraceID(): true}
	var last sdktrace.ReadOnlySpan
	n := 0
	for _, s := range r.Ended() {
		if s.Name() == "run" {
			continue
		}
		require.False(t, s.Parent().IsValid())
		require.False(t, ids[s.SpanContext().TraceID()], "two spans in one trace")
		ids[s.SpanContext().TraceID()] = true
		if s.Name() == "call interval" {
			require.Empty(t, s.Links())
			continue
		}
		if n++; n > 1 {
			require.Len(t, s.Links(), 1)
			require.Equal(t, last.SpanContext().SpanID(), s.Links()[0].SpanContext.SpanID())
		}
		last = s
	}
	require.Equal(t, 4, n) // 3, 2, 1, 0
	require.Len(t, ids, 6)
}

// A call that fails says so, and its span ends also if the caller is killed.
func TestCallSpans(t *testing.T) {
	r := newRecorder()
	tracer := otelactor.NewTracer(r.p)
	type request struct {
		otelactor.Trace
		reply actor.Reply[int]
	}
	ask := func(ctx context.Context, ref actor.Ref[request]) error {
		_, err := otelactor.Call(ctx, tracer, ref, func(reply actor.Reply[int], tr otelactor.Trace) request { return request{tr, reply} })
		return err
	}
	run(t, actor.Config{}, func(root *actor.Tasklet) {
		mute := actor.Receiver(root, func(t *actor.Tasklet, r request) error { t.Sleep(time.Hour); return nil })
		refuses := actor.Receiver(root, func(t *actor.Tasklet, r request) error { return r.reply.Fail(t, errors.New("not now")) })
		require.Error(t, ask(root, refuses)) // no trace, no span
		require.Empty(t, r.Started())
		ctx := sampledTrace().Context(root)
		require.EqualError(t, ask(ctx, refuses), "not now")
		limited, cancel := actor.WithTimeout(ctx, time.Second)
		require.ErrorIs(t, ask(limited, mute), actor.ErrTimeout)
		cancel()
		killed := actor.Go(root, func(t *actor.Tasklet) error { return ask(sampledTrace().Context(t), mute) })
		root.Yield()
		killed.Kill()
		root.Sleep(time.Second)
	})
	r.all(t)
	var got []string
	for _, s := range r.Ended() {
		require.Equal(t, "call otelactor_test.request", s.Name())
		require.Equal(t, codes.Error, s.Status().Code)
		got = append(got, s.Status().Description)
	}
	require.Equal(t, "not now", got[0])
	require.Equal(t, "killed", got[2])
	require.Len(t, got, 3)
}

// A Trace is plain data, which keeps the encoders of the message as they are.
func TestTraceIsData(t *testing.T) {
	in := order{Trace: sampledTrace(), Item: "tea", N: 1}
	text, err := json.Marshal(in)
	require.NoError(t, err)
	var out order
	require.NoError(t, json.Unmarshal(text, &out))
	require.Equal(t, in, out)
	require.True(t, in == out)
	text, err = json.Marshal(order{Item: "tea"})
	require.NoError(t, err)
	require.JSONEq(t, `{"Item":"tea","N":0}`, string(text))

	// What comes from outside may be anything.
	hostile := order{Trace: otelactor.Trace{TraceID: [16]byte{1}, SpanID: [8]byte{1}, TraceFlags: 255, TraceState: "\x00=\n,,,==="}}
	r := newRecorder()
	run(t, actor.Config{Around: otelactor.NewTracer(r.p).Around}, func(root *actor.Tasklet) {
		ref := actor.Receiver(root, func(*actor.Tasklet, order) error { return nil })
		_ = ref.Send(root, hostile)
		_ = ref.Send(root, order{Trace: otelactor.Trace{TraceFlags: 1}})
		_ = ref.Send(root, order{Trace: otelactor.Trace{TraceID: [16]byte{1}, TraceFlags: 1}})
		root.Sleep(time.Second)
	})
	require.Len(t, r.Ended(), 1)
	require.Empty(t, r.Ended()[0].SpanContext().TraceState().String())
}

// Whatever happens to tasklets, no span is left open, and each is in the trace of its message.
func TestSpansAlwaysEnd(t *testing.T) {
	for seed := range uint64(20) {
		r := newRecorder()
		tracer := otelactor.NewTracer(r.p)
		wrong := 0
		run(t, actor.Config{Seed: seed + 1, Around: tracer.Around}, func(root *actor.Tasklet) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			var refs []actor.Ref[order]
			for range 5 {
				refs = append(refs, actor.Receiver(root, func(t *actor.Tasklet, o order) error {
					sc := trace.SpanContextFromContext(t.Context())
					if o.TraceFlags == 1 && sc.TraceID() != o.TraceID || o.TraceFlags == 0 && sc.IsSampled() {
						wrong++
					}
					return tracer.Do(t.Context(), "inner", func(ctx context.Context) error {
						switch rnd.IntN(12) {
						case 0:
							return errors.New("no")
						case 1:
							panic("no")
						case 2:
							t.Sleep(time.Second)
						case 3:
							t.Kill()
						case 4:
							runtime.Goexit()
						}
						if o.N > 0 {
							for range 2 {
								_ = refs[rnd.IntN(len(refs))].TrySend(ctx, order{Trace: otelactor.TraceOf(ctx), N: o.N - 1})
							}
						}
						return nil
					})
				}))
			}
			for i := range 20 {
				tr := otelactor.Trace{TraceID: [16]byte{byte(i + 1)}, SpanID: [8]byte{1}, TraceFlags: byte(i % 2)}
				_ = refs[rnd.IntN(len(refs))].TrySend(root, order{Trace: tr, N: 4})
			}
			root.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		})
		r.all(t)
		require.Zero(t, wrong)
	}
}

func TestTracerMisuse(t *testing.T) {
	tracer := otelactor.NewTracer(newRecorder().p)
	require.PanicsWithValue(t, "otelactor: NewTracer with a nil TracerProvider", func() { otelactor.NewTracer(nil) })
	require.PanicsWithValue(t, "otelactor: Roots with a nil function", func() { otelactor.Roots(nil) })
	require.PanicsWithValue(t, "otelactor: Do with a nil function", func() { _ = tracer.Do(context.Background(), "x", nil) })
	require.PanicsWithValue(t, "otelactor: Root with a nil function", func() { _ = tracer.Root(context.Background(), "x", nil) })
	require.PanicsWithValue(t, "otelactor: Call with a nil Tracer or a nil function", func() {
		_, _ = otelactor.Call[order, int](context.Background(), tracer, actor.NewRef[order](), nil)
	})
}
