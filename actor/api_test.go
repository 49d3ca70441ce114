package actor_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The exported surface of all packages, as declarations without comments. A change to it is
// seen in review: run with -rewrite and commit what is meant.
func TestAPI(t *testing.T) {
	var out bytes.Buffer
	for _, pkg := range []string{
		"scheduler", "scheduler/netio", "mailbox", "actor", "actor/event", "actor/reason", "supervisor/machine", "actor/flight", "actor/stats", "actor/flow", "actor/flow/limiter", "actor/otelactor",
		"actor/actortest", "supervisor/tree", "supervisor", "supervisor/work", "supervisor/service", "supervisor/entity", "supervisor/health", "supervisor/inspector",
		"supervisor/schedule", "registry", "registry/cluster", "registry/cluster/embedded", "registry/cluster/clustertest",
	} {
		fmt.Fprintf(&out, "package %s\n\n", path.Base(pkg))
		for _, decl := range exported(t, filepath.Join("..", pkg)) {
			out.WriteString(decl + "\n")
		}
		out.WriteString("\n")
	}
	golden(t, "api.txt", strings.TrimRight(out.String(), "\n")+"\n")
}

// blank is where a comment was.
var blank = regexp.MustCompile(`\n\s*\n`)

// exported gives the exported declarations of the package in dir.
func exported(t *testing.T, dir string) (decls []string) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_trampoline.go") {
			continue
		}
		src, err := os.ReadFile(name)
		require.NoError(t, err)
		f, err := parser.ParseFile(fset, name, src, 0)
		require.NoError(t, err)
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, "github.com/gotasklet/tasklet/"+filepath.Base(dir))
	require.NoError(t, err)
	add := func(d ast.Decl) {
		var buf bytes.Buffer
		require.NoError(t, (&printer.Config{Mode: printer.UseSpaces, Tabwidth: 4}).Fprint(&buf, fset, d))
		decls = append(decls, blank.ReplaceAllString(buf.String(), "\n"))
	}
	values := func(vs []*doc.Value) {
		for _, v := range vs {
			add(v.Decl)
		}
	}
	funcs := func(fs []*doc.Func) {
		for _, f := range fs {
			f.Decl.Body = nil
			add(f.Decl)
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs)
	for _, typ := range pkg.Types {
		add(typ.Decl)
		values(typ.Consts)
		values(typ.Vars)
		funcs(typ.Funcs)
		funcs(typ.Methods)
	}
	return decls
}
