package supervisor_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// run runs main as the root tasklet of a system on a virtual clock, and fails the test if that ends
// badly.
func run(t *testing.T, main func(t *actor.Tasklet)) {
	t.Helper()
	runWith(t, actor.Config{}, main)
}

func runWith(t *testing.T, cfg actor.Config, main func(t *actor.Tasklet)) {
	t.Helper()
	cfg.Clock = scheduler.NewVirtualClock(time.Time{})
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	require.NoError(t, actor.Run(context.Background(), cfg, func(t *actor.Tasklet) error { main(t); return nil }))
}

// settle lets everything happen that can happen now: virtual time goes on only when nothing is
// ready.
func settle(t *actor.Tasklet) { t.Sleep(time.Millisecond) }

var errCrash = errors.New("crash")

// family is a set of children that log what happens to them and do what is sent to them.
type family struct {
	log  []string
	refs map[string]actor.Ref[any]
	// fail gives the errors of the starts to come.
	fail map[string][]error
}

func newFamily() *family {
	return &family{refs: map[string]actor.Ref[any]{}, fail: map[string][]error{}}
}

// took gives what was logged since it was last asked for.
func (f *family) took() string {
	s := strings.Join(f.log, ", ")
	f.log = nil
	return s
}

func (f *family) ref(id string) actor.Ref[any] {
	if _, ok := f.refs[id]; !ok {
		f.refs[id] = actor.NewRef[any]()
	}
	return f.refs[id]
}

// child is a child that ends with an error that is sent to it, panics with a string, and calls a
// function.
func (f *family) child(id string) supervisor.Child {
	return supervisor.Child{ID: id, Body: actor.ReceiverInitBody(f.ref(id), func(t *actor.Tasklet) (func(*actor.Tasklet, any) error, error) {
		if errs := f.fail[id]; len(errs) > 0 {
			f.fail[id] = errs[1:]
			if errs[0] != nil {
				f.log = append(f.log, "fail "+id)
				return nil, errs[0]
			}
		}
		f.log = append(f.log, "start "+id)
		t.Defer(func() { f.log = append(f.log, "end "+id) })
		return func(t *actor.Tasklet, m any) error {
			switch m := m.(type) {
			case error:
				return m
			case string:
				panic(m)
			case func(*actor.Tasklet) error:
				return m(t)
			}
			return nil
		}, nil
	})}
}

func (f *family) children(ids ...string) (cs []supervisor.Child) {
	for _, id := range ids {
		cs = append(cs, f.child(id))
	}
	return cs
}

// send sends m to id's child and lets happen what comes of it.
func (f *family) send(t *actor.Tasklet, id string, m any) {
	if err := f.ref(id).Send(t, m); err != nil {
		panic(err)
	}
	settle(t)
}

// start starts a supervisor, which must succeed.
func start(t *actor.Tasklet, spec supervisor.Spec) *supervisor.Supervisor {
	s, err := supervisor.Start(t, spec)
	if err != nil {
		panic(err)
	}
	return s
}

// states gives the children with their states: "a running, b stopped".
func states(t *actor.Tasklet, s *supervisor.Supervisor) string {
	infos, err := s.Children(t)
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, i := range infos {
		out = append(out, i.ID+" "+i.State.String())
	}
	return strings.Join(out, ", ")
}

// inTree gives the names of t's children in the tree.
func inTree(t *actor.Tasklet) string {
	var names []string
	for _, c := range t.Children() {
		names = append(names, c.Name())
	}
	return strings.Join(names, " ")
}

// events collects the events of some kinds.
type events struct{ all []actor.EventRecord }

func (e *events) config(kinds ...event.Kind) actor.Config {
	return actor.Config{OnEvent: func(v actor.EventRecord) {
		if slices.Contains(kinds, v.Kind) {
			e.all = append(e.all, v)
		}
	}}
}

func (e *events) kinds() (names []string) {
	for _, v := range e.all {
		names = append(names, v.Kind.String()+" "+v.Path)
	}
	return names
}

// runs returns n, or a fifth of it if tests are to be short: those under the race detector, on
// other numbers of processors, and with checks after each step.
func runs(n int) int {
	if testing.Short() {
		return n / 5
	}
	return n
}
