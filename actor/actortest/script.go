package actortest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// A Command is what a line of a file of [Golden] does. It runs inside s.T and may park. What it
// prints, and its error, are part of what is compared.
type Command func(s *Script) error

// A Script is a file of Golden at work. The fields are for commands to read: T is the root tasklet,
// Args the words behind the name of the command, Options those of the form key=value.
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

// Message is what the commands of Golden send. Its zero fields do nothing.
type Message struct {
	Text  string        // what is printed: "a got one"
	Busy  time.Duration // how long the handler sleeps then
	Err   error         // what it returns
	Panic string        // what it panics with, if not empty
}

// Printf prints a line of output. An empty line would end it, so there are none. Only from inside
// the script's system.
func (s *Script) Printf(format string, args ...any) {
	for l := range strings.SplitSeq(fmt.Sprintf(format, args...), "\n") {
		if l = strings.TrimRight(l, " \t\r"); l != "" {
			s.out = append(s.out, address.ReplaceAllString(l, "0x…"))
		}
	}
}

// Arg gives the i-th word, from 0, which must be there.
func (s *Script) Arg(i int) string {
	if i >= len(s.Args) {
		s.fail("a command with %d words needs more", len(s.Args))
	}
	return s.Args[i]
}

// Duration gives the i-th word as a time.
func (s *Script) Duration(i int) time.Duration {
	d, err := time.ParseDuration(s.Arg(i))
	if err != nil {
		s.fail("%v", err)
	}
	return d
}

// Add lets ref be known by a name to this command and those that follow.
func (s *Script) Add(name string, ref actor.Ref[Message]) { s.refs[name] = ref }

// Ref gives what Add was given, which must be there.
func (s *Script) Ref(name string) actor.Ref[Message] {
	ref, ok := s.refs[name]
	if !ok {
		s.fail("nobody has the name %q", name)
	}
	return ref
}

// Handle gives the handler of the receivers that spawn starts: it does what a Message says, and
// prints it with this name.
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

func (s *Script) event(e actor.Event, text string) {
	if e.Kind != actor.EventSystemStart && e.Kind != actor.EventSystemStop {
		s.out = append(s.out, text)
	}
}

// do does one line.
func (s *Script) do(text string) {
	words, err := split(text)
	if err != nil {
		s.fail("%v", err)
	}
	c, ok := s.commands[words[0]]
	if !ok {
		if c, ok = builtin[words[0]]; !ok {
			s.fail("there is no command %q", words[0])
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

// split gives the words of a line. What stands in double quotes is one word, or the end of one.
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

// builtin are the commands that every script has.
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
		opts = append(opts, actor.OnFailure(actor.Stop))
	default:
		return fmt.Errorf("there is no failure=%s", v)
	}
	s.Add(s.Arg(0), actor.Receiver(s.T, s.Handle(s.Arg(0)), opts...))
	return nil
}

// policy gives the one with this name.
func policy(name string) (mailbox.Policy, error) {
	for p := mailbox.Block; p <= mailbox.Unbounded; p++ {
		if p.String() == name {
			return p, nil
		}
	}
	return 0, fmt.Errorf("there is no policy %s", name)
}
