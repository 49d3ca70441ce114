#!/bin/sh
# Go 1.26 (seen with go1.26.8), package fmt, print.go (pp.catchPanic): formatting a value can panic, although fmt documents that it
# catches the panics of an operand's methods.
#
# Guessed: whatever the method String of an operand does, fmt.Sprint returns: "if an Error or String method triggers a panic when
# called by a print routine, the fmt package reformats the error message from the panic" (its documentation).
# Is: while fmt prints the value of such a panic, a second panic, of that value's own method, goes through to the caller of Sprint. And
# runtime.Goexit in a method ends the caller's goroutine; it is no panic.
# Seen: "one panic: caught by fmt / a panic whose value panics: went through / Goexit: ended the goroutine".
# So text of values that come from others is made where neither can end more than it should.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > go.mod <<'GO'
module finding

go 1.26
GO
cat > main.go <<'GO'
package main

import (
	"fmt"
	"runtime"
	"strings"
)

type text func() string

func (t text) String() string { return t() }

// sprint says what becomes of a goroutine that formats v.
func sprint(v any) string {
	how := make(chan string, 1)
	go func() {
		returned := false
		defer func() {
			switch v := recover(); {
			case v != nil:
				how <- "went through"
			case !returned:
				how <- "ended the goroutine"
			}
		}()
		s := fmt.Sprint(v)
		returned = true
		if strings.Contains(s, "PANIC") {
			how <- "caught by fmt"
		} else {
			how <- s
		}
	}()
	return <-how
}

func main() {
	one := text(func() string { panic("one") })
	two := text(func() string { panic(one) })
	goexit := text(func() string { runtime.Goexit(); return "" })
	fmt.Printf("one panic: %s / a panic whose value panics: %s / Goexit: %s\n", sprint(one), sprint(two), sprint(goexit))
}
GO
out=$(GOFLAGS= GOWORK=off go run .)
echo "$out"
[ "$out" = "one panic: caught by fmt / a panic whose value panics: went through / Goexit: ended the goroutine" ]
