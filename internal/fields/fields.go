// Package fields makes the fields of the library's log entries fit for people and programs to read,
// whatever handler is behind the logger, and whatever a user's input has put into them. It changes
//
//   - keys, strings, byte strings, error texts and values with a String method: they are escaped as
//     text.Line says, and values are cut to text.MaxError;
//   - durations: they become a number of seconds, under the key with the suffix "_seconds", because
//     encoders differ: the same time is 5 for one, 5000000000 for another and "5s" for a third;
//   - arrays and objects: the same applies to everything that they add.
//
// Values that are encoded by reflection are left to the encoder.
package fields

import (
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/stack"
	"github.com/gotasklet/tasklet/internal/text"
)

// Clean returns the field to write for f. If a method of the value panics, that is left to zap,
// which writes the panic as the value.
func Clean(f zap.Field) zap.Field {
	f.Key = Name(f.Key)
	switch f.Type {
	case zapcore.StringType:
		f.String = Value(f.String)
	case zapcore.ByteStringType:
		if b, ok := f.Interface.([]byte); ok {
			return zap.String(f.Key, Value(string(b)))
		}
	case zapcore.ErrorType:
		if err, ok := f.Interface.(error); ok {
			return zap.NamedError(f.Key, Error(err))
		}
	case zapcore.StringerType:
		if s, ok := f.Interface.(fmt.Stringer); ok {
			return zap.Stringer(f.Key, stringer{s})
		}
	case zapcore.DurationType:
		return zap.Float64(f.Key+"_seconds", time.Duration(f.Integer).Seconds())
	case zapcore.ArrayMarshalerType:
		if a, ok := f.Interface.(zapcore.ArrayMarshaler); ok {
			return zap.Array(f.Key, array{a})
		}
	case zapcore.ObjectMarshalerType:
		if o, ok := f.Interface.(zapcore.ObjectMarshaler); ok {
			return zap.Object(f.Key, object{o})
		}
	case zapcore.InlineMarshalerType:
		if o, ok := f.Interface.(zapcore.ObjectMarshaler); ok {
			return zap.Inline(object{o})
		}
	}
	return f
}

// Value returns s on one line, cut to the length of a value.
func Value(s string) string { return cut(s, text.MaxError) }

// Name is like Value, for a name or a path.
func Name(s string) string { return cut(s, text.MaxName) }

func cut(s string, n int) string { return text.Cut(text.Line(text.Cut(s, n)), n) }

// Stack returns a stack trace as a field. It keeps the line breaks, which every encoder escapes,
// and which make the trace readable. The text is written when an encoder asks for it.
func Stack(key string, s *stack.Stack) zap.Field { return zap.Stringer(key, trace{s}) }

// trace is a stack whose text can be written to a log.
type trace struct{ s *stack.Stack }

func (t trace) String() string { return stackText(strings.TrimRight(t.s.String(), "\n")) }

// stackText escapes all characters of stack that cannot be printed, except line breaks and tabs.
func stackText(stack string) string {
	lines := strings.SplitAfter(stack, "\n")
	for i, l := range lines {
		words := strings.Split(strings.TrimSuffix(l, "\n"), "\t")
		for k := range words {
			words[k] = text.Line(words[k])
		}
		lines[i] = strings.Join(words, "\t") + l[len(strings.TrimSuffix(l, "\n")):]
	}
	return strings.Join(lines, "")
}

// Error returns err, or an error that wraps it, with a text that is safe to write, whatever the
// methods of err do.
func Error(err error) error {
	if err = guard.Loggable(err); err == nil {
		return nil
	}
	said := guard.Text(err)
	if fine := Value(said); fine != said {
		return &cleaned{fine, err}
	}
	switch e := err.(type) {
	case interface{ Errors() []error }: // zap would add the text of each error
		return &cleaned{said, err}
	case fmt.Formatter: // zap would add the result of %+v
		verbose := ""
		if fault := guard.Call(func() { verbose = fmt.Sprintf("%+v", e) }); fault != nil ||
			stackText(verbose) != verbose || len(verbose) > text.MaxError {
			return &cleaned{said, err}
		}
	}
	return err
}

type cleaned struct {
	text string
	err  error
}

func (c *cleaned) Error() string { return c.text }
func (c *cleaned) Unwrap() error { return c.err }

type stringer struct{ s fmt.Stringer }

func (s stringer) String() string { return Value(s.s.String()) }

type array struct{ a zapcore.ArrayMarshaler }

func (a array) MarshalLogArray(enc zapcore.ArrayEncoder) error {
	return a.a.MarshalLogArray(arrayEncoder{enc})
}

type object struct{ o zapcore.ObjectMarshaler }

func (o object) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	return o.o.MarshalLogObject(Encoder(enc))
}

// Encoder returns an encoder that cleans values as Clean does, and adds them to enc.
func Encoder(enc zapcore.ObjectEncoder) zapcore.ObjectEncoder { return objectEncoder{enc} }

// objectEncoder cleans keys and values. It implements every method that has a key.
type objectEncoder struct{ enc zapcore.ObjectEncoder }

func (e objectEncoder) add(f zap.Field) { Clean(f).AddTo(e.enc) }

func (e objectEncoder) AddArray(key string, a zapcore.ArrayMarshaler) error {
	return e.enc.AddArray(Name(key), array{a})
}

func (e objectEncoder) AddObject(key string, o zapcore.ObjectMarshaler) error {
	return e.enc.AddObject(Name(key), object{o})
}

func (e objectEncoder) AddReflected(key string, v any) error {
	return e.enc.AddReflected(Name(key), v)
}
func (e objectEncoder) OpenNamespace(key string)                { e.enc.OpenNamespace(Name(key)) }
func (e objectEncoder) AddString(key, v string)                 { e.add(zap.String(key, v)) }
func (e objectEncoder) AddByteString(key string, v []byte)      { e.add(zap.ByteString(key, v)) }
func (e objectEncoder) AddDuration(key string, v time.Duration) { e.add(zap.Duration(key, v)) }
func (e objectEncoder) AddBinary(key string, v []byte)          { e.add(zap.Binary(key, v)) }
func (e objectEncoder) AddBool(key string, v bool)              { e.add(zap.Bool(key, v)) }
func (e objectEncoder) AddComplex128(key string, v complex128)  { e.add(zap.Complex128(key, v)) }
func (e objectEncoder) AddComplex64(key string, v complex64)    { e.add(zap.Complex64(key, v)) }
func (e objectEncoder) AddFloat64(key string, v float64)        { e.add(zap.Float64(key, v)) }
func (e objectEncoder) AddFloat32(key string, v float32)        { e.add(zap.Float32(key, v)) }
func (e objectEncoder) AddInt(key string, v int)                { e.add(zap.Int(key, v)) }
func (e objectEncoder) AddInt64(key string, v int64)            { e.add(zap.Int64(key, v)) }
func (e objectEncoder) AddInt32(key string, v int32)            { e.add(zap.Int32(key, v)) }
func (e objectEncoder) AddInt16(key string, v int16)            { e.add(zap.Int16(key, v)) }
func (e objectEncoder) AddInt8(key string, v int8)              { e.add(zap.Int8(key, v)) }
func (e objectEncoder) AddTime(key string, v time.Time)         { e.add(zap.Time(key, v)) }
func (e objectEncoder) AddUint(key string, v uint)              { e.add(zap.Uint(key, v)) }
func (e objectEncoder) AddUint64(key string, v uint64)          { e.add(zap.Uint64(key, v)) }
func (e objectEncoder) AddUint32(key string, v uint32)          { e.add(zap.Uint32(key, v)) }
func (e objectEncoder) AddUint16(key string, v uint16)          { e.add(zap.Uint16(key, v)) }
func (e objectEncoder) AddUint8(key string, v uint8)            { e.add(zap.Uint8(key, v)) }
func (e objectEncoder) AddUintptr(key string, v uintptr)        { e.add(zap.Uintptr(key, v)) }

// arrayEncoder cleans values.
type arrayEncoder struct{ zapcore.ArrayEncoder }

func (e arrayEncoder) AppendString(v string)          { e.ArrayEncoder.AppendString(Value(v)) }
func (e arrayEncoder) AppendByteString(v []byte)      { e.ArrayEncoder.AppendString(Value(string(v))) }
func (e arrayEncoder) AppendDuration(v time.Duration) { e.ArrayEncoder.AppendFloat64(v.Seconds()) }
func (e arrayEncoder) AppendArray(a zapcore.ArrayMarshaler) error {
	return e.ArrayEncoder.AppendArray(array{a})
}

func (e arrayEncoder) AppendObject(o zapcore.ObjectMarshaler) error {
	return e.ArrayEncoder.AppendObject(object{o})
}
