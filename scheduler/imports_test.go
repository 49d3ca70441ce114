package scheduler_test

import (
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// This file is a statement of policy: which part of the module may import which.
// Do not change it to make a build pass. A new arrow needs its sentence here.
//
//	internal/core <- scheduler, internal/queue <- mailbox <- actor <- supervisor/tree <- supervisor
//	actor <- registry; all of them <- examples
//
// A part is a folder at the top; its sub-packages (scheduler/netio, actor/actortest) belong to it,
// may import each other, and keep to the arrows of their part; unless they have arrows of their
// own, as supervisor/tree. actor/actortest is for tests only: no program imports it, and actor
// itself only in its tests.

const modulePath = "github.com/gotasklet/tasklet"

// arrow says that files of one part may import package to of another part, and why.
type arrow struct{ to, because string }

// arrows bind the files that are built into a program.
var arrows = map[string][]arrow{
	// The bottom: what several parts need and no user does.
	"internal/stack":  {},
	"internal/guard":  {{"internal/stack", "a fault has the stack of its panic."}},
	"internal/own":    {},
	"internal/far":    {},
	"internal/vitals": {},
	"internal/gauge": {
		{"internal/core", "it reads counters that a scheduler writes without synchronization."},
	},
	"internal/list":       {},
	"internal/rendezvous": {},
	"internal/text":       {{"internal/guard", "it calls methods of the user's."}},
	"internal/backoff":    {},
	"internal/fields": {
		{"internal/stack", "the text of a stack is made when a log asks for it."},
		{"internal/guard", "it calls methods of the user's."},
		{"internal/text", "no field has what can't be printed."},
	},
	"internal/core": { // It knows tasks, and nothing of what a task is used for.
		{"internal/stack", "a panic as an error has its stack."},
		{"internal/guard", "what it calls of the user's is guarded."},
		{"internal/list", "waiters and timers leave their lines from the middle."},
		{"internal/text", "the text of an error is one line, whatever is in it."},
	},
	"internal/queue": {
		{"internal/gauge", "it samples the messages whose wait is measured, as handlers are sampled."},
		{"internal/guard", "what it calls of the user's is guarded."},
		{"internal/core", "a sender without room and a reader without messages park, and parking is the engine's."},
	},
	"scheduler": {
		{"internal/core", "its tools park tasks, and its clocks are those of the engine."},
	},
	"mailbox": {
		{"internal/queue", "a mailbox is the reading end of a queue."},
	},
	"actor": {
		{"internal/backoff", "actor/flow waits longer and longer between attempts."},
		{"internal/guard", "what it calls of the user's is guarded."},
		{"internal/stack", "events have the stacks of panics and stalls."},
		{"internal/own", "it reports no loss of what the library sends to itself, and calls its functions without a guard."},
		{"internal/list", "what a tasklet owns, and what hangs on it, is taken out of the middle."},
		{"internal/core", "a tasklet is a task with a name, a parent and a life cycle."},
		{"internal/queue", "a ref is an address with its queue."},
		{"scheduler", "its users meet clocks and errors there."},
		{"mailbox", "a body with a loop of its own reads a mailbox."},
		{"internal/text", "no name and no text has what can't be printed."},
		{"internal/fields", "no field of a log entry has what can't be printed."},
		{"internal/vitals", "it answers what supervisor/health and supervisor/inspector ask."},
		{"internal/gauge", "it keeps the counters that actor/stats shows."},
		{"internal/far", "refs and replies travel in messages to other nodes, which registry/cluster carries."},
	},
	"internal/view": {
		{"actor", "what supervisor/inspector sees of a tree are tasklets."},
		{"mailbox", "and the numbers of their mailboxes."},
	},
	"supervisor/tree": { // It knows supervisors by its own interface, so users can write others.
		{"internal/guard", "supervisors, errors and loggers are the user's, and what they do is guarded."},
		{"internal/own", "package supervisor is trusted to describe its children without a guard."},
		{"actor", "a tree shows tasklets."},
		{"mailbox", "a row has the numbers of a mailbox."},
		{"internal/text", "no cell of a row has what can't be printed."},
		{"internal/fields", "no field of a log entry has what can't be printed."},
		{"internal/vitals", "it remembers for supervisor/health the supervisors that have given up, and asks for the kinds of tasklets."},
		{"internal/gauge", "a row compares counters of two moments."},
		{"actor/stats", "a row has the times of a handler."},
		{"internal/view", "it is the source of the rows that supervisor/inspector shows."},
	},
	"supervisor/inspector": { // It shows and does what users could, so nothing depends on it.
		{"actor", "it shows a system, and kills and drains tasklets."},
		{"actor/event", "an action is an event."},
		{"actor/stats", "it shows the load of schedulers."},
		{"internal/fields", "no text that it shows has what can't be printed."},
		{"internal/guard", "who gets in, states and errors are the user's, and what they do is guarded."},
		{"internal/text", "no text that it shows has what can't be printed."},
		{"internal/view", "the rows of the page are those of the log."},
		{"internal/vitals", "it shows schedulers, names and watchers, and keeps the last events."},
		{"mailbox", "it says why a message was lost."},
		{"supervisor/tree", "each handler compares its surveys, for rates."},
		{"supervisor", "it restarts the children of supervisors."},
	},
	"supervisor/health": { // It asks and decides nothing, so nothing depends on it.
		{"actor", "a system is healthy or not."},
		{"internal/guard", "checks are the user's, and what they do is guarded."},
		{"internal/text", "no path and no error in a response has what can't be printed."},
		{"internal/vitals", "what it must know of schedulers and supervisors is nothing for users."},
		{"supervisor/tree", "it remembers the supervisors that have given up."},
	},
	"supervisor": {
		{"internal/backoff", "restarts wait longer and longer."},
		{"supervisor/tree", "it describes its children to the tree, and writes the tree to the log from time to time."},
		{"internal/guard", "what it calls of the user's is guarded, with nothing that users could not write themselves."},
		{"internal/own", "its requests to itself are no dead letters, and its callback needs no guard."},
		{"internal/list", "a child is taken out of the middle of the children."},
		{"internal/vitals", "when it gives up, supervisor/health must know."},
		{"actor/flow", "a queue of supervisor/work tries a message again as actor/flow tries a call."},
		{"actor", "a supervisor is an ordinary tasklet that uses what every user can use; a back door would be something that users miss too."},
		{"actor/event", "it adds kinds of events, and reports them."},
		{"actor/reason", "it looks at how tasklets ended."},
		{"mailbox", "its callers compare with mailbox's error values."},
		{"internal/text", "no name and no text has what can't be printed."},
		{"internal/fields", "no field of a log entry has what can't be printed."},
	},
	"registry": {
		{"internal/rendezvous", "a key chooses a member as on every node of a cluster."},
		{"internal/text", "no text has what can't be printed."},
		{"internal/vitals", "it answers what supervisor/inspector asks."},
		{"internal/guard", "what it calls of the user's is guarded, with nothing that users could not write themselves."},
		{"internal/own", "its requests to itself are no dead letters."},
		{"actor", "a name is a name for a ref."},
		{"actor/event", "it adds kinds of events, and reports them."},
		{"actor/reason", "it looks at how tasklets ended."},
		{"mailbox", "a closed ref is refused with mailbox's error value."},
	},
	"examples": {{"*", "a program uses what it likes; nothing imports a program."}},
}

// testArrows come on top of arrows in test files: a test may reach down as far as a user could. A
// key is a part, or one package of it.
var testArrows = map[string][]arrow{
	"internal/core": {
		{"scheduler", "benchmarks and examples use the tools that are made from it."},
	},
	"internal/queue": {
		{"scheduler", "a test picks the clock as users do."},
		{"internal/core/coretest", "an example runs tasks until they are done."},
	},
	"scheduler": {
		{"actor", "an example shows the tools as users meet them, in tasklets."},
	},
	"scheduler/netio": {
		{"actor", "an example shows connections where users meet them, in tasklets; netio itself knows tasks only."},
	},
	"mailbox": {
		{"actor", "only a tasklet has a mailbox."},
		{"scheduler", "a test picks the clock."},
	},
	"supervisor/tree": {
		{"scheduler", "a test picks the clock."},
		{"supervisor", "a test shows trees of the supervisors that most users have."},
		{"actor/event", "a test looks at what is reported."},
		{"actor/reason", "a test looks at how tasklets ended."},
	},
	"supervisor/inspector": {
		{"actor/actortest", "a test looks at a tree on a virtual clock."},
		{"registry", "a page shows names and groups."},
		{"supervisor/tree", "a test compares a page with the log."},
	},
	"supervisor/health": {
		{"scheduler", "a test picks the clock."},
		{"supervisor", "a test asks about the supervisors that most users have."},
		{"actor/event", "a test looks at what is reported."},
		{"actor/actortest", "a test runs on the virtual clock."},
	},
	"supervisor": {
		{"scheduler", "a test picks the clock."},
		{"internal/core", "the test of all times of the API covers the engine too."},
		{"actor/stats", "a test counts what is not logged."},
		{"actor/actortest", "a test runs on the virtual clock."},
	},
	"registry": {
		{"scheduler", "a test picks the clock."},
		{"actor/actortest", "a test runs on the virtual clock."},
		{"supervisor", "a name outlives the restarts of its tasklet, and only a supervisor restarts."},
		{"supervisor/tree", "a tree shows names and groups as labels."},
	},
}

// thirdParty are the modules from outside the standard library.
var thirdParty = []arrow{
	{"github.com/google/uuid", "the ID of a tasklet is a UUID."},
	{"go.uber.org/zap", "the log is structured, and costs nothing when its level is off."},
}

// testThirdParty come on top of thirdParty in test files.
var testThirdParty = []arrow{
	{"github.com/stretchr/testify", "a test states what it requires in one line."},
}

func TestImportsPointOneWay(t *testing.T) {
	files, wrong, err := checkImports(os.DirFS(moduleRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	if !slices.Contains(files, "scheduler/imports_test.go") {
		t.Errorf("this file is not among the %d files read: the check looks at the wrong tree", len(files))
	}
}

// TestImportCheckSeesViolations plants one file at a time in an otherwise empty module.
func TestImportCheckSeesViolations(t *testing.T) {
	const m = modulePath + "/"
	for _, c := range []struct {
		file, imports string
		ok            bool
	}{
		{"scheduler/a.go", "time", true},
		{"scheduler/a.go", m + "scheduler/netio", true},
		{"scheduler/netio/a.go", m + "scheduler", true},
		{"scheduler/a.go", m + "mailbox", false},
		{"scheduler/a_test.go", m + "actor", true},
		{"scheduler/a_test.go", m + "mailbox", false},
		{"scheduler/a_test.go", m + "registry", false},
		{"scheduler/netio/a.go", m + "actor", false},
		{"scheduler/netio/a_test.go", m + "actor", true},
		{"scheduler/netio/a_test.go", m + "registry", false},
		{"scheduler/a.go", m + "internal/core", true},
		{"internal/core/a.go", m + "scheduler", false},
		{"internal/queue/a.go", m + "internal/core", true},
		{"internal/queue/a.go", m + "mailbox", false},
		{"internal/core/a.go", m + "internal/queue", false},
		{"mailbox/a.go", m + "internal/queue", true},
		{"mailbox/a.go", m + "internal/core", false},
		{"actor/a.go", m + "internal/queue", true},
		{"supervisor/a.go", m + "internal/core", false},
		{"actor/a.go", m + "scheduler/netio", false},
		{"supervisor/a_test.go", m + "scheduler/netio", false},
		{"examples/x/main.go", m + "scheduler/netio", true},
		{"scheduler/a_other.go", "//go:build plan9\n" + m + "mailbox", false},
		{"mailbox/a.go", m + "scheduler", false},
		{"mailbox/a.go", m + "scheduler/netio", false},
		{"mailbox/a.go", m + "actor", false},
		{"actor/a.go", m + "scheduler", true},
		{"actor/a.go", m + "mailbox", true},
		{"actor/a.go", m + "supervisor", false},
		{"actor/a_test.go", m + "actor/actortest", true},
		{"actor/actortest/a.go", m + "registry", false},
		{"supervisor/a.go", m + "actor", true},
		{"supervisor/a.go", m + "mailbox", true},
		{"supervisor/a.go", m + "scheduler", false},
		{"supervisor/a.go", m + "registry", false},
		{"supervisor/a.go", m + "actor/actortest", false},
		{"supervisor/a_test.go", m + "actor/actortest", true},
		{"supervisor/inspector/a.go", m + "scheduler", false},
		{"supervisor/a.go", m + "supervisor/tree", true},
		{"supervisor/tree/a.go", m + "actor", true},
		{"supervisor/tree/a.go", m + "supervisor", false},
		{"supervisor/tree/a.go", m + "internal/core", false},
		{"supervisor/tree/a_test.go", m + "supervisor", true},
		{"actor/a_test.go", m + "supervisor/tree", false},
		{"registry/a.go", m + "actor", true},
		{"registry/a.go", m + "supervisor", false},
		{"registry/a_test.go", m + "supervisor", true},
		{"examples/x/main.go", m + "registry", true},
		{"examples/x/main.go", m + "examples/y", true},
		{"actor/a_test.go", m + "examples/x", false},
		{"actor/a.go", "go.uber.org/zap/zapcore", true},
		{"actor/a.go", "go.uber.org/zapx", false},
		{"actor/a.go", "github.com/google/uuid", true},
		{"actor/a.go", "github.com/stretchr/testify/require", false},
		{"actor/a_test.go", "github.com/stretchr/testify/require", true},
		{"examples/x/main.go", "golang.org/x/sync/errgroup", false},
		{"tasklet.go", "time", false},
		{"tool/a.go", "time", false},
		{"actor/a.go", modulePath, false},
		// Not of this module, or not Go's business.
		{"actor/testdata/a.go", m + "supervisor", true},
		{".ci/a.go", m + "supervisor", true},
		{"_old/a.go", m + "supervisor", true},
	} {
		src := "package p\n"
		imports := c.imports
		if tag, rest, found := strings.Cut(imports, "\n"); found {
			src, imports = tag+"\n\n"+src, rest
		}
		src += "import _ " + strconv.Quote(imports) + "\n"
		_, wrong, err := checkImports(fstest.MapFS{c.file: {Data: []byte(src)}})
		if err != nil {
			t.Fatal(err)
		}
		if ok := len(wrong) == 0; ok != c.ok {
			t.Errorf("%s imports %s: accepted %v, want %v %q", c.file, c.imports, ok, c.ok, wrong)
		}
	}

	nested := fstest.MapFS{
		"examples/x/go.mod":  {Data: []byte("module x\n")},
		"examples/x/main.go": {Data: []byte("package main\nimport _ \"golang.org/x/sync/errgroup\"\n")},
	}
	if _, wrong, err := checkImports(nested); err != nil || len(wrong) > 0 {
		t.Errorf("a module of its own was checked by this one's rules: %q, %v", wrong, err)
	}
}

// checkImports reads every Go file of the module at the top of fsys, whatever its build tags,
// and returns the files read and one sentence for each import that no arrow allows.
func checkImports(fsys fs.FS) (files, wrong []string, err error) {
	err = fs.WalkDir(fsys, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(fsys, file)
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		src, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		files = append(files, file)
		if _, ok := arrows[partOf(path.Dir(file))]; !ok {
			wrong = append(wrong, fmt.Sprintf("%s belongs to no part of the module: parts are the keys of arrows", file))
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if rule := brokenRule(file, imported); rule != "" {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", file, imported, rule))
			}
		}
		return nil
	})
	return files, wrong, err
}

// skipFolder is fs.SkipDir for folders that the go command leaves out of the module.
func skipFolder(fsys fs.FS, folder string) error {
	if folder == "." {
		return nil
	}
	if name := path.Base(folder); name[0] == '.' || name[0] == '_' || name == "testdata" || name == "vendor" {
		return fs.SkipDir
	}
	switch _, err := fs.Stat(fsys, folder+"/go.mod"); {
	case err == nil:
		return fs.SkipDir
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// brokenRule says which rule file breaks when it imports the package at importPath; "" is none.
func brokenRule(file, importPath string) string {
	part, isTest := partOf(path.Dir(file)), strings.HasSuffix(file, "_test.go")

	if to, ours := strings.CutPrefix(importPath, modulePath+"/"); ours || importPath == modulePath {
		if partOf(to) == part {
			return ""
		}
		allowed := arrows[part]
		if isTest {
			allowed = slices.Concat(allowed, testArrows[part], testArrows[path.Dir(file)])
		}
		if slices.ContainsFunc(allowed, func(a arrow) bool { return a.to == "*" || a.to == to }) {
			return ""
		}
		return fmt.Sprintf("no arrow leads from %s to it", part)
	}

	if first, _, _ := strings.Cut(importPath, "/"); !strings.Contains(first, ".") {
		return "" // the standard library
	}
	allowed := thirdParty
	if isTest {
		allowed = slices.Concat(allowed, testThirdParty)
	}
	if slices.ContainsFunc(allowed, func(a arrow) bool {
		return importPath == a.to || strings.HasPrefix(importPath, a.to+"/")
	}) {
		return ""
	}
	return "the library depends on uuid and zap, its tests on testify too, and on nothing else"
}

// partOf is the part that a package belongs to, named by the package's path in the module.
func partOf(pkg string) string {
	if _, ok := arrows[pkg]; ok {
		return pkg
	}
	part, rest, _ := strings.Cut(pkg, "/")
	if part == "internal" {
		sub, _, _ := strings.Cut(rest, "/")
		return part + "/" + sub
	}
	return part
}

// moduleRoot is the nearest folder above with a go.mod.
func moduleRoot(t *testing.T) string {
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("no go.mod above the test")
		}
		dir = parent
	}
}
