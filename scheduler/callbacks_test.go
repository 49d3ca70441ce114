package scheduler_test

import (
	"bufio"
	"bytes"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Code of the user's that the library calls may panic, end its goroutine, or block.
// testdata/callbacks.txt lists each place that calls a function value, a method of an error, of a
// context's, logger's or handler's interface, or what looks at errors and fields for it; with the
// reason why that place hurts nobody but whoever brought the code:
//
//	guard   called by internal/guard, or on the teller's goroutine, which stands a failure
//	body    in the tasklet's own body, whose end it is
//	caller  on the stack of the caller who gave it, and for nobody else
//	ours    a function of the library's own, or of a package above it; its failure is a bug
//	crash   between two activations, by those who build on package scheduler: a panic is a crash, which is told
//
// A new place fails the test until it is in the list. Say there what protects it, and let a test
// show that.
func TestCallbacksAreGuarded(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads source code, which is the same in all kinds of builds")
	}
	got := findCallbacks(t)
	file := filepath.Join("testdata", "callbacks.txt")
	want := map[string]string{}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if reason, place, ok := strings.Cut(lines.Text(), "\t"); ok {
			want[place] = reason
		}
	}
	for _, place := range slices.Sorted(maps.Keys(got)) {
		switch want[place] {
		case "guard", "body", "caller", "ours", "crash":
		default:
			t.Errorf("%s is not in %s with a reason (%q): what if code of the user panics or calls runtime.Goexit there?",
				place, file, want[place])
		}
	}
	for _, place := range slices.Sorted(maps.Keys(want)) {
		if !got[place] {
			t.Errorf("%s is in %s, but not in the code", place, file)
		}
	}
}

// findCallbacks gives the places, as "package function callee".
func findCallbacks(t *testing.T) map[string]bool {
	t.Helper()
	pkgs := []string{"internal/core", "scheduler", "internal/queue", "mailbox", "actor", "supervisor/tree", "supervisor", "supervisor/work", "supervisor/service", "supervisor/entity", "supervisor/health", "supervisor/inspector", "registry"}
	exports := exportsOf(t, pkgs...)
	places := map[string]bool{}
	for _, pkg := range pkgs {
		_, files, info := typecheck(t, exports, pkg)
		own := literals(info, files)
		for _, f := range files {
			for _, d := range f.Decls {
				name := "var"
				if fn, ok := d.(*ast.FuncDecl); ok {
					name = fn.Name.Name
					if fn.Recv != nil {
						name = receiver(fn.Recv.List[0].Type) + "." + name
					}
				}
				ast.Inspect(d, func(n ast.Node) bool {
					if call, ok := n.(*ast.CallExpr); ok {
						if callee := foreign(info, own, call); callee != "" {
							places[fmt.Sprintf("%s %s %s", pkg, name, callee)] = true
						}
					}
					return true
				})
			}
		}
	}
	return places
}

// exportsOf returns the files with the export data of pkgs and of all that they import.
func exportsOf(t *testing.T, pkgs ...string) map[string]string {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}"}
	for _, pkg := range pkgs {
		args = append(args, "./"+pkg)
	}
	list := exec.Command("go", args...)
	list.Dir = moduleRoot(t)
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = file
	}
	return exports
}

// typecheck reads the files of pkg that are built into a program.
func typecheck(t *testing.T, exports map[string]string, pkg string) (*token.FileSet, []*ast.File, *types.Info) {
	t.Helper()
	root := moduleRoot(t)
	fset := token.NewFileSet()
	imp := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var files []*ast.File
	for _, name := range goFiles(t, root, pkg) {
		f, err := parser.ParseFile(fset, filepath.Join(root, pkg, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{},
	}
	if _, err := (&types.Config{Importer: imp}).Check(modulePath+"/"+pkg, fset, files, info); err != nil {
		t.Fatal(err)
	}
	return fset, files, info
}

func goFiles(t *testing.T, root, pkg string) []string {
	t.Helper()
	list := exec.Command("go", "list", "-f", `{{join .GoFiles "\n"}}`, "./"+pkg)
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Fields(string(out))
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.IndexListExpr:
		return receiver(e.X)
	}
	return types.ExprString(e)
}

// looking are functions of other packages that call methods of what they are given.
var looking = map[string]bool{
	"errors.Is": true, "errors.As": true, "errors.AsType": true, "zap.Error": true, "zap.NamedError": true, "zap.Any": true,
	"zap.Stringer": true, "zap.Reflect": true, "zap.Object": true, "zap.Inline": true, "zap.Errors": true,
}

// literals are the variables that a function literal is assigned to where they are declared: those
// call code that is seen.
func literals(info *types.Info, files []*ast.File) map[types.Object]bool {
	own := map[types.Object]bool{}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && a.Tok == token.DEFINE && len(a.Lhs) == len(a.Rhs) {
				for i, r := range a.Rhs {
					if _, literal := r.(*ast.FuncLit); literal {
						own[info.Defs[a.Lhs[i].(*ast.Ident)]] = true
					}
				}
			}
			return true
		})
	}
	return own
}

// foreign names what call calls, if that may be code of the user's.
func foreign(info *types.Info, own map[types.Object]bool, call *ast.CallExpr) string {
	fun := ast.Unparen(call.Fun)
	if tv := info.Types[fun]; tv.IsType() || tv.IsBuiltin() {
		return ""
	}
	switch f := fun.(type) {
	case *ast.Ident:
		if v, ok := info.Uses[f].(*types.Var); ok && !own[v] {
			return v.Name()
		}
	case *ast.SelectorExpr:
		text := types.ExprString(f)
		if looking[text] {
			return text
		}
		sel := info.Selections[f]
		if sel == nil {
			return ""
		}
		if sel.Kind() == types.FieldVal {
			return text
		}
		if types.IsInterface(sel.Recv()) {
			if _, param := sel.Recv().(*types.TypeParam); !param && ofUsers(sel.Recv()) {
				return text
			}
		}
	}
	return ""
}

// ofUsers reports whether a user may implement the interface: it has a name outside of the module's
// own unexported ones.
func ofUsers(t types.Type) bool {
	named, ok := t.(*types.Named)
	if !ok {
		return true // written out: what else could be behind it
	}
	if named.Obj().Pkg() != nil && strings.HasPrefix(named.Obj().Pkg().Path(), modulePath) {
		iface := named.Underlying().(*types.Interface)
		for m := range iface.Methods() {
			if !m.Exported() {
				return false
			}
		}
		return named.Obj().Exported()
	}
	path := ""
	if named.Obj().Pkg() != nil {
		path = named.Obj().Pkg().Path()
	}
	return path+"."+named.Obj().Name() != "reflect.Type"
}
