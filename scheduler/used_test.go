package scheduler_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// TestExportedNamesAreUsed keeps the surface at what users need: every exported name is used by an
// example, a document, the comment of its package, or a test that is written as a user would write
// it, in a package of its own. A name that only other packages of the module use belongs into a
// package behind internal/.
func TestExportedNamesAreUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads source code, which is the same in all kinds of builds")
	}
	names, unused, err := unusedNames(os.DirFS(moduleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range unused {
		t.Errorf("%s is exported, and used by no example, document or external test", name)
	}
	for _, pkg := range slices.Sorted(maps.Keys(names)) {
		t.Logf("%s exports %d names at the top", pkg, names[pkg])
	}
	if names["scheduler/netio"] == 0 || names["actor"] == 0 {
		t.Errorf("no exported name in %v: the check looks at the wrong tree", names)
	}
}

// TestUsedCheckSeesUnusedNames plants a package with one use at a time of what it exports.
func TestUsedCheckSeesUnusedNames(t *testing.T) {
	const (
		source = `package actor
import "` + modulePath + `/internal/core"
type T struct { Field, hidden int; inner }
type inner struct { Deep int }
func (inner) Promoted() {}
func (T) Method() {}
func (T) String() string { return "" }
type hidden struct{ Field2 int }
type I interface { Ask() }
type Alias = core.Task
func F() {}
var V, v int
`
		engine = `package core
type Task struct{}
func (*Task) Run() {}
type Other struct{ A int }
`
		use = "package p_test\nimport \"" + modulePath + "/actor\"\n"
	)
	all := []string{"Alias", "Alias.Run", "F", "I", "I.Ask", "T", "T.Deep", "T.Field", "T.Method", "T.Promoted", "V"}
	for _, c := range []struct{ file, text, uses string }{
		{"actor/a_test.go", use + "var _ = actor.F", "F"},
		{"examples/x/main.go", strings.Replace(use, "p_test", "main", 1) + "var _ actor.T", "T"},
		{"registry/a_test.go", strings.Replace(use, `"git`, `a "git`, 1) + "var _ = a.V", "V"},
		{"registry/a_test.go", use + "var _ = x.F", ""},
		{"registry/a_test.go", use + "var _ = x.y.Method", "T.Method"},
		{"registry/a_test.go", use + "var _ = x{Field: 1}", "T.Field"},
		{"registry/a_test.go", use + "func (x) Ask() {}", "I.Ask"},
		{"registry/a_test.go", use + "func (x) Method() {}", ""},
		{"registry/a_test.go", "package p_test\nvar _ = x.Method", ""},
		{"registry/a_test.go", use + "var _ = x.Run", "Alias.Run"},
		{"registry/a_test.go", use + "var _, _ = x.Promoted, x.Deep", "T.Promoted T.Deep"},
		{"actor/a_test.go", use + "func ExampleT_Method_twice() {}", "T T.Method"},
		{"actor/a_test.go", use + "func Example_f() {}", ""},
		{"registry/a_test.go", use + "func ExampleF() {}", ""},
		// Not users.
		{"actor/a_test.go", strings.Replace(use, "p_test", "actor", 1) + "var _ = actor.F", ""},
		{"supervisor/a.go", strings.Replace(use, "p_test", "supervisor", 1) + "var _ = actor.F", ""},
		{"internal/core/a_test.go", use + "var _ = actor.F", ""},
		{"actor/testdata/a_test.go", use + "var _ = actor.F", ""},
		// Documents.
		{"README.md", "With actor.F, T and xactor.V", "F"},
		{"docs/a.md", "With `T.Method`, `F` and otheractor.V", "T.Method"},
		{"docs/a.md", "Field: a value", ""},
		{"docs/testdata/a.md", "actor.F", ""},
		{"CHANGELOG.md", "actor.F", ""},
		{"actor/doc.go", "// Package actor has [T.Method] and [F], T and V.\npackage actor", "T T.Method F"},
		{"actor/doc.go", "// Package actor:\n//\n//\tactor.F(T{})\npackage actor", "F"},
		{"mailbox/doc.go", "// Package mailbox has [F] and [actor.V].\npackage mailbox", "V"},
		{"actor/doc.go", "// Package actor.\npackage actor\n\n// [F] is one.\nvar _ int", ""},
	} {
		fsys := fstest.MapFS{
			"actor/actor.go":       {Data: []byte(source)},
			"internal/core/c.go":   {Data: []byte(engine)},
			"internal/core/go.txt": {},
			c.file:                 {Data: []byte(c.text)},
		}
		var want []string
		for _, name := range all {
			if !slices.Contains(strings.Fields(c.uses), name) {
				want = append(want, "actor."+name)
			}
		}
		_, got, err := unusedNames(fsys)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s with\n%s\nleaves unused %q\nwant %q", c.file, c.text, got, want)
		}
	}
}

// calledByOthers are methods that code outside of the module calls for interfaces of its own, so
// that users need not name them.
var calledByOthers = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Is": true}

// unusedNames returns how many names each public package of the module at the top of fsys exports
// at its top level, and every exported name that no user uses.
func unusedNames(fsys fs.FS) (count map[string]int, unused []string, err error) {
	count = map[string]int{}
	pkgs, err := publicPackages(fsys)
	if err != nil {
		return nil, nil, err
	}
	used := uses{pkgs: pkgs, top: map[string]bool{}, members: map[string]bool{}}
	if err := used.read(fsys); err != nil {
		return nil, nil, err
	}
	for _, pkg := range pkgs {
		own, err := declared(fsys, pkg)
		if err != nil {
			return nil, nil, err
		}
		for _, name := range slices.Sorted(maps.Keys(own)) {
			if !ast.IsExported(name) {
				continue
			}
			count[pkg]++
			if !used.top[pkg+"."+name] {
				unused = append(unused, pkg+"."+name)
			}
			members, err := own[name].all(fsys, own)
			if err != nil {
				return nil, nil, err
			}
			for _, m := range slices.Sorted(maps.Keys(members)) {
				if !used.member(pkg, m, members[m]) {
					unused = append(unused, pkg+"."+name+"."+m)
				}
			}
		}
	}
	return count, unused, nil
}

// publicPackages returns the packages that users can import. Programs are not among them.
func publicPackages(fsys fs.FS) (pkgs []string, err error) {
	err = fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (file == "internal" || file == "examples"):
			return fs.SkipDir
		case d.IsDir():
			return skipFolder(fsys, file)
		}
		dir := path.Dir(file)
		if path.Ext(file) == ".go" && !strings.HasSuffix(file, "_test.go") && !slices.Contains(pkgs, dir) {
			pkgs = append(pkgs, dir)
		}
		return nil
	})
	return pkgs, err
}

// kind is what a member of a type is.
type kind int

const (
	method kind = iota
	field
	asked // a method of an interface, which users implement
)

// decl is a name at the top level of a package, with the exported methods and fields that it
// declares itself if it is a type.
type decl struct {
	members  map[string]kind
	embedded []string  // of the same package
	alias    [2]string // the package in the module and the name, of an alias
}

// all returns the members of d with those that it gets from what it embeds or stands for.
func (d *decl) all(fsys fs.FS, own map[string]*decl) (map[string]kind, error) {
	if d.alias[0] != "" {
		theirs, err := declared(fsys, d.alias[0])
		if err != nil {
			return nil, err
		}
		if theirs[d.alias[1]] == nil {
			return nil, fmt.Errorf("%s has no %s", d.alias[0], d.alias[1])
		}
		return theirs[d.alias[1]].all(fsys, theirs)
	}
	members := maps.Clone(d.members)
	for _, name := range d.embedded {
		if e := own[name]; e != nil {
			inner, err := e.all(fsys, own)
			if err != nil {
				return nil, err
			}
			maps.Copy(members, inner)
		}
	}
	return members, nil
}

// declared returns the names at the top level of pkg, whatever the build tags of their files.
func declared(fsys fs.FS, pkg string) (map[string]*decl, error) {
	names := map[string]*decl{}
	get := func(name string) *decl {
		if names[name] == nil {
			names[name] = &decl{members: map[string]kind{}}
		}
		return names[name]
	}
	files, err := fs.Glob(fsys, pkg+"/*.go")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parse(fsys, file, 0)
		if err != nil {
			return nil, err
		}
		imports := importsOf(f)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					get(d.Name.Name)
				} else if name := d.Name.Name; ast.IsExported(name) {
					get(receiver(d.Recv.List[0].Type)).members[name] = method
				}
			case *ast.GenDecl:
				for _, s := range d.Specs {
					switch s := s.(type) {
					case *ast.ValueSpec:
						for _, name := range s.Names {
							get(name.Name)
						}
					case *ast.TypeSpec:
						get(s.Name.Name).declare(s, imports)
					}
				}
			}
		}
	}
	return names, nil
}

// declare adds what s says of the type d.
func (d *decl) declare(s *ast.TypeSpec, imports map[string]string) {
	var list *ast.FieldList
	as := field
	switch typ := s.Type.(type) {
	case *ast.StructType:
		list = typ.Fields
	case *ast.InterfaceType:
		list, as = typ.Methods, asked
	default:
		if ix, ok := typ.(*ast.IndexExpr); ok {
			s.Type = ix.X
		}
		if sel, ok := s.Type.(*ast.SelectorExpr); ok && s.Assign.IsValid() {
			d.alias = [2]string{imports[sel.X.(*ast.Ident).Name], sel.Sel.Name}
		} else if id, ok := s.Type.(*ast.Ident); ok && s.Assign.IsValid() {
			d.embedded = append(d.embedded, id.Name)
		}
		return
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			if name.IsExported() {
				d.members[name.Name] = as
			}
		}
		if f.Names == nil {
			d.embedded = append(d.embedded, receiver(f.Type))
		}
	}
}

// uses are the names that users use.
type uses struct {
	pkgs []string        // the public packages
	top  map[string]bool // "actor.New"
	// members has "actor.Kill" if a file that imports actor has a selector with that name,
	// "actor:Kill" for a key in a literal, and "actor()Kill" for a method that it declares. In
	// documents, which import nothing, it has ".Kill".
	members map[string]bool
}

func (u uses) member(pkg, name string, as kind) bool {
	if as != field && calledByOthers[name] {
		return true
	}
	in := func(how string) bool { return u.members[pkg+how+name] || u.members[how+name] }
	return in(".") || as == field && in(":") || as == asked && in("()")
}

// read collects the uses in the module at the top of fsys.
func (u uses) read(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file == "internal":
			return fs.SkipDir
		case d.IsDir():
			return skipFolder(fsys, file)
		}
		switch dir := path.Dir(file); {
		case file == "README.md", path.Ext(file) == ".md" && dir == "docs":
			text, err := fs.ReadFile(fsys, file)
			u.document(string(text), "")
			return err
		case path.Ext(file) != ".go":
			return nil
		case strings.HasSuffix(file, "_test.go"), strings.HasPrefix(file, "examples/"):
			f, err := parse(fsys, file, 0)
			if err == nil && (strings.HasSuffix(f.Name.Name, "_test") || strings.HasPrefix(file, "examples/")) {
				u.code(f, dir)
			}
			return err
		case slices.Contains(u.pkgs, dir):
			f, err := parse(fsys, file, parser.PackageClauseOnly|parser.ParseComments)
			if err == nil && f.Doc != nil {
				u.document(f.Doc.Text(), dir)
			}
			return err
		}
		return nil
	})
}

// code adds the uses in f, a file in dir: the selectors, the keys of composite literals, and what
// examples are named after.
func (u uses) code(f *ast.File, dir string) {
	imports := importsOf(f)
	member := func(how string) {
		for _, pkg := range imports {
			u.members[pkg+how] = true
		}
	}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv != nil {
			member("()" + fn.Name.Name)
		} else if ok {
			if of, ok := strings.CutPrefix(fn.Name.Name, "Example"); ok {
				names := strings.Split(of+"_", "_")
				u.top[dir+"."+names[0]] = true
				u.members[dir+"."+names[1]] = true
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if id, ok := n.X.(*ast.Ident); ok && imports[id.Name] != "" {
				u.top[imports[id.Name]+"."+n.Sel.Name] = true
			} else {
				member("." + n.Sel.Name)
			}
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				if kv, ok := e.(*ast.KeyValueExpr); ok {
					if id, ok := kv.Key.(*ast.Ident); ok {
						member(":" + id.Name)
					}
				}
			}
		}
		return true
	})
}

// selector is a name after a point, and what is before it. link is a name in brackets, as comments
// have it.
var (
	selector = regexp.MustCompile(`\b(\w+)\.([A-Z]\w*)`)
	link     = regexp.MustCompile(`\[\*?([A-Z]\w*)(?:\.\w+)*\]`)
)

// document adds the uses in a text: names with their package or type. A text that is the comment of
// package own has names of that package in brackets too.
func (u uses) document(text, own string) {
	for _, m := range selector.FindAllStringSubmatch(text, -1) {
		u.members["."+m[2]] = true
		for _, pkg := range u.pkgs {
			if path.Base(pkg) == m[1] {
				u.top[pkg+"."+m[2]] = true
			}
		}
	}
	if own != "" {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			u.top[own+"."+m[1]] = true
		}
	}
}

// importsOf returns the packages of the module that f imports, by the name they have in it.
func importsOf(f *ast.File) map[string]string {
	imports := map[string]string{}
	for _, spec := range f.Imports {
		full, err := strconv.Unquote(spec.Path.Value)
		pkg, ours := strings.CutPrefix(full, modulePath+"/")
		if err != nil || !ours {
			continue
		}
		name := path.Base(pkg)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = pkg
	}
	return imports
}

func parse(fsys fs.FS, file string, mode parser.Mode) (*ast.File, error) {
	src, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, err
	}
	return parser.ParseFile(token.NewFileSet(), file, src, mode|parser.SkipObjectResolution)
}
