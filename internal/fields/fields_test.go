package fields

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What each kind of field comes to.
func TestClean(t *testing.T) {
	obj := zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
		enc.AddDuration("d", time.Second)
		enc.AddString("k\n", "\x1b")
		enc.AddInt("n", 1)
		return enc.AddArray("a", zapcore.ArrayMarshalerFunc(func(a zapcore.ArrayEncoder) error {
			a.AppendDuration(time.Minute)
			a.AppendByteString([]byte("\n"))
			return a.AppendObject(zapcore.ObjectMarshalerFunc(func(enc zapcore.ObjectEncoder) error {
				enc.AddByteString("b", []byte("\u2028"))
				return nil
			}))
		}))
	})
	clean := map[string]any{
		"d_seconds": 1.0, `k\n`: `\x1b`, "n": int64(1),
		"a": []any{60.0, `\n`, map[string]any{"b": `\u2028`}},
	}
	for _, c := range []struct {
		f    zap.Field
		want map[string]any
	}{
		{zap.String("a\n", "b\n"), map[string]any{`a\n`: `b\n`}},
		{zap.ByteString("a", []byte("\x00")), map[string]any{"a": `\x00`}},
		{zap.NamedError("e", errors.New("a\nb")), map[string]any{"e": `a\nb`}},
		{zap.NamedError("e", errors.Join(errors.New("a"), errors.New("b"))), map[string]any{"e": `a\nb`}},
		{zap.Error(nil), map[string]any{}},
		{zap.Stringer("s", time.Second), map[string]any{"s": "1s"}},
		{zap.Duration("d", 1500*time.Millisecond), map[string]any{"d_seconds": 1.5}},
		{zap.Strings("l", []string{"\r", "x"}), map[string]any{"l": []any{`\r`, "x"}}},
		{zap.Object("o", obj), map[string]any{"o": clean}},
		{zap.Inline(obj), clean},
		{zap.Int("n", 1), map[string]any{"n": int64(1)}},
		{zap.Skip(), map[string]any{}},
	} {
		enc := zapcore.NewMapObjectEncoder()
		Clean(c.f).AddTo(enc)
		require.Equal(t, fmt.Sprint(c.want), fmt.Sprint(enc.Fields))
	}
	long := zapcore.NewMapObjectEncoder()
	Clean(zap.String("s", strings.Repeat("\n", 9000))).AddTo(long)
	require.LessOrEqual(t, len(long.Fields["s"].(string)), 4<<10)
}

// An ordinary error goes through as it is.
func TestOrdinaryErrorIsNotWrapped(t *testing.T) {
	for _, err := range []error{errors.New("x"), fmt.Errorf("y: %w", errors.New("x"))} {
		require.Same(t, err, Error(err))
	}
}
