package health_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// probe prints the answer to a probe, as an orchestrator gets it.
func probe(url string) error {
	r, err := http.Get(url)
	if err != nil {
		return err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	fmt.Print(r.Request.URL.Path, " ", r.StatusCode, " ", string(body))
	return err
}

// The Go blocks of docs/health.md are parts of the example.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../docs/health.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	program := strings.ReplaceAll(string(source), "\t", "")
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(guide), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		require.Contains(t, program, strings.ReplaceAll(b[1], "\t", ""), "in the guide, and not here")
	}
}
