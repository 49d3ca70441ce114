package actor_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// errorRow is a row of a table in docs/errors.md.
type errorRow struct {
	texts []string // in the first column, between back quotes
	tests []string // in the last, as "package TestName"
}

func errorRows(t *testing.T) (rows []errorRow) {
	t.Helper()
	text, err := os.ReadFile("../docs/errors.md")
	require.NoError(t, err)
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 6 || strings.HasPrefix(cells[1], "-") || strings.HasSuffix(strings.TrimSpace(cells[4]), "test") && len(cells[4]) < 8 {
			continue
		}
		var r errorRow
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			r.texts = append(r.texts, m[1])
		}
		for _, name := range strings.Split(cells[4], ",") {
			r.tests = append(r.tests, strings.TrimSpace(name))
		}
		rows = append(rows, r)
	}
	require.Greater(t, len(rows), 60)
	return rows
}

// patternOf is what texts of a row look like, where … stands for anything.
func patternOf(text string) *regexp.Regexp {
	return regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(text), "…", ".+") + "$")
}

// Every panic for misuse, in the code and in TestMisuse, has its row in docs/errors.md; every row
// is about one that is in the code, and names tests that there are.
func TestErrorsAreDocumented(t *testing.T) {
	rows := errorRows(t)
	for _, r := range rows {
		for _, name := range r.tests {
			pkg, test, ok := strings.Cut(name, " ")
			require.True(t, ok, "row %q has the test %q", r.texts, name)
			require.True(t, hasTest(t, pkg, test), "%s, for %q, does not exist", name, r.texts)
		}
	}

	var texts []string // with … for what varies
	for _, pkg := range []string{"internal/core", "scheduler", "scheduler/netio", "internal/queue", "actor", "actor/event", "actor/actortest", "registry",
		"supervisor", "supervisor/tree", "supervisor/machine", "supervisor/entity", "supervisor/work", "supervisor/service", "supervisor/health"} {
		texts = append(texts, misuseTexts(t, pkg)...)
	}
	require.Greater(t, len(texts), 60)
	find := func(text string) bool {
		for _, r := range rows {
			for _, p := range r.texts {
				if strings.Contains(p, ": ") && patternOf(p).MatchString(text) {
					return true
				}
			}
		}
		return false
	}
	for _, text := range texts {
		require.True(t, find(text), "no row in docs/errors.md for %q", text)
	}
	for _, m := range misuses {
		require.True(t, find(m.text), "no row in docs/errors.md for %q", m.text)
	}
	for _, r := range rows {
		for _, p := range r.texts {
			if !strings.Contains(p, ": ") {
				continue // an error value
			}
			in := false
			for _, text := range texts {
				in = in || patternOf(p).MatchString(text) || patternOf(text).MatchString(p)
			}
			require.True(t, in, "%q is not in the code", p)
		}
	}
}

// Every exported error, variable or type, has its row in docs/errors.md.
func TestErrorValuesAreDocumented(t *testing.T) {
	api, err := os.ReadFile("testdata/api.txt")
	require.NoError(t, err)
	rows := make(map[string]bool)
	for _, r := range errorRows(t) {
		for _, text := range r.texts {
			rows[text[strings.LastIndex(text, ".")+1:]] = true // without the package, and without *
		}
	}
	names := regexp.MustCompile(`(?m)^(?:var | +|type )(Err[A-Z]\w*|[A-Z]\w*Error)\b`).FindAllStringSubmatch(string(api), -1)
	require.Greater(t, len(names), 30)
	for _, name := range names {
		require.True(t, rows[name[1]], "no row in docs/errors.md for %s", name[1])
	}
}

// prefixOf returns the name that begins the error texts of a package. The engine speaks for the
// package that users see.
func prefixOf(pkg string) string {
	switch pkg {
	case "internal/core":
		return "scheduler"
	case "internal/queue":
		return "mailbox"
	}
	return path.Base(pkg)
}

// misuseTexts gives the texts of all calls of misuse in a package.
func misuseTexts(t *testing.T, pkg string) (texts []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", pkg, "*.go"))
	require.NoError(t, err)
	verb := regexp.MustCompile(`%[+#]?[a-z]`)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(f, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && pkg == "internal/queue" && strings.HasPrefix(lit.Value, `"Config.`) {
				// given to misuse elsewhere
				texts = append(texts, prefixOf(pkg)+": "+strings.Trim(lit.Value, `"`))
			}
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, ok := call.Fun.(*ast.Ident)
			if ok && fun.Name == "panic" && strings.HasPrefix(pkg, "supervisor") {
				if text := panicText(call.Args[0]); strings.Contains(text, ": ") && text != prefixOf(pkg)+": …" {
					texts = append(texts, strings.ReplaceAll(verb.ReplaceAllString(text, "…"), "……", "…"))
				}
			}
			if !ok || fun.Name != "misuse" {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			require.True(t, ok, "a format that is no literal, in %s", name)
			format, err := strconv.Unquote(lit.Value)
			require.NoError(t, err)
			text := strings.ReplaceAll(verb.ReplaceAllString(format, "…"), "……", "…")
			if text != "…" {
				texts = append(texts, prefixOf(pkg)+": "+text)
			}
			return true
		})
	}
	return texts
}

// panicText returns the text of a panic's value, with … for what varies.
func panicText(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, _ := strconv.Unquote(e.Value)
		return text
	case *ast.BinaryExpr:
		return panicText(e.X) + panicText(e.Y)
	case *ast.CallExpr: // of fmt.Sprintf
		return panicText(e.Args[0])
	}
	return "…"
}

// hasTest reports whether a package has a test function.
func hasTest(t *testing.T, pkg, test string) bool {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", pkg, "*_test.go"))
	require.NoError(t, err)
	for _, name := range names {
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		if strings.Contains(string(src), "\nfunc "+test+"(t *testing.T)") {
			return true
		}
	}
	return false
}
