package actor

import (
	"time"

	"go.uber.org/zap"
)

// limitWindow is the time in which one entry of a kind that can come in floods is written.
const limitWindow = time.Second

// limit keeps a flood of one kind of event out of the log: the first is written at once, those that follow within the window are
// counted, and the next one written says how many there were.
type limit struct {
	until      time.Time
	suppressed uint64 // entries
	messages   int    // that they were about
	last       Event
}

// held gives the fields that tell of what was suppressed, but for n entries about that many messages, and forgets it.
func (l *limit) held(n uint64, messages int) []zap.Field {
	n, messages = l.suppressed-n, l.messages-messages
	l.suppressed, l.messages = 0, 0
	if n == 0 {
		return nil
	}
	fields := []zap.Field{zap.Uint64("suppressed", n)}
	if messages > 0 {
		fields = append(fields, zap.Int("suppressed_messages", messages))
	}
	return fields
}
