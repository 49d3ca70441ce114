package inspector

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/internal/fields"
	"github.com/gotasklet/tasklet/internal/guard"
	"github.com/gotasklet/tasklet/internal/text"
	"github.com/gotasklet/tasklet/internal/vitals"
	"github.com/gotasklet/tasklet/mailbox"
)

const (
	maxEvents  = 1000
	maxLetters = 1000 // kinds of dead letters
	maxStack   = 64 << 10
)

// recorder keeps the last events of a system and counts its dead letters, from the first handler
// on.
type recorder struct {
	once sync.Once

	// mu protects the following. note is called with a lock of the system held, so nobody who holds
	// mu may use the system.
	mu      sync.Mutex
	since   time.Time
	ring    []*record // the oldest is at next if it is full
	next    int
	total   uint64
	letters map[letterKey]*letters
	other   uint64 // dead letters for which there was no room in letters
}

var extension = actor.NewExtension(func(*actor.System) *recorder {
	return &recorder{letters: make(map[letterKey]*letters)}
})

// recorderOf returns the recorder of s, which has begun.
func recorderOf(s *actor.System) *recorder {
	rec := extension.Of(s)
	rec.once.Do(func() {
		rec.since = s.Now()
		vitals.Observe(s, func(e any, level int8) { rec.note(e.(*actor.EventRecord), zapcore.Level(level)) })
	})
	return rec
}

// record is an event that is kept.
type record struct {
	event actor.EventRecord
	level zapcore.Level
	// row is made when it is first shown, because its texts come from code of users. Atomic: two
	// requests may both make it.
	row atomic.Pointer[row]
}

// letterKey says what dead letters are counted together.
type letterKey struct {
	to, reason string
	message    reflect.Type
}

type letters struct {
	count       uint64
	first, last time.Time
}

// note records e. It keeps a copy.
func (rec *recorder) note(e *actor.EventRecord, level zapcore.Level) {
	r := &record{event: *e, level: level}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.total++
	if len(rec.ring) < maxEvents {
		rec.ring = append(rec.ring, r)
	} else {
		rec.ring[rec.next] = r
		rec.next = (rec.next + 1) % maxEvents
	}
	if why := lostBecause(e); why != "" {
		rec.count(letterKey{e.Path, why, e.Message}, uint64(max(1, e.Count)), e.Time)
	}
}

// count counts n dead letters. mu must be held.
func (rec *recorder) count(k letterKey, n uint64, at time.Time) {
	l := rec.letters[k]
	switch {
	case l != nil:
	case len(rec.letters) == maxLetters:
		rec.other += n
		return
	default:
		l = &letters{first: at}
		rec.letters[k] = l
	}
	l.count += n
	l.last = at
}

// lostBecause returns why the messages of e were lost, or "" if it does not count. The event
// overflow comes with an event dead_letter.
func lostBecause(e *actor.EventRecord) string {
	switch e.Kind {
	case event.MessageLost:
		return "in hand at a failure"
	case event.DeadLetter:
		for _, f := range e.Fields {
			if f.Key == "reason" && f.Type == zapcore.StringType {
				return f.String
			}
		}
		switch e.Err {
		case mailbox.ErrClosed:
			return "nobody reads the mailbox"
		case mailbox.ErrFull:
			return "the mailbox had no room"
		}
		return "not read"
	}
	return ""
}

// last returns the events that are kept, the newest first, the number of all so far, and that of
// those that were dropped.
func (rec *recorder) last() (all []*record, total, dropped uint64) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	all = append(append(all, rec.ring[rec.next:]...), rec.ring[:rec.next]...)
	slices.Reverse(all)
	return all, rec.total, rec.total - uint64(len(all))
}

// object returns the event as an object. It has no stack.
func (r *record) object() row {
	if w := r.row.Load(); w != nil {
		return *w
	}
	e := &r.event
	f := map[string]any{
		"seq": e.Seq, "time": e.Time.Format(time.RFC3339Nano), "time_ms": e.Time.UnixMilli(),
		"event": e.Kind.String(), "level": r.level.String(), "path": fields.Name(e.Path),
	}
	if e.Tasklet != nil {
		f["tasklet"] = e.Tasklet.ID().String()
	}
	if e.Err != nil {
		f["error"] = fields.Value(guard.Text(e.Err))
	}
	if e.Message != nil {
		f["message"] = fields.Name(e.Message.String())
	}
	if e.Count > 0 {
		f["count"] = e.Count
	}
	if e.Stack != nil {
		f["stack"] = true
	}
	if more := objectOf(e.Fields); len(more) > 0 {
		f["fields"] = more
	}
	w := row{strconv.FormatUint(e.Seq, 10), f}
	r.row.Store(&w)
	return w
}

// objectOf returns fields of a log entry as texts, because they may be anything.
func objectOf(all []zap.Field) map[string]string {
	if len(all) == 0 {
		return nil
	}
	out := make(map[string]string)
	fault := guard.Call(func() {
		enc := zapcore.NewMapObjectEncoder()
		for _, f := range all[:min(len(all), 20)] {
			fields.Clean(f).AddTo(enc)
		}
		for k, v := range enc.Fields {
			out[fields.Name(k)] = fields.Value(guard.Sprint(v))
		}
	})
	if fault != nil {
		return map[string]string{"fault": text.Line(text.Cut(fault.String(), text.MaxName))}
	}
	return out
}

// eventQuery selects events.
type eventQuery struct {
	kinds []string
	under string
	level zapcore.Level
}

func (q *eventQuery) has(r *record) bool {
	e := &r.event
	return r.level >= q.level &&
		(len(q.kinds) == 0 || slices.Contains(q.kinds, e.Kind.String())) &&
		(q.under == "" || e.Path == q.under || strings.HasPrefix(e.Path, strings.TrimSuffix(q.under, "/")+"/"))
}

// counted returns the dead letters, those with the largest counts first.
func (rec *recorder) counted() (rows []row, sum, other uint64) {
	rec.mu.Lock()
	all := make(map[letterKey]letters, len(rec.letters))
	for k, l := range rec.letters {
		all[k] = *l
	}
	other = rec.other
	rec.mu.Unlock()
	for k, l := range all {
		f := map[string]any{
			"to": fields.Name(k.to), "reason": fields.Name(k.reason), "count": l.count,
			"first_ms": l.first.UnixMilli(), "last_ms": l.last.UnixMilli(),
		}
		if k.message != nil {
			f["message"] = fields.Name(k.message.String())
		}
		rows = append(rows, row{encodeKey(f["to"], f["reason"], f["message"]), f})
		sum += l.count
	}
	slices.SortFunc(rows, func(a, b row) int {
		if x, y := a.fields["count"].(uint64), b.fields["count"].(uint64); x != y {
			if x > y {
				return -1
			}
			return 1
		}
		return strings.Compare(a.key, b.key)
	})
	return rows, sum + other, other
}

// encodeKey returns a key made of texts.
func encodeKey(parts ...any) string { return string(encode(parts)) }
