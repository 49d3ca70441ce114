package supervisor_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
	"github.com/gotasklet/tasklet/supervisor"
)

// What Erlang/OTP 25's own supervisor did in 200 random scenarios, to be done step by step by ours.

type scenario struct {
	N            int
	Strategy     string
	Intensity    int
	AutoShutdown string `json:"auto_shutdown"`
	Children     []scenarioChild
	Commands     [][]json.RawMessage
	Trace        []scenarioStep
}

type scenarioChild struct {
	ID          string
	Restart     string
	Significant bool
	Shutdown    string
	FailStart   []int `json:"fail_start"`
}

type scenarioStep struct {
	Op, Result string
	Events     []string
	Children   [][2]string
	Alive      bool
}

// replay is a scenario at work.
type replay struct {
	sup    *supervisor.Supervisor
	spread bool // the children are on three schedulers, not on one

	mu       sync.Mutex // protects the following
	events   []string
	refs     map[string]actor.Ref[error]
	attempts map[string]int
}

func (r *replay) happened(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, what)
}

// attempt counts the starts of a child.
func (r *replay) attempt(id string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.attempts[id]++
	return r.attempts[id]
}

func (r *replay) ref(id string) actor.Ref[error] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refs[id]
}

// child makes the specification of a child that reports what happens to it, and ends with each
// error that is sent to it.
func (r *replay) child(c scenarioChild) supervisor.Child {
	ref := actor.NewRef[error]()
	init := func(t *actor.Tasklet) (func(*actor.Tasklet, error) error, error) {
		if slices.Contains(c.FailStart, r.attempt(c.ID)) {
			r.happened("fail " + c.ID)
			return nil, errors.New("no start")
		}
		r.happened("start " + c.ID)
		r.mu.Lock()
		r.refs[c.ID] = ref
		r.mu.Unlock()
		itself := false
		t.Defer(func() {
			if !itself {
				r.happened("stop " + c.ID)
			}
		})
		return func(_ *actor.Tasklet, result error) error {
			itself = true
			r.happened(map[error]string{
				errCrash: "crash ", actor.ErrStop: "normal ", actor.ErrShutdown: "shutdown ",
			}[result] + c.ID)
			return result
		}, nil
	}
	spec := supervisor.Child{ID: c.ID, Body: actor.ReceiverInitBody(ref, init), Significant: c.Significant}
	spec.Restart = map[string]supervisor.Restart{
		"permanent": supervisor.Permanent, "transient": supervisor.Transient, "temporary": supervisor.Temporary,
	}[c.Restart]
	if c.Shutdown == "brutal_kill" {
		spec.Shutdown = actor.BrutalKill
	}
	if r.spread {
		spec.Options = append(spec.Options, actor.OnScheduler(int(c.ID[len(c.ID)-1])%3))
	}
	return spec
}

func (r *replay) spec(s *scenario, period time.Duration) supervisor.Spec {
	spec := supervisor.Spec{Intensity: s.Intensity, Period: period}
	if s.Intensity == 0 {
		spec.Intensity = supervisor.NoRestart
	}
	spec.Strategy = map[string]supervisor.Strategy{
		"one_for_one": supervisor.OneForOne, "one_for_all": supervisor.OneForAll, "rest_for_one": supervisor.RestForOne,
	}[s.Strategy]
	spec.AutoShutdown = map[string]supervisor.AutoShutdown{
		"never": supervisor.Never, "any_significant": supervisor.AnySignificant, "all_significant": supervisor.AllSignificant,
	}[s.AutoShutdown]
	for _, c := range s.Children {
		spec.Children = append(spec.Children, r.child(c))
	}
	return spec
}

// result gives the word of OTP for an error of a call.
func result(err error) string {
	var start *supervisor.StartError
	var join *actor.JoinError
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, supervisor.ErrNotFound):
		return "not_found"
	case errors.Is(err, supervisor.ErrRunning):
		return "running"
	case errors.Is(err, supervisor.ErrRestarting):
		return "restarting"
	case errors.Is(err, supervisor.ErrAlreadyStarted):
		return "already_started"
	case errors.Is(err, supervisor.ErrAlreadyPresent):
		return "already_present"
	case errors.As(err, &start):
		return "start_error"
	case errors.As(err, &join), errors.Is(err, mailbox.ErrClosed):
		return "supervisor_ended"
	}
	return err.Error()
}

// command does one command and gives the result.
func (r *replay) command(t *actor.Tasklet, op string, arg json.RawMessage) string {
	if op == "start" {
		var c scenarioChild
		if err := json.Unmarshal(arg, &c); err != nil {
			panic(err)
		}
		_, err := r.sup.StartChild(t, r.child(c))
		return result(err)
	}
	var id string
	if err := json.Unmarshal(arg, &id); err != nil {
		panic(err)
	}
	how := map[string]error{"crash": errCrash, "exit_normal": actor.ErrStop, "exit_shutdown": actor.ErrShutdown}[op]
	switch op {
	case "terminate":
		return result(r.sup.StopChild(t, id))
	case "delete":
		return result(r.sup.DeleteChild(t, id))
	case "advance":
		d, err := time.ParseDuration(id)
		t.Sleep(d)
		return result(err)
	case "restart":
		_, err := r.sup.RestartChild(t, id)
		return result(err)
	}
	ref := r.ref(id)
	if ref.IsZero() || ref.Tasklet() == nil || ref.Tasklet().HasFinished() {
		return "no_process"
	}
	if op == "kill" {
		ref.Kill()
		return "ok"
	}
	if err := ref.Send(t, how); err != nil {
		return err.Error()
	}
	return "ok"
}

// step gives what there is to be seen after op.
func (r *replay) step(t *actor.Tasklet, op, result string) scenarioStep {
	settle(t)
	r.mu.Lock()
	s := scenarioStep{Op: op, Result: result, Events: r.events, Children: [][2]string{}}
	r.events = []string{}
	r.mu.Unlock()
	if s.Events == nil {
		s.Events = []string{}
	}
	if r.sup == nil || r.sup.Tasklet().HasFinished() {
		return s
	}
	s.Alive = true
	infos, err := r.sup.Children(t)
	if err != nil {
		panic(err)
	}
	for _, c := range infos {
		state := c.State.String()
		if c.State == supervisor.Stopped {
			state = "undefined"
		}
		s.Children = append(s.Children, [2]string{c.ID, state})
	}
	return s
}

// play plays s to its end. books says what was wrong with the supervisor's books after a step.
func (s *scenario) play(t *actor.Tasklet, period time.Duration, spread bool) (steps []scenarioStep, books error) {
	r := &replay{spread: spread, refs: map[string]actor.Ref[error]{}, attempts: map[string]int{}, events: []string{}}
	res := "ok"
	sup, err := supervisor.Start(t, r.spec(s, period))
	var start *supervisor.StartError
	if errors.As(err, &start) {
		res = "failed_to_start_child " + start.ID
	} else if err != nil {
		res = err.Error()
	}
	r.sup = sup
	step := r.step(t, "start", res)
	steps = append(steps, step)
	for _, c := range s.Commands {
		if !step.Alive {
			return steps, books
		}
		if books == nil {
			books = r.sup.Check()
		}
		var op string
		if err := json.Unmarshal(c[0], &op); err != nil {
			panic(err)
		}
		step = r.step(t, op, r.command(t, op, c[1]))
		steps = append(steps, step)
	}
	if step.Alive {
		sup.Tasklet().Kill()
		_ = sup.Tasklet().Join(t)
		steps = append(steps, r.step(t, "stop", "ok"))
	}
	return steps, books
}

func readScenarios(t testing.TB) (all []*scenario) {
	f, err := os.Open("testdata/otp-traces.jsonl")
	require.NoError(t, err)
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		s := new(scenario)
		require.NoError(t, json.Unmarshal(lines.Bytes(), s))
		all = append(all, s)
	}
	return all
}

func TestOTPTraces(t *testing.T) {
	all := readScenarios(t)
	require.Len(t, all, 200)
	for _, schedulers := range []int{1, 3} {
		for _, s := range all {
			t.Run(fmt.Sprintf("%d on %d", s.N, schedulers), func(t *testing.T) {
				var got []scenarioStep
				var books error
				cfg := actor.Config{Schedulers: schedulers}
				runWith(t, cfg, func(t *actor.Tasklet) { got, books = s.play(t, time.Hour, schedulers > 1) })
				require.NoError(t, books)
				for i := range min(len(got), len(s.Trace)) {
					require.Equal(t, s.Trace[i], got[i], "step %d; commands %s", i, s.Commands)
				}
				require.Len(t, got, len(s.Trace))
			})
		}
	}
}
