package supervisor_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/scheduler"
	"github.com/gotasklet/tasklet/supervisor"
)

// What OTP 25's supervisors did in 100 random scenarios with trees of supervisors and with pools:
// children that are ignored, kills amid starts and stops, calls by others meanwhile. To be done by
// ours, step by step.

type scenario2 struct {
	N                 int
	Kind              string
	Top               node2
	Restart, Shutdown string // of kind "simple": the children's
	Intensity         int
	Commands          [][]json.RawMessage
	Trace             []step2
}

func (s *scenario2) UnmarshalJSON(data []byte) error {
	type plain scenario2
	if err := json.Unmarshal(data, (*plain)(s)); err != nil {
		return err
	}
	if s.Kind == "simple" {
		s.Top = node2{ID: "top", Type: "pool", Intensity: s.Intensity, ChildRestart: s.Restart, ChildShutdown: s.Shutdown}
	}
	return nil
}

// node2 is a child specification.
type node2 struct {
	ID, Type, Restart, Shutdown, Strategy string
	Significant                           bool
	Fail, Ignore                          []int
	Intensity                             int
	AutoShutdown                          string `json:"auto_shutdown"`
	Children                              []node2
	ChildRestart                          string              `json:"child_restart"`
	ChildShutdown                         string              `json:"child_shutdown"`
	CrashOnStart                          [][]json.RawMessage `json:"crash_on_start"`
	CallOnStart                           [][]json.RawMessage `json:"call_on_start"`
	CrashOnStop                           []string            `json:"crash_on_stop"`
}

type step2 struct {
	Op, Result             string
	Events, Orphans, Calls []string
	Sups                   []json.RawMessage
	Alive                  *bool
}

// being is one incarnation of a node.
type being struct {
	n      *node2
	t      *actor.Tasklet
	above  *being                 // its supervisor; nil: it is the top
	inbox  *scheduler.Chan[error] // of a worker: how it is to end
	byHand bool                   // it was killed by a command
}

func (b *being) runs() bool { return b != nil && b.t != nil && !b.t.HasFinished() }

// orphan reports whether a supervisor above b was killed, by hand or by the brutal kill of the one
// above that.
func (b *being) orphan() bool {
	for s := b.above; s != nil; s = s.above {
		if s.byHand || s.n.Shutdown == "brutal_kill" && s.t.Glance().Killed {
			return true
		}
	}
	return false
}

// replay2 is a scenario at work, on one scheduler.
type replay2 struct {
	t        *actor.Tasklet // the one that gives the commands
	operator actor.Ref[func(*actor.Tasklet)]
	attempts map[string]int
	newest   map[string]*being // by ID
	pools    map[string]*supervisor.Pool[node2]
	// the first init of the child that is held waits for it; nil: none is
	gate   *scheduler.Event
	bodies map[string]actor.Body // of the supervisors and pools
	// from here on ours does something else, and says so; see supervises
	differs bool
	step    step2
}

func (r *replay2) happened(b *being, what string) {
	if b.orphan() {
		r.step.Orphans = append(r.step.Orphans, what)
	} else {
		r.step.Events = append(r.step.Events, what)
	}
}

// begins is the begin of an init: what is due in the start of n.
func (r *replay2) begins(t *actor.Tasklet, n *node2) (*being, error) {
	above := r.newestOf(t.Parent())
	b := &being{n: n, t: t, above: above}
	if n.Type == "worker" && r.gate != nil && n.ID[0] == 'h' && r.attempts[n.ID] == 0 {
		gate := r.gate
		r.attempts[n.ID]++
		if err := gate.Wait(t); err != nil {
			return nil, err
		}
	} else {
		r.attempts[n.ID]++
	}
	attempt := r.attempts[n.ID]
	for _, c := range n.CrashOnStart {
		var i int
		var id string
		must(json.Unmarshal(c[0], &i))
		must(json.Unmarshal(c[1], &id))
		if i == attempt {
			r.crash(t, r.newest[id])
		}
	}
	for _, c := range n.CallOnStart {
		var i int
		var op, id string
		must(json.Unmarshal(c[0], &i))
		must(json.Unmarshal(c[1], &op))
		must(json.Unmarshal(c[2], &id))
		switch {
		case i != attempt:
		case op == "crash": // not in OTP's traces: a crash after a call
			r.crash(t, r.newest[id])
		default:
			r.byOthers(t, above, op, id)
		}
	}
	switch {
	case slices.Contains(n.Fail, attempt):
		r.happened(b, "fail "+n.ID)
		return nil, errors.New("no start")
	case slices.Contains(n.Ignore, attempt):
		r.happened(b, "ignore "+n.ID)
		return nil, actor.ErrStop
	}
	r.happened(b, "start "+n.ID)
	r.newest[n.ID] = b
	return b, nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (r *replay2) newestOf(t *actor.Tasklet) *being {
	for _, b := range r.newest {
		if b.t == t {
			return b
		}
	}
	return nil
}

// crash lets b crash, a supervisor by a kill, and waits for its end.
func (r *replay2) crash(t *actor.Tasklet, b *being) {
	if !b.runs() {
		return
	}
	if b.n.Type == "worker" {
		b.inbox.TrySend(errCrash)
	} else {
		r.kill(b)
	}
	_ = b.t.Join(t)
}

func (r *replay2) kill(b *being) {
	r.happened(b, "kill "+b.n.ID)
	b.byHand = true
	b.t.Kill()
}

// byOthers lets somebody else call the supervisor s, and returns when the call is in its queue.
func (r *replay2) byOthers(t *actor.Tasklet, s *being, op, id string) {
	must(r.operator.Send(t, func(t *actor.Tasklet) {
		actor.Go(t, func(t *actor.Tasklet) error {
			r.step.Calls = append(r.step.Calls, op+" "+id+": "+r.call(t, s, op, id))
			return nil
		})
	}))
	for range 5 {
		t.Yield()
	}
}

// call is a call to the supervisor s.
func (r *replay2) call(t *actor.Tasklet, s *being, op, id string) string {
	sup := supervisor.Of(s.t)
	if sup == nil {
		return "supervisor_ended"
	}
	switch op {
	case "terminate":
		return result(sup.StopChild(t, id))
	case "delete":
		return result(sup.DeleteChild(t, id))
	}
	started, err := sup.RestartChild(t, id)
	if err == nil && started == nil {
		return "ignored"
	}
	return result(err)
}

var restartTypes = map[string]supervisor.Restart{
	"permanent": supervisor.Permanent, "transient": supervisor.Transient, "temporary": supervisor.Temporary,
}

// child makes the specification of n.
func (r *replay2) child(n *node2) supervisor.Child {
	c := supervisor.Child{ID: n.ID, Restart: restartTypes[n.Restart], Significant: n.Significant}
	switch n.Shutdown {
	case "brutal_kill":
		c.Shutdown = actor.BrutalKill
	case "timeout":
		c.Shutdown = 15 * time.Millisecond
	}
	if n.Type == "worker" {
		c.Body = actor.GoBody(func(t *actor.Tasklet) error { return r.work(t) })
		c.Options = []actor.Option{actor.OnStart(func(t *actor.Tasklet) error {
			b, err := r.begins(t, n)
			if err == nil {
				b.inbox = scheduler.NewChan[error](1)
			}
			return err
		})}
		return c
	}
	c.Body = r.above(n)
	r.bodies[n.ID] = c.Body
	c.Options = []actor.Option{actor.OnStart(func(t *actor.Tasklet) error { return r.supervises(t, n) })}
	return c
}

// supervises is the begin of a supervisor's or a pool's start.
func (r *replay2) supervises(t *actor.Tasklet, n *node2) error {
	b, err := r.begins(t, n)
	for _, c := range n.Children {
		// A supervisor has a ref of its own, and a child of the spec whose ref has ended for good
		// is not started again.
		if body := r.bodies[c.ID]; body != nil {
			_, err := actor.CheckSlot(body)
			r.differs = r.differs || errors.Is(err, actor.ErrRefDead)
		}
	}
	if err == nil {
		t.Defer(func() {
			if !b.byHand {
				r.happened(b, "end "+n.ID)
			}
		})
	}
	return err
}

// above is the body of a supervisor or a pool.
func (r *replay2) above(n *node2) actor.Body {
	if n.Type == "pool" {
		p := supervisor.NewPool(r.poolSpec(n))
		r.pools[n.ID] = p
		return p.Body()
	}
	return supervisor.Body(r.spec(n))
}

func intensityOf(n int) int {
	if n == 0 {
		return supervisor.NoRestart
	}
	return n
}

func (r *replay2) poolSpec(n *node2) supervisor.PoolSpec[node2] {
	spec := supervisor.PoolSpec[node2]{Name: n.ID, Intensity: intensityOf(n.Intensity), Period: time.Hour}
	switch n.ChildShutdown {
	case "brutal_kill":
		spec.Shutdown = actor.BrutalKill
	case "timeout":
		spec.Shutdown = 15 * time.Millisecond
	}
	spec.Child = func(k node2) supervisor.Child { return r.child(&k) }
	return spec
}

func (r *replay2) spec(n *node2) supervisor.Spec {
	spec := supervisor.Spec{Name: n.ID, Intensity: intensityOf(n.Intensity), Period: time.Hour}
	spec.Strategy = map[string]supervisor.Strategy{
		"one_for_one": supervisor.OneForOne, "one_for_all": supervisor.OneForAll, "rest_for_one": supervisor.RestForOne,
	}[n.Strategy]
	spec.AutoShutdown = map[string]supervisor.AutoShutdown{
		"never": supervisor.Never, "any_significant": supervisor.AnySignificant, "all_significant": supervisor.AllSignificant,
	}[n.AutoShutdown]
	for i := range n.Children {
		spec.Children = append(spec.Children, r.child(&n.Children[i]))
	}
	return spec
}

// work is the body of a worker.
func (r *replay2) work(t *actor.Tasklet) error {
	b := r.newestOf(t)
	stopped := true
	defer func() {
		if !stopped || b.byHand {
			return
		}
		for _, id := range b.n.CrashOnStop {
			y := r.newest[id]
			if y.runs() && !b.above.byHand && y.above == b.above && b.n.Shutdown != "brutal_kill" {
				r.crash(t, y)
			}
		}
		r.happened(b, "stop "+b.n.ID)
		if b.n.Shutdown == "timeout" {
			t.Sleep(time.Hour)
		}
	}()
	err, _ := b.inbox.Receive(t)
	stopped = false
	r.happened(b, map[error]string{errCrash: "crash ", nil: "normal ", actor.ErrShutdown: "shutdown "}[err]+b.n.ID)
	return err
}

var endings = map[string]error{"crash": errCrash, "exit_normal": nil, "exit_shutdown": actor.ErrShutdown}

// command does one command, and gives its result.
func (r *replay2) command(c []json.RawMessage) string {
	word := func(i int) (s string) {
		must(json.Unmarshal(c[i], &s))
		return s
	}
	op := word(0)
	b := r.newest[word(1)]
	switch op {
	case "crash", "exit_normal", "exit_shutdown", "kill":
		switch {
		case !b.runs():
			return "no_process"
		case op == "kill":
			r.kill(b)
		default:
			b.inbox.TrySend(endings[op])
		}
		return "ok"
	case "crash2":
		other := r.newest[word(2)]
		if !b.runs() || !other.runs() {
			return "no_process"
		}
		b.inbox.TrySend(errCrash)
		other.inbox.TrySend(errCrash)
		return "ok"
	}
	if !b.runs() {
		return "no_supervisor"
	}
	switch {
	case op == "terminate_pid":
		k := r.newest[word(2)]
		if k == nil {
			return "no_process"
		}
		err := r.pools[b.n.ID].Stop(r.t, k.t)
		if errors.Is(err, supervisor.ErrNotFound) && k.t.HasFinished() { // OTP says ok
			return "ok"
		}
		return result(err)
	case b.n.Type == "pool":
		k := node2{ID: word(2), Type: "worker", Restart: b.n.ChildRestart, Shutdown: b.n.ChildShutdown}
		must(json.Unmarshal(c[3], &k))
		return startResult(r.pools[b.n.ID].Start(r.t, k))
	case op == "start", op == "hold":
		n := new(node2)
		must(json.Unmarshal(c[2], n))
		sup := supervisor.Of(b.t)
		if op == "start" {
			return startResult(sup.StartChild(r.t, r.child(n)))
		}
		return r.hold(b, n, c[3])
	}
	return r.call(r.t, b, op, word(2))
}

// hold starts n, whose init waits until the actions are done.
func (r *replay2) hold(s *being, n *node2, script json.RawMessage) (res string) {
	r.gate = new(scheduler.Event)
	gate := r.gate
	sup := supervisor.Of(s.t)
	starter := actor.Go(r.t, func(t *actor.Tasklet) error {
		res = startResult(sup.StartChild(t, r.child(n)))
		return nil
	})
	settle(r.t)
	var actions [][]string
	must(json.Unmarshal(script, &actions))
	for _, a := range actions {
		switch b := r.newest[a[1]]; a[0] {
		case "crash":
			r.crash(r.t, b)
		case "kill":
			if b.runs() {
				r.kill(b)
				_ = b.t.Join(r.t)
			}
		default:
			r.byOthers(r.t, s, a[0], a[1])
		}
	}
	r.gate = nil
	gate.Set()
	_ = starter.Join(r.t)
	return res
}

func startResult(t *actor.Tasklet, err error) string {
	if err == nil && t == nil {
		return "ignored"
	}
	return result(err)
}

// see completes the step: what there is to be seen, but for the supervisors if they are as before.
func (r *replay2) see(op, result string, top *being) step2 {
	r.t.Sleep(100 * time.Millisecond)
	s := r.step
	r.step = step2{}
	s.Op, s.Result = op, result
	slices.Sort(s.Orphans)
	slices.Sort(s.Calls)
	alive := top.runs()
	s.Alive = &alive
	if alive {
		s.Sups = r.sups(top)
	}
	return s
}

// sups are the supervisors that run, as OTP's trace has them.
func (r *replay2) sups(top *being) (rows []json.RawMessage) {
	var look func(b *being)
	row := func(b *being, children [][2]string, specs, running int) {
		if children == nil {
			children = [][2]string{}
		}
		text, err := json.Marshal([]any{b.n.ID, children, [2]int{specs, running}})
		must(err)
		rows = append(rows, text)
	}
	look = func(b *being) {
		var children [][2]string
		if b.n.Type == "pool" {
			for _, c := range b.t.Children() {
				children = append(children, [2]string{c.Name(), "running"})
			}
			slices.SortFunc(children, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
			row(b, children, r.pools[b.n.ID].Len(), len(children))
			return
		}
		sup := supervisor.Of(b.t)
		infos, err := sup.Children(r.t)
		must(err)
		count, err := sup.Count(r.t)
		must(err)
		for _, c := range infos {
			state := c.State.String()
			if c.State == supervisor.Stopped {
				state = "undefined"
			}
			children = append(children, [2]string{c.ID, state})
		}
		row(b, children, len(infos), count[supervisor.Running])
		for _, c := range infos {
			if below := r.newestOf(c.Tasklet); c.Tasklet != nil && below.n.Type != "worker" {
				look(below)
			}
		}
	}
	look(top)
	return rows
}

// play plays s to its end, or as far as the trace goes, or until ours differs from OTP as it says.
func (s *scenario2) play(t *actor.Tasklet) (steps []step2, differs bool) {
	r := &replay2{t: t, attempts: map[string]int{}, newest: map[string]*being{}}
	r.bodies, r.pools = map[string]actor.Body{}, map[string]*supervisor.Pool[node2]{}
	r.operator = actor.Receiver(t, func(t *actor.Tasklet, f func(*actor.Tasklet)) error { f(t); return nil })
	top := &being{n: &s.Top}
	r.newest["top"] = top
	err := actor.StartTasklet(t, r.above(&s.Top), actor.OnStart(func(t *actor.Tasklet) error { top.t = t; return nil })).Started(t)
	res := result(err)
	var start *supervisor.StartError
	if errors.As(err, &start) {
		res = "failed_to_start_child " + start.ID
	}
	steps = append(steps, r.see("start", res, top))
	for _, c := range s.Commands {
		if !top.runs() || len(steps) == len(s.Trace) {
			return steps, false
		}
		var op string
		must(json.Unmarshal(c[0], &op))
		step := r.see(op, r.command(c), top)
		if r.differs {
			return steps, true
		}
		steps = append(steps, step)
		if err := t.System().Check(); err != nil {
			panic(err)
		}
	}
	if top.runs() && len(steps) < len(s.Trace) {
		top.t.Kill()
		_ = top.t.Join(t)
		steps = append(steps, r.see("stop", "ok", top))
	}
	return steps, false
}

// expected gives the trace with all that is left out in it as usual.
func (s *scenario2) expected() (steps []step2) {
	alive, over := true, false
	var sups []json.RawMessage
	for _, step := range s.Trace {
		if step.Alive == nil {
			step.Alive = &alive
		} else if !*step.Alive {
			step.Alive = &over
		}
		if step.Sups == nil && *step.Alive {
			step.Sups = sups
		}
		sups = step.Sups
		steps = append(steps, step)
	}
	return steps
}

// text is a step in one line for each thing, in an order that does not matter made one.
func (s step2) text() string {
	// The children of a pool, which alone are called k1, k2 ..., have no order when it ends.
	stopOfPool := func(e string) bool { return strings.HasPrefix(e, "stop k") && len(e) > len("stop k") }
	for from := 0; from < len(s.Events); from++ {
		to := from
		for to < len(s.Events) && stopOfPool(s.Events[to]) {
			to++
		}
		slices.Sort(s.Events[from:to])
		from = max(from, to-1)
	}
	var sups []string
	for _, row := range s.Sups {
		var v any
		must(json.Unmarshal(row, &v))
		sups = append(sups, fmt.Sprint(v))
	}
	slices.Sort(sups)
	return fmt.Sprintf("%s: %s\nevents  %v\norphans %v\ncalls   %v\nalive   %v\nsups    %v",
		s.Op, s.Result, s.Events, s.Orphans, s.Calls, *s.Alive, sups)
}

func TestOTPTraces2(t *testing.T) {
	f, err := os.Open("testdata/otp-traces-2.jsonl")
	require.NoError(t, err)
	defer f.Close()
	n, differ := 0, 0
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for ; lines.Scan(); n++ {
		s := new(scenario2)
		require.NoError(t, json.Unmarshal(lines.Bytes(), s))
		t.Run(fmt.Sprint(s.N), func(t *testing.T) {
			var got []step2
			var differs bool
			run(t, func(t *actor.Tasklet) { got, differs = s.play(t) })
			want := s.expected()
			for i := range min(len(got), len(want)) {
				require.Equal(t, want[i].text(), got[i].text(), "step %d; commands %s", i, s.Commands)
			}
			if differs {
				differ++
			} else {
				require.Len(t, got, len(want))
			}
		})
	}
	require.Equal(t, 100, n)
	require.Equal(t, 1, differ)
}

// As in OTP, where the request to try a start again names the child and not the failure: one that
// is out of date, because the child was stopped and its start has failed once more, counts as the
// new one. Here it comes before the call that the third init of b makes, so a is restarted first
// and then stopped.
func TestOutOfDateRetry(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) {
		r := &replay2{t: t0, attempts: map[string]int{}, newest: map[string]*being{}}
		r.bodies = map[string]actor.Body{}
		r.operator = actor.Receiver(t0, func(t *actor.Tasklet, f func(*actor.Tasklet)) error { f(t); return nil })
		var n node2
		must(json.Unmarshal([]byte(`{"id":"top","type":"supervisor","strategy":"one_for_all","intensity":9,"auto_shutdown":"never","children":[
			{"id":"a","type":"worker","restart":"permanent","shutdown":"graceful"},
			{"id":"b","type":"worker","restart":"permanent","shutdown":"graceful","fail":[2,3],
				"call_on_start":[[2,"terminate","b"],[2,"crash","a"],[3,"terminate","a"]]}]}`), &n))
		top := &being{n: &n}
		r.newest["top"] = top
		err := actor.StartTasklet(t0, r.above(&n), actor.OnStart(func(t *actor.Tasklet) error { top.t = t; return nil })).Started(t0)
		require.NoError(t, err)
		r.see("start", "ok", top)
		r.newest["b"].inbox.TrySend(errCrash)
		s := r.see("crash", "ok", top)
		require.Equal(t, []string{
			"crash b", "stop a", "start a", "crash a", "fail b", "start a", "fail b", "stop a", "start a", "start b", "stop a",
		}, s.Events)
		require.JSONEq(t, `["top",[["a","undefined"],["b","running"]],[2,1]]`, string(s.Sups[0]))
	})
}
