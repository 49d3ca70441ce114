#!/bin/sh
# go.uber.org/zap v1.28.0, logger.go (terminalHookOverride): zap.WithFatalHook(zapcore.WriteThenNoop) does not keep Fatal from exiting.
#
# Guessed: WriteThenNoop "indicates that nothing special needs to be done", so Fatal returns, or the option is refused.
# Is: the hook is replaced by WriteThenFatal, without a word; the process ends with status 1. WriteThenPanic and a hook of one's own
# are taken as they are.
# Seen: "noop: exit 1", "own: went on, exit 0".
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

type own struct{}

func (own) OnWrite(*zapcore.CheckedEntry, []zapcore.Field) {}

func main() {
	var hook zapcore.CheckWriteHook = own{}
	if os.Args[1] == "noop" {
		hook = zapcore.WriteThenNoop
	}
	zap.NewNop().WithOptions(zap.WithFatalHook(hook)).Fatal("x")
	fmt.Print("went on, ")
}
GO
go mod init finding >/dev/null 2>&1
go get go.uber.org/zap@v1.28.0 >/dev/null 2>&1
go build -o prog .
seen=
for hook in noop own; do
	status=0
	out=$(./prog $hook) || status=$?
	seen="$seen$hook: ${out}exit $status
"
done
printf '%s' "$seen"
[ "$seen" = "noop: exit 1
own: went on, exit 0
" ]
