package otelactor

import (
	"context"

	"go.opentelemetry.io/otel/trace"

	"github.com/gotasklet/tasklet/actor"
)

// Trace carries a trace in a message, from the span in which the message was made to the span of
// its handler. Embed it in a message type, and fill it where the message is made:
//
//	type order struct {
//		otelactor.Trace
//		item string
//	}
//
//	err := orders.Send(ctx, order{otelactor.TraceOf(ctx), "tea"})
//
// A Receiver then puts it into the context of its handler, t.Context(), because the type has the
// method Carry, see [actor.Carrier]. A type that has a Trace as an ordinary field needs a method
// Carry that calls that of the field.
//
// A Trace is plain data: it can be compared, stored and encoded like other fields. It has no
// methods of an encoder, which would encode the whole message in their own way. The zero Trace
// carries nothing.
type Trace struct {
	TraceID    [16]byte `json:",omitzero"`
	SpanID     [8]byte  `json:",omitzero"`
	TraceFlags byte     `json:",omitzero"` // 1 if the trace is sampled
	TraceState string   `json:",omitzero"` // as in the header tracestate
}

// TraceOf returns the Trace of the span in ctx, for a message that is made there. That is the span
// of the handler, of [Tracer.Do] or of the program's own instrumentation, or without one the span
// that came with the message in hand. Inside a tasklet, give it t.Context() or what is derived from
// that.
//
// It returns the zero Trace if there is no span. A span in the context that was given to actor.Run
// does not count inside tasklets: it lasts as long as the program, and would become the parent of
// everything. TraceOf does not allocate, unless there is a trace state.
func TraceOf(ctx context.Context) Trace {
	sc := spanContext(ctx)
	if !sc.IsValid() {
		return Trace{}
	}
	t := Trace{TraceID: sc.TraceID(), SpanID: sc.SpanID(), TraceFlags: byte(sc.TraceFlags())}
	if state := sc.TraceState(); state.Len() > 0 {
		t.TraceState = state.String()
	}
	return t
}

// SpanContext returns what t carries. It is invalid for the zero Trace, and remote otherwise,
// because a message may come from another process. A TraceState that is not valid is left out.
func (t Trace) SpanContext() trace.SpanContext {
	cfg := trace.SpanContextConfig{
		TraceID: t.TraceID, SpanID: t.SpanID, TraceFlags: trace.TraceFlags(t.TraceFlags), Remote: true,
	}
	if t.TraceState != "" {
		cfg.TraceState, _ = trace.ParseTraceState(t.TraceState)
	}
	return trace.NewSpanContext(cfg)
}

func (t Trace) valid() bool { return t.TraceID != [16]byte{} && t.SpanID != [8]byte{} }

func (t Trace) sampled() bool { return t.valid() && trace.TraceFlags(t.TraceFlags).IsSampled() }

// Carry returns a context derived from ctx for the handler of a message with t. It implements
// [actor.Carrier].
//
// The context has the span context of a trace that is sampled. Most traces are not sampled. For
// those, Carry allocates nothing: a tasklet's context then says only that there is a trace which is
// not sampled, so that the handler does not begin a new one, and has no IDs. Use [Trace.Context]
// where they are needed, for example in a log. For the zero Trace, Carry returns ctx.
func (t Trace) Carry(ctx context.Context) context.Context {
	if by, ok := ctx.(*actor.Tasklet); ok && t.valid() && !t.sampled() {
		return unsampled{by}
	}
	return t.Context(ctx)
}

// Context returns a context derived from ctx with the span context of t, whether the trace is
// sampled or not. For the zero Trace it returns ctx.
func (t Trace) Context(ctx context.Context) context.Context {
	if !t.valid() {
		return ctx
	}
	return &carried{trace.ContextWithRemoteSpanContext(ctx, t.SpanContext())}
}

// trace lets a Tracer find the Trace that is embedded in a message.
func (t Trace) trace() Trace { return t }

// carried is a context with the span context of a message.
type carried struct{ context.Context }

// carriedKey is the key of true in a context whose span context came with a message.
type carriedKey struct{}

func (c *carried) Value(key any) any {
	if key == (carriedKey{}) {
		return true
	}
	return c.Context.Value(key)
}

// unsampled is the context of a message whose trace is not sampled. It fits into an interface
// without an allocation.
type unsampled struct{ *actor.Tasklet }

func (u unsampled) Value(key any) any {
	if v := nothing.Value(key); v != nil {
		return v
	}
	return u.Tasklet.Value(key)
}

// nothing has the span context of all traces that are not sampled. The last half of its ID is the
// largest number, so that even a sampler that looks at nothing but the ID leaves it out.
var nothing = context.WithValue(
	trace.ContextWithRemoteSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0: 't', 1: 'a', 2: 's', 3: 'k', 4: 'l', 5: 'e', 6: 't', 7: '0', 8: 255, 9: 255, 10: 255, 11: 255, 12: 255, 13: 255, 14: 255, 15: 255},
		SpanID:  trace.SpanID{0: 't', 1: 'a', 2: 's', 3: 'k', 4: 'l', 5: 'e', 6: 't', 7: '0'},
	})), carriedKey{}, true)

// spanContext returns the span context in ctx: that of the message in hand, or of a span that was
// begun since. Inside a tasklet, that of the context of Run does not count.
func spanContext(ctx context.Context) trace.SpanContext {
	if _, ok := ctx.(*actor.Tasklet); ok {
		return trace.SpanContext{}
	}
	sc := trace.SpanContextFromContext(ctx)
	if !sc.IsValid() {
		return sc
	}
	t := actor.Current(ctx)
	if t != nil && ctx.Value(carriedKey{}) == nil && sc.Equal(trace.SpanContextFromContext(t)) {
		return trace.SpanContext{}
	}
	return sc
}
