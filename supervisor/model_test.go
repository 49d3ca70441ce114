package supervisor_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
)

// model is the obvious supervisor: a list of children and OTP's rules, without tasklets.
type model struct {
	s        *scenario
	period   time.Duration
	now      time.Duration
	children []*modelChild
	restarts []time.Duration
	attempts map[string]int
	events   []string
	ended    bool
}

type modelChild struct {
	scenarioChild
	state string
}

func newModel(s *scenario, period time.Duration) *model {
	return &model{s: s, period: period, attempts: map[string]int{}, events: []string{}}
}

func (m *model) find(id string) *modelChild {
	for _, c := range m.children {
		if c.ID == id {
			return c
		}
	}
	return nil
}

func (m *model) drop(c *modelChild) {
	m.children = slices.DeleteFunc(m.children, func(x *modelChild) bool { return x == c })
}

func (m *model) start(c *modelChild) bool {
	m.attempts[c.ID]++
	if slices.Contains(c.FailStart, m.attempts[c.ID]) {
		m.events = append(m.events, "fail "+c.ID)
		return false
	}
	m.events = append(m.events, "start "+c.ID)
	c.state = "running"
	return true
}

func (m *model) stop(c *modelChild) {
	if c.state == "running" {
		m.events = append(m.events, "stop "+c.ID)
	}
	c.state = "undefined"
}

func (m *model) end() {
	for _, c := range slices.Backward(m.children) {
		m.stop(c)
	}
	m.children, m.ended = nil, true
}

// exited is do_restart.
func (m *model) exited(c *modelChild, failure bool) {
	c.state = "undefined"
	switch {
	case c.Restart == "permanent" || c.Restart == "transient" && failure:
		m.restart(c)
		return
	case c.Restart == "temporary":
		m.drop(c)
	}
	if !c.Significant {
		return
	}
	others := slices.ContainsFunc(m.children, func(x *modelChild) bool { return x.Significant && x.state != "undefined" })
	if m.s.AutoShutdown == "any_significant" || m.s.AutoShutdown == "all_significant" && !others {
		m.end()
	}
}

// restart is restart/2.
func (m *model) restart(c *modelChild) {
	for {
		m.restarts = append(m.restarts, m.now)
		n := 0
		for _, at := range m.restarts {
			if m.now-at <= m.period {
				n++
			}
		}
		if n > m.s.Intensity {
			c.state = "undefined"
			m.end()
			return
		}
		if c = m.again(c); c == nil {
			return
		}
	}
}

// again restarts c and its group; it gives the child that failed to start.
func (m *model) again(c *modelChild) (failed *modelChild) {
	from := slices.Index(m.children, c)
	switch m.s.Strategy {
	case "one_for_one":
		if m.start(c) {
			return nil
		}
		c.state = "restarting"
		return c
	case "one_for_all":
		from = 0
	}
	for _, x := range slices.Backward(slices.Clone(m.children[from:])) {
		m.stop(x)
		if x.Restart == "temporary" {
			m.drop(x)
		}
	}
	for _, x := range m.children[from:] {
		if !m.start(x) {
			x.state = "restarting"
			return x
		}
	}
	return nil
}

func (m *model) command(op string, arg json.RawMessage) string {
	var id string
	var spec scenarioChild
	if op == "start" {
		_ = json.Unmarshal(arg, &spec)
		id = spec.ID
	} else {
		_ = json.Unmarshal(arg, &id)
	}
	c := m.find(id)
	switch op {
	case "advance":
		d, _ := time.ParseDuration(id)
		m.now += d
		return "ok"
	case "start":
		switch {
		case c != nil && c.state == "undefined":
			return "already_present"
		case c != nil:
			return "already_started"
		}
		c = &modelChild{spec, "undefined"}
		if !m.start(c) {
			return "start_error"
		}
		m.children = append(m.children, c)
		return "ok"
	case "crash", "exit_normal", "exit_shutdown":
		if c == nil || c.state != "running" {
			return "no_process"
		}
		m.events = append(m.events, map[string]string{"crash": "crash ", "exit_normal": "normal ", "exit_shutdown": "shutdown "}[op]+id)
		m.exited(c, op == "crash")
		return "ok"
	case "kill":
		if c == nil || c.state != "running" {
			return "no_process"
		}
		m.events = append(m.events, "stop "+id) // not by itself, as the child sees it
		m.exited(c, true)
		return "ok"
	}
	switch {
	case c == nil:
		return "not_found"
	case op == "terminate":
		m.stop(c)
		if c.Restart == "temporary" {
			m.drop(c)
		}
		return "ok"
	case c.state == "running":
		return "running"
	case c.state == "restarting":
		return "restarting"
	case op == "delete":
		m.drop(c)
		return "ok"
	}
	if !m.start(c) {
		return "start_error"
	}
	return "ok"
}

func (m *model) step(op, result string) scenarioStep {
	m.now += time.Millisecond
	s := scenarioStep{Op: op, Result: result, Events: m.events, Children: [][2]string{}, Alive: !m.ended}
	m.events = []string{}
	for _, c := range m.children {
		s.Children = append(s.Children, [2]string{c.ID, c.state})
	}
	return s
}

// play gives what should happen in s.
func (m *model) play() (steps []scenarioStep) {
	result := "ok"
	for _, c := range m.s.Children {
		x := &modelChild{c, "undefined"}
		if !m.start(x) {
			m.end()
			result = "failed_to_start_child " + c.ID
			break
		}
		m.children = append(m.children, x)
	}
	steps = append(steps, m.step("start", result))
	for _, c := range m.s.Commands {
		if m.ended {
			return steps
		}
		var op string
		_ = json.Unmarshal(c[0], &op)
		result := m.command(op, c[1])
		steps = append(steps, m.step(op, result))
	}
	if !m.ended {
		m.end()
		steps = append(steps, m.step("stop", "ok"))
	}
	return steps
}

// The model does what OTP did.
func TestModelAgainstOTP(t *testing.T) {
	for _, s := range readScenarios(t) {
		require.Equal(t, s.Trace, newModel(s, time.Hour).play(), "scenario %d", s.N)
	}
}

// draw makes a scenario of bytes.
func draw(next func(n int) int) *scenario {
	pick := func(words ...string) string { return words[next(len(words))] }
	s := &scenario{
		Strategy:     pick("one_for_one", "one_for_all", "rest_for_one"),
		AutoShutdown: pick("never", "any_significant", "all_significant"),
		Intensity:    []int{0, 1, 2, 3, 1000}[next(5)],
	}
	child := func(id string) scenarioChild {
		c := scenarioChild{ID: id, Restart: pick("permanent", "transient", "temporary"), Shutdown: pick("brutal_kill", "graceful")}
		c.Significant = c.Restart != "permanent" && s.AutoShutdown != "never" && next(2) == 0
		for i := 1; i < 8; i++ {
			if next(8) == 0 {
				c.FailStart = append(c.FailStart, i)
			}
		}
		return c
	}
	names := "abcdefgh"
	for i := range next(6) {
		s.Children = append(s.Children, child(names[i:i+1]))
	}
	for range next(25) {
		op := pick("crash", "crash", "crash", "kill", "exit_normal", "exit_shutdown", "terminate", "terminate", "restart", "restart", "delete", "start", "start", "advance")
		var arg any
		switch i := next(len(names)); op {
		case "start":
			arg = child(names[i : i+1])
		case "advance":
			arg = pick("1ms", "4998ms", "4999ms", "5s", "6s", "2500ms")
		default:
			arg = names[i : i+1]
		}
		command := make([]json.RawMessage, 2)
		command[0], _ = json.Marshal(op)
		command[1], _ = json.Marshal(arg)
		s.Commands = append(s.Commands, command)
	}
	return s
}

// script plays s and compares each step with the model's.
func (s *scenario) mustFollowModel(t *testing.T) {
	const period = 5 * time.Second
	var got []scenarioStep
	var books error
	run(t, func(t0 *actor.Tasklet) { got, books = s.play(t0, period, false) })
	want := newModel(s, period).play()
	for i := range min(len(got), len(want)) {
		if fmt.Sprint(got[i]) != fmt.Sprint(want[i]) {
			script, _ := json.Marshal(s)
			t.Fatalf("step %d is\n%v, want\n%v\n%s", i, got[i], want[i], script)
		}
	}
	require.Len(t, got, len(want))
	require.NoError(t, books)
}

// The supervisor against the model. All but the strategies is drawn: restart types, shutdown,
// significance, starts that fail, intensity and auto-shutdown; ends of all kinds, and the calls of
// a supervisor.
func TestRandomScripts(t *testing.T) {
	seeds := uint64(100_000)
	if testing.Short() || raceEnabled { // under the race detector a seed takes ten times as long
		seeds = 1500
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 2))
		draw(r.IntN).mustFollowModel(t)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func FuzzScripts(f *testing.F) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 3))
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		draw(func(n int) int {
			if len(data) == 0 {
				return 0
			}
			b := data[0]
			data = data[1:]
			return int(b) % n
		}).mustFollowModel(t)
	})
}
