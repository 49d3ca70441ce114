package inspector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/supervisor"
)

const (
	// actionLimit is how long a request waits for an action, in real time. The action continues.
	actionLimit = 10 * time.Second
	maxBody     = 4 << 10
)

// doing has the actions that are not over, one for each tasklet and child.
type doing struct {
	mu  sync.Mutex
	now map[target]string // the name of the action
}

// target is what an action is about: a tasklet, or the child of a supervisor that does not run.
type target struct {
	t     *actor.Tasklet
	child string
}

// begin starts f on a goroutine of its own, unless an action on the same target is not over; then
// it returns nil and that action. The channel gets the error of f.
func (d *doing) begin(on target, action string, f func() error) (over <-chan error, other string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if other := d.now[on]; other != "" {
		return nil, other
	}
	if d.now == nil {
		d.now = make(map[target]string)
	}
	d.now[on] = action
	end := make(chan error, 1)
	go func() {
		var err error
		if fault := guard.Call(func() { err = f() }); fault != nil {
			err = errors.New(fault.String())
		}
		d.mu.Lock()
		delete(d.now, on)
		d.mu.Unlock()
		end <- err
	}()
	return end, ""
}

// act answers a POST.
func (h *handler) act(w http.ResponseWriter, r *http.Request, what, who string) {
	if !h.actions {
		fail(w, http.StatusForbidden, "actions are not allowed; see inspector.AllowActions")
		return
	}
	var body struct{ Level, Child string }
	if !decode(http.MaxBytesReader(w, r.Body, maxBody), &body) {
		fail(w, http.StatusBadRequest, "the body must be a JSON object with level or child, of at most 4 KiB, or empty")
		return
	}
	if what == "loglevel" {
		h.setLevel(w, r, body.Level, who)
		return
	}
	rest, ok := strings.CutPrefix(what, "tasklet/")
	id, action, _ := strings.Cut(rest, "/")
	if !ok || (action != "kill" && action != "drain" && action != "restart" && action != "start") {
		fail(w, http.StatusNotFound, "there is no such action")
		return
	}
	t, bad := h.tasklet(id)
	if bad != nil {
		fail(w, bad.code, bad.text)
		return
	}
	if t.HasFinished() {
		fail(w, http.StatusNotFound, "no tasklet has this ID now") // it has ended since the survey
		return
	}
	if action == "kill" {
		h.report(r, t, action, who, zap.String("child", body.Child))
		t.KillCause(context.Background(), &actionError{action, who})
		h.answer(w, r, http.StatusOK, t, action)
		return
	}
	// These take as long as the work of other tasklets. They go on when the request is over, so
	// that a child is not left stopped because a browser has gone in the middle of its restart.
	ctx := context.Background()
	over, other := h.doing.begin(target{t, body.Child}, action, func() error {
		h.report(r, t, action, who, zap.String("child", body.Child))
		switch {
		case action == "drain" && t == h.sys.Root():
			return h.sys.Drain(ctx)
		case action == "drain":
			return t.Drain(ctx)
		}
		return restart(ctx, t, action, body.Child)
	})
	if over == nil {
		fail(w, http.StatusConflict, "the action "+other+" is not over yet")
		return
	}
	if action == "drain" {
		h.answer(w, r, http.StatusOK, t, action)
		return
	}
	limit := time.NewTimer(actionLimit)
	defer limit.Stop()
	select {
	case err := <-over:
		if err != nil {
			fail(w, http.StatusConflict, text.Line(text.Cut(guard.Text(err), text.MaxError)))
			return
		}
		h.answer(w, r, http.StatusOK, t, action)
	case <-limit.C:
		h.answer(w, r, http.StatusAccepted, t, action)
	case <-r.Context().Done():
	}
}

// answer says what was done with t, or with http.StatusAccepted what is being done.
func (h *handler) answer(w http.ResponseWriter, r *http.Request, code int, t *actor.Tasklet, action string) {
	reply(w, r, code, "application/json", append(encode(map[string]any{
		"action": action, "tasklet": t.ID().String(), "path": fields.Name(t.Path()), "pending": code == http.StatusAccepted,
	}), '\n'))
}

// decode reads a body into v. It reports whether the body is empty or one object with the fields of
// v. An unknown field is refused, because it is probably a known one with a mistake in its name.
func decode(r io.Reader, v any) bool {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err == io.EOF
	}
	_, err := d.Token()
	return err == io.EOF
}

// actionError is the cause of a kill.
type actionError struct{ action, who string }

func (e *actionError) Error() string {
	return fmt.Sprintf("inspector: %s by %s", e.action, text.Word(text.Cut(e.who, text.MaxName)))
}

// report emits the event of an action, before it is done.
func (h *handler) report(r *http.Request, t *actor.Tasklet, action, who string, more zap.Field) {
	all := []zap.Field{zap.String("action", action), zap.String("who", text.Cut(who, text.MaxName)), zap.String("remote", r.RemoteAddr)}
	if more.String != "" {
		all = append(all, more)
	}
	h.sys.Emit(actor.EventRecord{Kind: EventAction, Tasklet: t, Fields: all})
}

// restart restarts the child t of a supervisor, in an orderly way that does not count as a failure.
// For start t is the supervisor, and child the ID of a child that does not run.
func restart(ctx context.Context, t *actor.Tasklet, action, child string) error {
	if action == "start" {
		s := supervisor.Of(t)
		if s == nil {
			return errors.New("the tasklet is not a supervisor")
		}
		_, err := s.RestartChild(ctx, child)
		return err
	}
	s := supervisor.Of(t.Parent())
	if s == nil {
		return errors.New("the tasklet is not a child of a supervisor, so nothing would start it again; see kill")
	}
	all, err := s.Children(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.Tasklet != t {
			continue
		}
		if c.Restart == supervisor.Temporary {
			return errors.New("the child is temporary, so its supervisor would not start it again; see kill")
		}
		if err := s.StopChild(ctx, c.ID); err != nil {
			return err
		}
		_, err := s.RestartChild(ctx, c.ID)
		return err
	}
	return errors.New("the tasklet has ended")
}

func (h *handler) setLevel(w http.ResponseWriter, r *http.Request, level, who string) {
	var l zapcore.Level
	switch {
	case h.level == nil:
		fail(w, http.StatusConflict, "the handler knows no log level; see inspector.LogLevel")
	case level == "" || l.UnmarshalText([]byte(level)) != nil || l < zapcore.DebugLevel || l > zapcore.ErrorLevel:
		fail(w, http.StatusBadRequest, "level must be debug, info, warn or error")
	default:
		h.report(r, h.sys.Root(), "loglevel", who, zap.String("level", level))
		h.level.SetLevel(l)
		send(w, r, "application/json", append(encode(map[string]any{"level": l.String()}), '\n'))
	}
}

// stacks limits how often stacks are taken, because that stops the program for a moment.
type stacks struct {
	mu   sync.Mutex
	last time.Time
}

// stackEvery is the least time between two stacks.
const stackEvery = 200 * time.Millisecond

// take reports whether a stack may be taken now, and counts it. It holds no lock afterwards,
// because the browser that gets the stack may be slow.
func (s *stacks) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.last) < stackEvery {
		return false
	}
	s.last = time.Now()
	return true
}

func (h *handler) serveStack(w http.ResponseWriter, r *http.Request, id string) {
	t, bad := h.tasklet(id)
	if bad != nil {
		fail(w, bad.code, bad.text)
		return
	}
	if !h.stacks.take() {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "a stack was taken a moment ago")
		return
	}
	stack := vitals.StackOf(t)
	if stack == nil {
		fail(w, http.StatusConflict, "the tasklet is not running now")
		return
	}
	send(w, r, "text/plain; charset=utf-8", []byte(cutStack(string(stack))))
}

// cutStack returns a stack without characters that cannot be printed, and of a bounded length.
func cutStack(s string) string {
	if len(s) > maxStack {
		s = s[:maxStack] + "\n..."
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = strings.ReplaceAll(text.Line(strings.ReplaceAll(l, "\t", "    ")), "\t", " ")
	}
	return strings.Join(lines, "\n")
}
