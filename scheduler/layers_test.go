package scheduler_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestActorIsLayered holds package actor to the table of its files in docs/design.md: a function
// calls functions of lower levels, or of its own file, so that no file has to be read to understand
// another one of its level. Types are words that all levels share; calls through an interface lead
// to whoever implements it.
func TestActorIsLayered(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	levels, upward := layersOf(string(text))
	fset, files, info := typecheck(t, exportsOf(t, "actor"), "actor")
	calls := callsBetween(fset, files, info)
	for _, wrong := range wrongCalls(levels, upward, calls) {
		t.Error(wrong)
	}
	for _, f := range files {
		if len(f.Decls) == 0 {
			continue // the package comment
		}
		if name := fileOf(fset, f.Pos()); levels[name] == 0 {
			t.Errorf("%s.go has no level in docs/design.md", name)
		} else {
			delete(levels, name)
		}
	}
	for name := range levels {
		t.Errorf("docs/design.md has a level for %s.go, which does not exist", name)
	}
}

func TestWrongCalls(t *testing.T) {
	levels, upward := layersOf("| 1 | `a`, `b` | x |\n| 2 | `c` | y |\n| `b` → `c` | because |\n| `a` → `c` | because |\n")
	got := wrongCalls(levels, upward, map[fileCall]bool{{"c", "a", "f"}: true, {"a", "b", "g"}: true, {"b", "c", "h"}: true})
	want := []string{
		"a calls g of b, which is not on a lower level",
		"docs/design.md allows a to call c, which it does not",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

// fileCall says that a file calls a function of another one.
type fileCall struct{ from, to, function string }

var (
	levelRow  = regexp.MustCompile("(?m)^\\| (\\d+) +\\| (`[a-z]+`.*?) *\\|")
	upwardRow = regexp.MustCompile("(?m)^\\| `([a-z]+)` → `([a-z]+)` +\\|")
	fileName  = regexp.MustCompile("`([a-z]+)`")
)

// layersOf returns the level of each file, and the pairs of files that are allowed to break the
// rule.
func layersOf(text string) (levels map[string]int, upward map[[2]string]bool) {
	levels, upward = map[string]int{}, map[[2]string]bool{}
	for i, row := range levelRow.FindAllStringSubmatch(text, -1) {
		for _, name := range fileName.FindAllStringSubmatch(row[2], -1) {
			levels[name[1]] = i + 1
		}
	}
	for _, row := range upwardRow.FindAllStringSubmatch(text, -1) {
		upward[[2]string{row[1], row[2]}] = true
	}
	return levels, upward
}

// wrongCalls returns what is wrong, in order.
func wrongCalls(levels map[string]int, upward map[[2]string]bool, calls map[fileCall]bool) (wrong []string) {
	used := map[[2]string]bool{}
	for c := range calls {
		pair := [2]string{c.from, c.to}
		switch {
		case levels[c.to] < levels[c.from]:
		case upward[pair]:
			used[pair] = true
		default:
			wrong = append(wrong, c.from+" calls "+c.function+" of "+c.to+", which is not on a lower level")
		}
	}
	for pair := range upward {
		if !used[pair] {
			wrong = append(wrong, "docs/design.md allows "+pair[0]+" to call "+pair[1]+", which it does not")
		}
	}
	slices.Sort(wrong)
	return wrong
}

func fileOf(fset *token.FileSet, p token.Pos) string {
	return strings.TrimSuffix(filepath.Base(fset.Position(p).Filename), ".go")
}

// callsBetween finds the functions that each file uses of others.
func callsBetween(fset *token.FileSet, files []*ast.File, info *types.Info) map[fileCall]bool {
	calls := map[fileCall]bool{}
	for id, o := range info.Uses {
		f, ok := o.(*types.Func)
		if !ok || f.Pkg() == nil || !strings.HasPrefix(fset.Position(f.Pos()).Filename, filepath.Dir(fset.Position(files[0].Pos()).Filename)) {
			continue
		}
		if r := f.Signature().Recv(); r != nil && types.IsInterface(r.Type()) {
			continue
		}
		if from, to := fileOf(fset, id.Pos()), fileOf(fset, f.Pos()); from != to {
			calls[fileCall{from, to, f.Name()}] = true
		}
	}
	return calls
}
