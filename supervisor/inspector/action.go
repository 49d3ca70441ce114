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
	// actionLimit is how long an action may wait for a supervisor, in real time.
	actionLimit = 10 * time.Second
	maxBody     = 4 << 10
)

// act answers a POST.
func (h *handler) act(w http.ResponseWriter, r *http.Request, what, who string) {
	if !h.actions {
		fail(w, http.StatusForbidden, "actions are not allowed; see inspector.AllowActions")
		return
	}
	var body struct{ Level, Child string }
	b := http.MaxBytesReader(w, r.Body, maxBody)
	if err := json.NewDecoder(b).Decode(&body); err != nil && err != io.EOF {
		fail(w, http.StatusBadRequest, "the body must be a JSON object of at most 4 KiB, or empty")
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
	by := &actionError{action, who}
	h.report(r, t, action, who, zap.String("child", body.Child))
	err := error(nil)
	switch action {
	case "kill":
		t.KillCause(context.Background(), by)
	case "drain":
		// It takes as long as the work that is left.
		guard.Go(func() { _ = t.Drain(context.Background()) })
	case "restart", "start":
		ctx, cancel := context.WithTimeout(r.Context(), actionLimit)
		defer cancel()
		err = restart(ctx, t, action, body.Child)
	}
	if err != nil {
		fail(w, http.StatusConflict, text.Line(text.Cut(guard.Text(err), text.MaxError)))
		return
	}
	send(w, r, "application/json", append(encode(map[string]any{
		"action": action, "tasklet": t.ID().String(), "path": fields.Name(t.Path()),
	}), '\n'))
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
		if err := s.StopChild(ctx, c.ID); err != nil {
			return err
		}
		// The child must not stay stopped because the request is over.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), actionLimit)
		defer cancel()
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

func (h *handler) serveStack(w http.ResponseWriter, r *http.Request, id string) {
	t, bad := h.tasklet(id)
	if bad != nil {
		fail(w, bad.code, bad.text)
		return
	}
	h.stacks.mu.Lock()
	defer h.stacks.mu.Unlock()
	if time.Since(h.stacks.last) < stackEvery {
		w.Header().Set("Retry-After", "1")
		fail(w, http.StatusTooManyRequests, "a stack was taken a moment ago")
		return
	}
	h.stacks.last = time.Now()
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
