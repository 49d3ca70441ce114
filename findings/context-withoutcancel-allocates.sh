#!/bin/sh
# Go 1.26 (seen with go1.26.8), package context, context.go (withoutCancelCtx.Value): a look-up of a value through
# context.WithoutCancel allocates, each time.
#
# Guessed: Value allocates nothing in any context of the standard library, as with WithValue, WithCancel and Background. It is a
# walk along parents, and neither the key nor the result is new.
# Is: WithoutCancel returns a struct by value, and its method Value passes that struct on as a context.Context. The conversion puts a
# copy of it on the heap at each call. WithValue and WithCancel return pointers, and do not.
# Seen: "WithValue 0, WithCancel 0, WithoutCancel 1 allocations a look-up".
# So a context that is asked for a value often, for labels of the profiler at each call say, should not be made by WithoutCancel, or
# be asked once.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > go.mod <<'GO'
module finding

go 1.26
GO
cat > main_test.go <<'GO'
package finding

import (
	"context"
	"fmt"
	"testing"
)

type key struct{}

var got any

func Test(t *testing.T) {
	base := context.WithValue(context.Background(), key{}, "v")
	cancelled, cancel := context.WithCancel(base)
	defer cancel()
	count := func(ctx context.Context) int {
		return int(testing.AllocsPerRun(1000, func() { got = ctx.Value(key{}) }))
	}
	fmt.Printf("WithValue %d, WithCancel %d, WithoutCancel %d allocations a look-up\n",
		count(base), count(cancelled), count(context.WithoutCancel(base)))
}
GO
out=$(GOFLAGS= GOWORK=off go test -count=1 -v . | grep '^WithValue')
echo "$out"
[ "$out" = "WithValue 0, WithCancel 0, WithoutCancel 1 allocations a look-up" ]
