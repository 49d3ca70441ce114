package actortest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/gotasklet/tasklet/actor"
)

// Explore runs f as [Run] does, n times, with n seeds. Each seed determines which of the ready
// tasklets runs next and, with [Faults], which faults occur and when. The first failing run fails
// the test, and Explore prints a command that replays it:
//
//	go test -run '^TestTransfer$' ./bank -actortest.seed=0x2a:17,40
//
// Before that, Explore shrinks the run: it takes back decisions and faults as long as the run fails
// in the same way. The remaining ones are listed; often only the one decision that matters is left.
//
// f is called once for each run, so it must make everything that it uses anew. It must use the TB
// of the run, TB(t), instead of the test's. A skipped run counts as one that passed. Explore panics
// if n is not positive or f is nil.
//
// A seed identifies the same run as long as the program is the same, and its tasklets get no input
// from other goroutines, or from the time or random numbers of the machine. The results of Await
// are an exception: they are taken in the order in which the Awaits began.
func Explore(tb testing.TB, n int, f func(t *actor.Tasklet), opts ...Option) {
	tb.Helper()
	switch {
	case f == nil:
		misuse("Explore with a nil function")
	case n <= 0:
		misuse("Explore with n = %d: nothing would be tested", n)
	}
	e := &exploration{tb: tb, o: newOptions(opts), f: f}
	if replaying.seed != 0 {
		if r := e.try(replaying.seed, replaying.only); r.fails() {
			e.report(e.shrunk(r), "fails (as requested by -actortest.seed)")
		} else {
			tb.Logf("actortest: seed %s does not fail", replaying)
		}
		return
	}
	for i := range n {
		seed := e.o.first + uint64(i)
		if seed == 0 {
			continue // too far
		}
		if r := e.try(seed, nil); r.fails() {
			e.report(e.shrunk(r), fmt.Sprintf("fails, number %d of %d", i+1, n))
			return
		}
	}
}

// exploration is one call of Explore.
type exploration struct {
	tb testing.TB
	o  *options
	f  func(*actor.Tasklet)
}

// attempt is one run.
type attempt struct {
	seed replay
	rec  *recorder
	s    *trial
	acts []act
	kind string // of its first problem; "" if it went well
}

func (a *attempt) fails() bool { return a.kind != "" }

// try runs f with a seed. only is as in plan.
func (e *exploration) try(seed uint64, only map[int]bool) *attempt {
	rec := &recorder{TB: e.tb}
	before := e.tb.Failed()
	s := newTrial(rec, e.o, newPlan(seed, e.o.faults, only), seed)
	s.run(e.f)
	s.log.end()
	rec.end()
	a := &attempt{seed: replay{seed: seed, only: only}, rec: rec, s: s, acts: s.plan.acts}
	switch {
	case !before && e.tb.Failed():
		a.kind = foreign
	case rec.Failed():
		a.kind = "test"
	case len(s.problems) > 0:
		a.kind = s.problems[0].kind
	}
	return a
}

// foreign is the kind of a run that failed through the test's own TB.
const foreign = "the test's own TB"

// report fails the test with the failing run a.
func (e *exploration) report(a *attempt, how string) {
	e.tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "actortest: seed %#x %s\nreplay it with\n    %s\n", a.seed.seed, how, command(e.tb.Name(), a.seed))
	if a.seed.only != nil && len(a.acts) == 0 {
		b.WriteString("it fails in the plain order, and so with every seed\n")
	} else {
		fmt.Fprintf(&b, "the failure needs:\n")
		for _, act := range a.acts[max(0, len(a.acts)-lastLines):] {
			fmt.Fprintf(&b, "    %v %s (decision %d)\n", act.at, act.text, act.n)
		}
		if more := len(a.acts) - lastLines; more > 0 {
			fmt.Fprintf(&b, "    and %d before these\n", more)
		}
	}
	if a.kind == foreign {
		b.WriteString("it failed the test itself: use actortest.TB(t) in the function that is explored\n")
	}
	for _, p := range a.s.problems {
		fmt.Fprintf(&b, "%s\n", p.text)
	}
	if len(a.rec.logs) > 0 {
		fmt.Fprintf(&b, "its log:\n    %s\n", strings.ReplaceAll(strings.Join(a.rec.logs, "\n"), "\n", "\n    "))
	}
	if !a.s.told {
		b.WriteString(a.s.lastEvents() + "\n")
	}
	e.tb.Errorf("%s", b.String())
}

// command returns the command that replays a run, for the top directory of the module.
func command(test string, r replay) string {
	var names []string
	for _, part := range strings.Split(test, "/") {
		// it stands in quotes of the shell
		names = append(names, "^"+strings.ReplaceAll(regexp.QuoteMeta(part), "'", ".")+"$")
	}
	return fmt.Sprintf("go test -run '%s' %s -actortest.seed=%s", strings.Join(names, "/"), packageDir(), r)
}

// packageDir returns the directory of the test relative to that of its module. The go command runs
// a test in the directory of its package.
func packageDir() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	for top := dir; ; top = filepath.Dir(top) {
		if _, err := os.Stat(filepath.Join(top, "go.mod")); err == nil {
			if rel, err := filepath.Rel(top, dir); err == nil && rel != "." {
				return "./" + filepath.ToSlash(rel)
			}
			return "."
		}
		if top == filepath.Dir(top) {
			return "."
		}
	}
}

// replay identifies a run that can be repeated. As a flag it is a seed, or a seed and the decisions
// that count: "0x2a", "0x2a:17,40", and "0x2a:none".
type replay struct {
	seed uint64
	only map[int]bool
}

var replaying replay

func init() {
	flag.Var(&replaying, "actortest.seed", "let actortest.Explore run only this `seed`, as it was printed by a run that failed")
}

func (r replay) String() string {
	if r.seed == 0 {
		return "" // the default of the flag
	}
	text := fmt.Sprintf("%#x", r.seed)
	if r.only == nil {
		return text
	}
	if len(r.only) == 0 {
		return text + ":none"
	}
	for i, n := range sorted(r.only) {
		text += string(",:"[boolInt(i == 0)]) + strconv.Itoa(n)
	}
	return text
}

func (r *replay) Set(text string) error {
	seed, rest, some := strings.Cut(text, ":")
	n, err := strconv.ParseUint(seed, 0, 64)
	if err != nil {
		return err
	}
	if n == 0 {
		return fmt.Errorf("0 is no seed")
	}
	*r = replay{seed: n}
	if !some {
		return nil
	}
	r.only = map[int]bool{}
	if rest == "none" {
		return nil
	}
	for _, d := range strings.Split(rest, ",") {
		i, err := strconv.Atoi(d)
		if err != nil || i < 0 {
			return fmt.Errorf("%q is no decision", d)
		}
		r.only[i] = true
	}
	return nil
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
