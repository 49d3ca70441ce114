package reason_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor/reason"
)

func TestKinds(t *testing.T) {
	for k, want := range []struct {
		word    string
		failure bool
	}{{"normal", false}, {"shutdown", false}, {"killed", true}, {"error", true}, {"panic", true}} {
		require.Equal(t, want.word, reason.Kind(k).String())
		require.Equal(t, want.failure, reason.Kind(k).Failure(), want.word)
	}
	require.Equal(t, "Kind(9)", reason.Kind(9).String())
}

func ExampleKind() {
	for _, k := range []reason.Kind{reason.Normal, reason.Shutdown, reason.Killed, reason.Error, reason.Panic} {
		if k.Failure() {
			fmt.Println(k, "is a failure")
		}
	}
	// Output:
	// killed is a failure
	// error is a failure
	// panic is a failure
}
