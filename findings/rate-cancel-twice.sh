#!/bin/sh
# golang.org/x/time v0.16.0, rate/rate.go (Reservation.CancelAt): a reservation that is cancelled twice is refunded twice.
#
# Guessed: the second Cancel does nothing, as a second call of a context.CancelFunc.
# Is: each Cancel before the reservation's time gives its tokens back, up to the burst: those of another's reservation, too.
# Seen: a limiter of 1 a second and burst 5, of which 10 tokens were reserved, has -5 tokens; after Cancel 0, which is right; after
# a second Cancel of the same reservation 5, though 5 are still reserved.
# Output seen: "-5 0 5".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"time"

	"golang.org/x/time/rate"
)

func main() {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	l := rate.NewLimiter(1, 5)
	l.ReserveN(now, 5)
	second := l.ReserveN(now, 5)
	a := l.TokensAt(now)
	second.CancelAt(now)
	b := l.TokensAt(now)
	second.CancelAt(now)
	fmt.Println(a, b, l.TokensAt(now))
}
GO
go mod init finding >/dev/null 2>&1
go get golang.org/x/time@v0.16.0 >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "-5 0 5" ]
