package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// address makes a channel of the first line of what serve prints.
type address chan string

func (a address) Write(p []byte) (int, error) {
	a <- strings.TrimSpace(string(p))
	return len(p), nil
}

// The pages that docs/profiling.md asks are there, and a trace has regions with the paths.
func TestServe(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	printed, done := make(address, 1), make(chan error)
	go func() { done <- serve(ctx, "127.0.0.1:0", t.TempDir(), printed) }()
	page := <-printed
	get := func(path string) []byte {
		answer, err := http.Get(strings.TrimSuffix(page, "/debug/tasklets/") + path)
		require.NoError(t, err)
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode, "%s", body)
		return body
	}
	tree := get("/debug/tasklets/api/tree?format=text")
	for _, name := range []string{"history", "tax", "orders", "report"} {
		require.Contains(t, string(tree), name)
	}
	recorded := get("/debug/pprof/trace?seconds=0.3")
	for _, text := range []string{"main.Order", "tick", "/slow/tax", "/slow/history", "/slow/orders"} {
		require.True(t, bytes.Contains(recorded, []byte(text)), text)
	}
	cancel()
	require.NoError(t, <-done)
}

func TestFlags(t *testing.T) {
	for line, want := range map[string]string{
		"-seconds=0":               "-seconds is positive",
		"now":                      "there are no arguments",
		"-x":                       "not defined: -x",
		"-addr=127.0.0.1:no":       "slow: listen tcp",
		"-seconds=1 -addr=1.2.3.4": "slow: listen tcp",
	} {
		var stderr strings.Builder
		require.NotZero(t, run(strings.Fields(line), nil, io.Discard, &stderr), line)
		require.Contains(t, stderr.String(), want)
	}
	require.Zero(t, run([]string{"-h"}, nil, io.Discard, io.Discard))
}

// The Go block of docs/profiling.md is in main.go.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/profiling.md")
	require.NoError(t, err)
	program, err := os.ReadFile("main.go")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllSubmatch(guide, -1)
	require.Len(t, blocks, 1)
	require.Contains(t, strings.ReplaceAll(string(program), "\t", ""), strings.ReplaceAll(string(blocks[0][1]), "\t", ""))
}
