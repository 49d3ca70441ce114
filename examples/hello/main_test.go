package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/scheduler"
)

// Example runs the program on a virtual clock, with the messages of its log on standard output.
func Example() {
	encoder := zapcore.NewConsoleEncoder(zapcore.EncoderConfig{MessageKey: "message"})
	config.Logger = zap.New(zapcore.NewCore(encoder, zapcore.AddSync(withoutFields{}), zap.InfoLevel))
	config.Clock = scheduler.NewVirtualClock(time.Time{})
	main()
	// Output:
	// system started
	// Hello, Ada
	// /hello/front/greeter: restart
	// Hello, Grace
	// supervision tree  system=hello tasklets=2 restarts=1 stalled=0
	// front                  supervisor  one_for_one  up 2s  restarts 1/1 in 5s
	// └─ greeter  RESTARTED  receiver    idle         mailbox 0/8 peak 3  handled 3  last: no name (2s ago)
	// system stopped
}

// withoutFields writes entries to standard output without their fields, which have random IDs.
type withoutFields struct{}

var fields = regexp.MustCompile(`(?m)\s*\{"system".*\}$`)

func (withoutFields) Write(entry []byte) (int, error) {
	_, err := os.Stdout.Write(fields.ReplaceAll(entry, nil))
	return len(entry), err
}

// README.md shows this program from its variables on, to the letter, and the tree that Example
// prints.
func TestReadme(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		return string(b)
	}
	readme := read("../../README.md")
	block := func(language string) string {
		_, b, found := strings.Cut(readme, "```"+language+"\n")
		require.True(t, found)
		b, _, _ = strings.Cut(b, "```\n")
		return b
	}
	_, program, found := strings.Cut(read("main.go"), "\nvar ")
	require.True(t, found)
	require.Equal(t, "var "+program, block("go"))

	commented := "\t// " + strings.ReplaceAll(strings.TrimSpace(block("text")), "\n", "\n\t// ") + "\n"
	require.Contains(t, read("main_test.go"), commented)
}
