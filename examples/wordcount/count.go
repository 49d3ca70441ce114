package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// A counter is one run of the program, and its result. All its tasklets use it without a lock: they
// run one at a time, and lose control only where they wait.
type counter struct {
	source  *source
	parsers int
	cap     int     // of each mailbox
	crash   float64 // probability that a parser fails on a line
	seed    uint64

	words             map[string]int
	read, counted     int // lines
	batches, maxBatch int
	heldUp            int           // how often the reader found a full mailbox
	heldFor           time.Duration // and for how long
	files, binary     int
	problems          []string
	lost              []*lineError // lines on which a parser failed
	tree              []row
}

// A row is one tasklet of the tree.
type row struct {
	level int
	info  actor.Info
}

// main is the body of the root tasklet. It starts the others, receivers before senders, and waits
// until they have ended:
//
//	reader ── lines ──▶ parser-1, parser-2 ... ── words ──▶ aggregator
//
// Every arrow ends in a bounded mailbox, so a tasklet that is faster than the next one waits for
// it.
func (c *counter) main(t *actor.Tasklet) error {
	words := actor.Spawn(t, c.aggregate, actor.Name("aggregator"), actor.MailboxLen(c.cap))
	parsers := make([]actor.Ref[line], c.parsers)
	for i := range parsers {
		parsers[i] = actor.Receiver(t, c.parser(i, words), actor.Name(fmt.Sprint("parser-", i+1)), actor.MailboxLen(c.cap))
	}
	reader := actor.Go(t, func(t *actor.Tasklet) error { return c.readTo(t, parsers) }, actor.Name("reader"))

	// Tasklets leave the tree when they finish. Keep them, to print their states at the end, or
	// when the run is interrupted, which raises a panic where main waits.
	var all []*actor.Tasklet
	for t, level := range t.Tree() {
		all = append(all, t)
		c.tree = append(c.tree, row{level: level})
	}
	defer func() {
		for i, t := range all {
			c.tree[i].info = t.Info()
		}
	}()

	// A closed receiver ends when it has handled its messages, so no message is lost.
	if err := reader.Join(t); err != nil {
		return err
	}
	for _, p := range parsers {
		p.Close()
	}
	for _, p := range parsers {
		if err := p.Join(t); err != nil {
			return err
		}
	}
	words.Close()
	return words.Join(t)
}

// readTo deals out the lines in turn. Reading blocks, so Await does it on another goroutine while
// the parsers work.
func (c *counter) readTo(t *actor.Tasklet, parsers []actor.Ref[line]) error {
	next := 0
	for {
		chunk, err := actor.Await(t, func(ctx context.Context) (chunk, error) { return orLeave(ctx, c.source.next) })
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		c.files += chunk.files
		c.binary += chunk.binary
		c.problems = append(c.problems, chunk.problems...)
		c.read += len(chunk.lines)
		for _, l := range chunk.lines {
			if err := c.hand(t, parsers[next%len(parsers)], l); err != nil {
				return err
			}
			next++
		}
	}
}

// hand is a Send that measures how long it waits for room.
func (c *counter) hand(t *actor.Tasklet, parser actor.Ref[line], l line) error {
	err := parser.TrySend(t, l)
	if !errors.Is(err, mailbox.ErrFull) {
		return err
	}
	start := time.Now()
	err = parser.Send(t, l)
	c.heldUp++
	c.heldFor += time.Since(start)
	return err
}

// parser returns the handler of one parser. When it fails on a line, that line is lost, and the
// parser continues with the next one.
func (c *counter) parser(i int, words actor.Ref[[]string]) func(*actor.Tasklet, line) error {
	draw := rand.New(rand.NewPCG(c.seed, uint64(i)))
	return func(t *actor.Tasklet, l line) error {
		if draw.Float64() < c.crash {
			return &lineError{l.file, l.number}
		}
		return words.Send(t, split(l.text))
	}
}

// aggregate handles all messages that have arrived in one batch.
func (c *counter) aggregate(t *actor.Tasklet, inbox *mailbox.Mailbox[[]string]) error {
	for batch := range inbox.ReceiveBatch(256, 0) {
		c.batches++
		c.maxBatch = max(c.maxBatch, len(batch))
		for _, words := range batch {
			c.counted++
			for _, w := range words {
				if n, ok := c.words[w]; ok {
					c.words[w] = n + 1
				} else {
					// w itself would keep the whole text that it is a part of in memory
					c.words[strings.Clone(w)] = 1
				}
			}
		}
	}
	return nil
}

// A lineError reports that a parser failed on a line.
type lineError struct {
	file   string
	number int
}

func (e *lineError) Error() string { return "crashed at " + e.where() }
func (e *lineError) where() string { return fmt.Sprintf("%s:%d", e.file, e.number) }

// onEvent gets all events of the system, and records the lines that were lost by failures.
func (c *counter) onEvent(e actor.EventRecord) {
	var l *lineError
	if e.Kind == event.Failure && errors.As(e.Err, &l) {
		c.lost = append(c.lost, l)
	}
}

// lostLines returns the names of the lost lines, in order.
func (c *counter) lostLines() []string {
	slices.SortFunc(c.lost, func(a, b *lineError) int {
		return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.number, b.number))
	})
	names := make([]string, len(c.lost))
	for i, l := range c.lost {
		names[i] = l.where()
	}
	return names
}

// orLeave calls f, which may block forever and takes no context. When ctx is done orLeave returns,
// and leaves f behind.
func orLeave[R any](ctx context.Context, f func() (R, error)) (R, error) {
	type result struct {
		v   R
		err error
	}
	c := make(chan result, 1)
	go func() {
		v, err := f()
		c <- result{v, err}
	}()
	select {
	case r := <-c:
		return r.v, r.err
	case <-ctx.Done():
		var zero R
		return zero, context.Cause(ctx)
	}
}

// split returns the words of a text in lower case: runs of letters and digits, with apostrophes
// inside.
func split(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !inWord(r) })
	kept := words[:0]
	for _, w := range words {
		if w = strings.Trim(w, "'"); w != "" {
			kept = append(kept, w)
		}
	}
	return kept
}

func inWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '\''
}
