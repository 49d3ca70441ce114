package actor_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gotasklet/tasklet/actor/event"
	"github.com/stretchr/testify/require"
)

// lastRule is the number of the last rule in docs/semantics.md.
const lastRule = 42

// The page has all rules in order, and behind each one to three tests that there are. Rule
// 38 has every kind of event.
func TestSemanticsPage(t *testing.T) {
	text, err := os.ReadFile("../docs/semantics.md")
	require.NoError(t, err)
	entry := regexp.MustCompile(`(?m)^\*\*(\d+)\. [^*]+\*\*`)
	at := entry.FindAllSubmatchIndex(text, -1)
	require.Len(t, at, lastRule)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), fmt.Sprintf("(docs/semantics.md): %d rules", lastRule))
	for i, m := range at {
		rule := string(text[m[2]:m[3]])
		require.Equal(t, strconv.Itoa(i+1), rule)
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		body := string(text[m[1]:end])
		_, list, ok := strings.Cut(body, "\nTests: ")
		require.True(t, ok, "rule %s names no tests", rule)
		list, _, ok = strings.Cut(list, ".\n")
		require.True(t, ok, "the tests of rule %s end without a full stop", rule)
		names := strings.Split(list, ", ")
		require.LessOrEqual(t, len(names), 3, "rule %s", rule)
		for _, name := range names {
			pkg, test, ok := strings.Cut(name, " ")
			require.True(t, ok, "rule %s has the test %q", rule, name)
			require.True(t, hasTest(t, pkg, test), "%s, for rule %s, does not exist", name, rule)
		}
		if rule == "38" {
			for k := event.Spawn; k <= event.SystemStop; k++ {
				require.Contains(t, body, "`"+k.String()+"`")
			}
		}
	}
}

// rulesIn gives the numbers of the rules that a text cites: "Rule 5", "rules 5, 7 and 13", and the
// TestRule5 of a test's name.
func rulesIn(text string) (numbers []int) {
	for _, m := range citation.FindAllString(text, -1) {
		for _, d := range digits.FindAllString(m, -1) {
			n, _ := strconv.Atoi(d)
			numbers = append(numbers, n)
		}
	}
	return numbers
}

var (
	citation = regexp.MustCompile(`[Rr]ules? ?\d+((, | and |, and )\d+)*`)
	digits   = regexp.MustCompile(`\d+`)
)

// A rule that is cited anywhere in the code is on the page, and every rule is cited by a test.
func TestRulesThatAreCited(t *testing.T) {
	require.Equal(t, []int{5, 7, 13, 21, 40}, rulesIn("// Rules 5, 7 and 13: as in rule 21.\nfunc TestRule40Of12(t *testing.T)"))

	byTests := map[int]bool{}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "semantics_test.go") {
			return err
		}
		src, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, n := range rulesIn(string(src)) {
			require.True(t, 1 <= n && n <= lastRule, "%s cites rule %d", path, n)
			byTests[n] = byTests[n] || strings.HasSuffix(path, "_test.go")
		}
		return nil
	})
	require.NoError(t, err)
	for n := 1; n <= lastRule; n++ {
		require.True(t, byTests[n], "no test cites rule %d", n)
	}
}
