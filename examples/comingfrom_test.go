package examples

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What docs/coming-from.md says about Tasklet has a rule or a test, and names what is in the API.
func TestComingFromPage(t *testing.T) {
	rules := readPage(t, "../docs/semantics.md")
	api := readPage(t, "../actor/testdata/api.txt")
	names := regexp.MustCompile("`\\*?\\w+\\.(\\w+)`")
	rows := 0
	for line := range strings.Lines(readPage(t, "../docs/coming-from.md")) {
		if !strings.HasPrefix(line, "| ") || strings.HasSuffix(line, "| what differs | see |\n") {
			continue
		}
		cells := strings.Split(line, "|") // of which the first and the last are empty
		require.Len(t, cells, 6, line)
		here, see := cells[2], strings.TrimSpace(cells[4])
		if strings.TrimSpace(here) == "none" {
			continue
		}
		rows++
		for _, m := range names.FindAllStringSubmatch(here, -1) {
			require.Regexp(t, `\b`+m[1]+`\b`, api, line)
		}
		for _, cited := range strings.Split(see, ", ") {
			what, which, _ := strings.Cut(cited, " ")
			if what == "Rule" {
				require.Contains(t, rules, "\n**"+which+". ", line)
				continue
			}
			files, err := filepath.Glob(filepath.Join("..", what, "*_test.go"))
			require.NoError(t, err)
			found := false
			for _, f := range files {
				found = found || strings.Contains(readPage(t, f), "\nfunc "+which+"(t *testing.T)")
			}
			require.True(t, found, "there is no %q: %s", cited, line)
		}
	}
	require.Greater(t, rows, 70)
}
