package actortest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/event"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Command implements a command of a [Golden] file. It runs inside s.T and may park. The lines
// that it prints and its error become part of the output.
type Command func(s *Script) error

// A Script is a running file of [Golden]. Commands read its fields: T is the root tasklet, Args the
// words after the name of the command, and Options the words of the form key=value.
type Script struct {
	T       *actor.Tasklet
	Args    []string
	Options map[string]string

	file     string
	line     int
	commands map[string]Command
	refs     map[string]actor.Ref[Message]
	out      []string // owned by the scheduler
}

// Message is the type of message that the commands of Golden send. Zero fields have no effect.
type Message struct {
	Text  string        // printed, as in "a got one"; nothing if empty
	Busy  time.Duration // how long the handler then sleeps
	Err   error         // returned by the handler
	Panic string        // if not empty, the value of a panic of the handler
}

// Printf prints lines of output. It leaves out empty lines, which would end the output. It must be
// called inside the script's system.
func (s *Script) Printf(format string, args ...any) {
	for l := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if l = strings.TrimRight(l, " \t\r"); l != "" {
			s.out = append(s.out, address.ReplaceAllString(l, "0x…"))
		}
	}
}

// Arg returns the i-th word, counted from 0. It fails the test if there is none.
func (s *Script) Arg(i int) string {
	if i >= len(s.Args) {
		s.fail("the command needs more arguments than %d", len(s.Args))
	}
	return s.Args[i]
}

// Duration returns the i-th word as a duration. It fails the test if it is not one.
func (s *Script) Duration(i int) time.Duration {
	d, err := time.ParseDuration(s.Arg(i))
	if err != nil {
		s.fail("%v", err)
	}
	return d
}

// Add makes ref known to this command and the following ones under name.
func (s *Script) Add(name string, ref actor.Ref[Message]) { s.refs[name] = ref }

// Ref returns the ref with this name. It fails the test if there is none.
func (s *Script) Ref(name string) actor.Ref[Message] {
	ref, ok := s.refs[name]
	if !ok {
		s.fail("no ref has the name %q", name)
	}
	return ref
}

// Handle returns the handler of the receivers that spawn starts. It does what the Message says, and
// prints Text with this name.
func (s *Script) Handle(name string) func(t *actor.Tasklet, m Message) error {
	return func(t *actor.Tasklet, m Message) error {
		if m.Text != "" {
			s.Printf("%s got %s", name, m.Text)
		}
		if m.Busy > 0 {
			t.Sleep(m.Busy)
		}
		if m.Panic != "" {
			panic(m.Panic)
		}
		return m.Err
	}
}

func (s *Script) fail(format string, args ...any) {
	TB(s.T).Fatalf("actortest: %s:%d: %s", s.file, s.line, fmt.Sprintf(format, args...))
}

func (s *Script) event(e actor.EventRecord, text string) {
	if e.Kind != event.SystemStart && e.Kind != event.SystemStop {
		s.out = append(s.out, text)
	}
}

// do executes one line.
func (s *Script) do(text string) {
	words, err := split(text)
	if err != nil {
		s.fail("%v", err)
	}
	c, ok := s.commands[words[0]]
	if !ok {
		if c, ok = builtin[words[0]]; !ok {
			s.fail("unknown command %q", words[0])
		}
	}
	s.Args, s.Options = nil, map[string]string{}
	for _, w := range words[1:] {
		if key, value, isOption := strings.Cut(w, "="); isOption {
			s.Options[key] = value
		} else {
			s.Args = append(s.Args, w)
		}
	}
	if err := c(s); err != nil {
		s.Printf("error: %v", err)
	}
}

// split returns the words of a line. Text in double quotes is one word, or the end of one.
func split(text string) (words []string, err error) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		end := strings.IndexAny(text, " \t\"")
		if end < 0 {
			return append(words, text), nil
		}
		word := text[:end]
		text = text[end:]
		if text[0] == '"' {
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return nil, fmt.Errorf("no closing quote in %s", text)
			}
			unquoted, err := strconv.Unquote(quoted)
			if err != nil {
				return nil, err
			}
			word, text = word+unquoted, text[len(quoted):]
		}
		words = append(words, word)
	}
	return words, nil
}

// builtin holds the commands that every script has.
var builtin = map[string]Command{
	"spawn": spawn,
	"send": func(s *Script) error {
		ref := s.Ref(s.Arg(0))
		s.Arg(1)
		var errs []error
		for _, text := range s.Args[1:] {
			errs = append(errs, ref.TrySend(s.T, Message{Text: text}))
		}
		return errors.Join(errs...)
	},
	"busy": func(s *Script) error {
		return s.Ref(s.Arg(0)).TrySend(s.T, Message{Busy: s.Duration(1)})
	},
	"crash": func(s *Script) error {
		m := Message{Panic: s.Options["panic"]}
		if m.Panic == "" {
			reason, ok := s.Options["reason"]
			if !ok {
				reason = "crash"
			}
			m.Err = errors.New(reason)
		}
		return s.Ref(s.Arg(0)).TrySend(s.T, m)
	},
	"kill":  func(s *Script) error { s.Ref(s.Arg(0)).Kill(); return nil },
	"close": func(s *Script) error { s.Ref(s.Arg(0)).Close(); return nil },
	"advance": func(s *Script) error {
		s.T.Sleep(s.Duration(0))
		Settle(s.T)
		return nil
	},
	"stabilize": func(s *Script) error { Settle(s.T); return nil },
	"tree": func(s *Script) error {
		for t, level := range s.T.Tree() {
			s.Printf("%s%s: %s", strings.Repeat("  ", level), t.Name(), stateOf(t))
		}
		return nil
	},
}

func spawn(s *Script) error {
	opts := []actor.Option{actor.Name(s.Arg(0))}
	if v, ok := s.Options["cap"]; ok {
		n, err := strconv.Atoi(v)
		if err != nil {
			return err
		}
		opts = append(opts, actor.MailboxLen(n))
	}
	if v, ok := s.Options["overflow"]; ok {
		p, err := policy(v)
		if err != nil {
			return err
		}
		opts = append(opts, actor.Overflow(p))
	}
	switch v := s.Options["failure"]; v {
	case "":
	case "stop":
		opts = append(opts, actor.OnFailure(actor.End))
	default:
		return fmt.Errorf("invalid failure=%s", v)
	}
	s.Add(s.Arg(0), actor.Receiver(s.T, s.Handle(s.Arg(0)), opts...))
	return nil
}

// policy returns the policy with this name.
func policy(name string) (mailbox.Policy, error) {
	for p := mailbox.Block; p <= mailbox.Unbounded; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("unknown policy %s", name)
}
