package otelactor

import (
	"context"
	"fmt"
	"reflect"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
)

// A Tracer makes spans for handlers, and for what handlers do. Its methods may be called from any
// goroutine, and several systems may share it. Use [NewTracer] to make one.
type Tracer struct {
	tracer trace.Tracer
	root   func(ctx context.Context, m any) bool // or nil
	links  bool
}

// A TracerOption changes what spans a [Tracer] makes.
type TracerOption func(*Tracer)

// Roots makes [Tracer.Around] begin a trace for a message that has none, if f returns true. Without
// Roots, spans are made only in traces that have begun elsewhere. f gets what a hook gets, and is
// called for each such message, so it should be quick. Roots panics if f is nil.
func Roots(f func(ctx context.Context, m any) bool) TracerOption {
	if f == nil {
		misuse("Roots with a nil function")
	}
	return func(t *Tracer) { t.root = f }
}

// Links makes [Tracer.Around] begin a trace of its own for each handler, with a link to the span
// that has sent the message. Use it for messages that follow each other without an end, such as
// those that a tasklet sends to itself: without Links, all of their spans would be one trace. The
// sampler decides about each trace anew.
func Links() TracerOption { return func(t *Tracer) { t.links = true } }

// NewTracer returns a Tracer whose spans p makes. It panics if p is nil.
func NewTracer(p trace.TracerProvider, opts ...TracerOption) *Tracer {
	if p == nil {
		misuse("NewTracer with a nil TracerProvider")
	}
	t := &Tracer{tracer: p.Tracer(ScopeName)}
	for _, o := range opts {
		o(t)
	}
	return t
}

// Around is a hook that makes a span for each call of a handler whose message has a sampled trace.
// It is meant for actor.Config.Around, or for the option actor.Around:
//
//	cfg := actor.Config{Around: otelactor.NewTracer(provider).Around}
//
// The span is a child of the one in which the message was made, or of one that an outer hook has
// begun. The span of a BatchReceiver is a child of that of the first message of the batch that has
// a sampled trace, with links to those of up to 127 others. The messages of a batch, and those of a
// Receiver of an interface type, must embed [Trace]. The handler has the span in t.Context().
//
// A handler that returns a failure, panics or is killed sets the status of its span to an error.
// The span ends in any case. Without a sampled trace, Around calls the handler and does nothing
// else.
func (t *Tracer) Around(ctx context.Context, m any, next func(context.Context) error) error {
	sc := spanContext(ctx)
	if sc.IsSampled() {
		return t.handle(ctx, m, next, sc, nil)
	}
	if sc.IsValid() {
		return next(ctx) // not sampled
	}
	if found, others := inMessage(m); found.sampled() {
		return t.handle(found.Context(ctx), m, next, found.SpanContext(), others)
	} else if found.valid() {
		return next(found.Carry(ctx))
	}
	if t.root != nil && t.root(ctx, m) {
		return t.handle(ctx, m, next, trace.SpanContext{}, nil)
	}
	return next(ctx)
}

// handle calls next in a span. sc is that of the message, or invalid for a new trace.
func (t *Tracer) handle(ctx context.Context, m any, next func(context.Context) error, sc trace.SpanContext, links []trace.Link) error {
	var opts []trace.SpanStartOption
	if t.links || !sc.IsValid() {
		opts = append(opts, trace.WithNewRoot())
	}
	if t.links && sc.IsValid() {
		links = append([]trace.Link{{SpanContext: sc}}, links...)
	}
	if len(links) > 0 {
		opts = append(opts, trace.WithLinks(links...))
	}
	by := actor.Current(ctx)
	what, kind := "", ""
	if by != nil {
		kind = clean(by.Info().Kind)
	}
	if m != nil {
		what = clean(reflect.TypeOf(m).String())
	}
	name := "handle " + what
	if m == nil {
		name = "call " + kind
	}
	return t.span(ctx, name, opts, func(span trace.Span) {
		set := make([]attribute.KeyValue, 0, 5)
		if by != nil {
			set = append(set, attribute.String("tasklet.system", clean(by.System().Name())), attribute.String("tasklet.kind", kind),
				attribute.String("tasklet.path", fields.Name(by.Path())))
		}
		if m != nil {
			set = append(set, attribute.String("tasklet.message", what))
			if v := reflect.ValueOf(m); v.Kind() == reflect.Slice {
				set = append(set, attribute.Int("tasklet.messages", v.Len()))
			}
		}
		span.SetAttributes(set...)
	}, next)
}

// Do calls f in a span with a name, if the trace in ctx is sampled. Otherwise it calls f with ctx,
// and allocates nothing. It returns what f returns; a failure sets the status of the span, as for a
// handler. Inside a tasklet ctx is t.Context(), or derived from it, and then so is what f gets. Do
// does not park by itself. It panics if f is nil.
func (t *Tracer) Do(ctx context.Context, name string, f func(ctx context.Context) error) error {
	if f == nil {
		misuse("Do with a nil function")
	}
	if !spanContext(ctx).IsSampled() {
		return f(ctx)
	}
	return t.span(ctx, text.Cut(name, fullName), nil, nil, f)
}

// Root is like [Tracer.Do], but begins a new trace, which the sampler decides about.
func (t *Tracer) Root(ctx context.Context, name string, f func(ctx context.Context) error) error {
	if f == nil {
		misuse("Root with a nil function")
	}
	return t.span(ctx, text.Cut(name, fullName), []trace.SpanStartOption{trace.WithNewRoot()}, nil, f)
}

// fullName is the length of the names of spans, in bytes.
const fullName = 200

// Call is actor.Call in a span "call <message type>", if the trace in ctx is sampled. request makes
// the message, as in actor.Call; it also gets the Trace for it. A reply that is an error, a timeout
// and a kill set the status of the span. Call parks as actor.Call does, and returns the same
// errors. It panics if t or request is nil.
func Call[M, R any](ctx context.Context, t *Tracer, to actor.Ref[M], request func(reply actor.Reply[R], trace Trace) M) (r R, err error) {
	if t == nil || request == nil {
		misuse("Call with a nil Tracer or a nil function")
	}
	if !spanContext(ctx).IsSampled() {
		carried := TraceOf(ctx)
		return actor.Call(ctx, to, func(reply actor.Reply[R]) M { return request(reply, carried) })
	}
	err = t.span(ctx, "call "+clean(reflect.TypeFor[M]().String()), nil, nil, func(ctx context.Context) (err error) {
		carried := TraceOf(ctx)
		r, err = actor.Call(ctx, to, func(reply actor.Reply[R]) M { return request(reply, carried) })
		return err
	})
	return r, err
}

// span calls f in a new span, and ends the span whatever happens. describe may be nil.
func (t *Tracer) span(ctx context.Context, name string, opts []trace.SpanStartOption, describe func(trace.Span), f func(context.Context) error) error {
	by := actor.Current(ctx)
	ctx, span := t.tracer.Start(ctx, name, opts...)
	returned := false
	defer func() {
		if !returned { // it is not recovered, so that its stack stays as it is
			how := "panic"
			if by != nil && by.Glance().KilledFor > 0 {
				how = "killed"
			}
			span.SetStatus(codes.Error, how)
			span.SetAttributes(attribute.String("error.type", how))
		}
		span.End()
	}()
	if describe != nil && span.IsRecording() {
		describe(span)
	}
	err := f(ctx)
	returned = true
	if err != nil && actor.KindOf(err).Failure() && span.IsRecording() {
		span.SetStatus(codes.Error, fields.Value(guard.Text(err)))
		span.SetAttributes(attribute.String("error.type", clean(fmt.Sprintf("%T", err))))
	}
	return err
}

// maxLinks is the number of messages of a batch whose traces are in its span. The SDK keeps 128
// links.
const maxLinks = 128

// traced is a message with a Trace, or a pointer to one.
type traced interface{ trace() Trace }

// inMessage returns the trace in a message: for a slice, the first one that is sampled, with links
// to the next ones, or else the first one. It finds what Carry has not put into the context,
// because the messages are a batch, or have an interface type without Carry. It allocates nothing
// if no trace is sampled.
func inMessage(m any) (found Trace, others []trace.Link) {
	if m == nil {
		return found, nil
	}
	if x, ok := m.(traced); ok {
		if v := reflect.ValueOf(m); v.Kind() != reflect.Pointer || !v.IsNil() {
			found = x.trace()
		}
		return found, nil
	}
	typ := reflect.TypeOf(m)
	if typ.Kind() != reflect.Slice {
		return found, nil
	}
	elem := typ.Elem().Kind()
	if elem != reflect.Interface && !typ.Elem().Implements(tracedType) {
		return found, nil
	}
	all := reflect.ValueOf(m)
	for i := range all.Len() {
		v := all.Index(i)
		switch elem {
		case reflect.Interface:
			v = v.Elem()
			if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
				continue
			}
			v = all.Index(i)
		case reflect.Pointer:
			if v.IsNil() {
				continue
			}
		default:
			v = v.Addr() // a value would be copied to the heap
		}
		x, ok := v.Interface().(traced)
		if !ok {
			continue
		}
		switch t := x.trace(); {
		case !found.sampled() && t.sampled(), !found.valid():
			found = t
		case t.sampled() && len(others) < maxLinks-1:
			others = append(others, trace.Link{SpanContext: t.SpanContext()})
		}
	}
	return found, others
}

var tracedType = reflect.TypeFor[traced]()
