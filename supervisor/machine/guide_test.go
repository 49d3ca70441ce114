package machine_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Go blocks of docs/machines.md are in the examples.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/machines.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	program := strings.ReplaceAll(string(source), "\t", "")
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.Len(t, blocks, 2)
	for _, b := range blocks {
		require.Contains(t, program, strings.ReplaceAll(b[1], "\t", ""), "in the guide, and not here")
	}
}
