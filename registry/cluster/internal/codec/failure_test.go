package codec_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/registry/cluster/internal/codec"
)

var errOverdrawn = errors.New("overdrawn")

type panicking struct{}

func (panicking) Error() string   { panic("no text") }
func (panicking) Is(error) bool   { panic("no opinion") }
func (panicking) Unwrap() []error { return []error{errOverdrawn} }

type uncomparable []int

func (uncomparable) Error() string { return "" }

func TestErrorsTravel(t *testing.T) {
	here, there := codec.NewTypes(), codec.NewTypes()
	here.Error("bank.overdrawn", errOverdrawn)
	here.Error("context.canceled", context.Canceled)
	here.Error("only.here", fs.ErrExist)
	there.Error("context.canceled", context.Canceled)
	there.Error("bank.overdrawn", fmt.Errorf("wrapped there: %w", errOverdrawn))

	send := func(err error) *codec.RemoteError {
		got, bad := there.DecodeError(here.AppendError(nil, err))
		require.NoError(t, bad)
		return got
	}
	got := send(fmt.Errorf("account 7: %w", errors.Join(errOverdrawn, context.Canceled, fs.ErrExist)))
	assert.EqualError(t, got, "account 7: overdrawn\ncontext canceled\nfile already exists")
	assert.ErrorIs(t, got, errOverdrawn)
	assert.ErrorIs(t, got, context.Canceled)
	assert.NotErrorIs(t, got, fs.ErrExist, "not registered there")
	assert.NotErrorIs(t, got, context.DeadlineExceeded)
	assert.Equal(t, []string{"bank.overdrawn", "context.canceled", "only.here"}, got.Names)

	// On to a third node, which knows what the second did not.
	third := codec.NewTypes()
	third.Error("only.here", fs.ErrExist)
	again, bad := third.DecodeError(there.AppendError(nil, got))
	require.NoError(t, bad)
	assert.ErrorIs(t, again, fs.ErrExist)
	assert.Equal(t, got.Text, again.Text)

	assert.EqualError(t, send(errors.New("just text")), "just text")
	assert.EqualError(t, send(nil), "nil")
	assert.EqualError(t, send(errors.New("a\xffb")), "a\uFFFDb")
	long := send(errors.New(strings.Repeat("ä", 5000)))
	assert.Less(t, len(long.Text), 4200)
	assert.True(t, strings.HasSuffix(long.Text, "..."))
	p := send(panicking{})
	assert.EqualError(t, p, "codec_test.panicking: its text is not to be had: panic: no text")
	assert.Empty(t, p.Names)

	for says, f := range map[string]func(){
		`error "bank.overdrawn" is registered twice`:                func() { here.Error("bank.overdrawn", errOverdrawn) },
		`error "x" is nil`:                                          func() { here.Error("x", nil) },
		`error "x" can't be compared: codec_test.uncomparable`:      func() { here.Error("x", uncomparable{}) },
		`name "\n" has blanks, control characters or invalid UTF-8`: func() { here.Error("\n", errOverdrawn) },
	} {
		assert.PanicsWithValue(t, "cluster: "+says, f)
	}
	for _, src := range []string{"", "\x80", "\x11", "\x01", "\x01\x05abc", "\x01\x01 \x00", "\x00", "\x00\x05abc", "\x00\x01ab"} {
		_, err := there.DecodeError([]byte(src))
		assert.Error(t, err, "%q", src)
	}
}
