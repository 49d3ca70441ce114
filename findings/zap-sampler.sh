#!/bin/sh
# go.uber.org/zap v1.28.0, zapcore/sampler.go (counters.get): the sampler drops messages that it never saw.
#
# Guessed: with first = 1 and thereafter = 0, the first entry of each message passes and its repetitions are dropped, as the comment
# on NewSamplerWithOptions says: "logging the first N entries with a given level and message each tick".
# Is: messages are counted by the hash of their text in 4096 counters a level. A message whose counter another one has used is
# dropped although it comes for the first time.
# Seen: "dropped 524 of 2000 different messages".
# So a sampler does not belong under a logger whose entries must all be seen once.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"io"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

func main() {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	core := zapcore.NewCore(encoder, zapcore.AddSync(io.Discard), zap.InfoLevel)
	dropped := 0
	count := zapcore.SamplerHook(func(_ zapcore.Entry, d zapcore.SamplingDecision) {
		if d&zapcore.LogDropped != 0 {
			dropped++
		}
	})
	log := zap.New(zapcore.NewSamplerWithOptions(core, time.Hour, 1, 0, count))
	for i := range 2000 {
		log.Info(fmt.Sprintf("message %d", i)) // each once, all different
	}
	fmt.Println("dropped", dropped, "of 2000 different messages")
}
GO
go mod init finding >/dev/null 2>&1
go get go.uber.org/zap@v1.28.0 >/dev/null 2>&1
seen=$(go run .)
echo "$seen"
[ "$seen" = "dropped 524 of 2000 different messages" ]
