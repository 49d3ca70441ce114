package actor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/mailbox"
)

// One test for each row of docs/concurrence.md: the example there is the code between the marks
// here. TestConcurrencePage compares.

func TestConcurrenceNew(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: new
		k := actor.New(t0, func(t *actor.Tasklet) (int, error) { return 42, nil })
		v, err := k.Join(t0)
		// end
		require.Equal(t, 42, v)
		return err
	})
}

func TestConcurrenceLater(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		begin := t0.System().Now()
		f := func(*actor.Tasklet) error { return nil }
		// row: later
		k := actor.Later(t0, 5*time.Second, f)
		err := k.Join(t0)
		// end
		require.Equal(t, 5*time.Second, t0.System().Now().Sub(begin))
		return err
	})
}

func TestConcurrenceInterval(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		n := 0
		f := func(*actor.Tasklet) error { n++; return nil }
		// row: interval
		actor.Interval(t0, time.Second, f)
		actor.Interval(t0, time.Second, f, actor.Immediate())
		// end
		t0.Sleep(2500 * time.Millisecond)
		require.Equal(t, 5, n)
		return nil
	})
}

func TestConcurrenceLoop(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		n := 0
		f := func(t *actor.Tasklet) error { n++; t.Sleep(time.Second); return nil }
		// row: loop
		l := actor.Loop(t0, f)
		defer l.Kill()
		// end
		t0.Sleep(1500 * time.Millisecond)
		require.Equal(t, 2, n)
		return nil
	})
}

func TestConcurrenceRate(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		n := 0
		// row: rate
		f := func(t *actor.Tasklet, now time.Time) error { n++; return nil }
		actor.Rate(t0, 10, f)
		// end
		t0.Sleep(time.Second)
		require.InDelta(t, 10, n, 1)
		return nil
	})
}

func TestConcurrenceReceiver(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []string
		// row: receiver
		f := func(t *actor.Tasklet, m string) error { got = append(got, m); return nil }
		r := actor.Receiver(t0, f)
		// end
		_ = r.Send(t0, "x")
		t0.Yield()
		require.Equal(t, []string{"x"}, got)
		return nil
	})
}

func TestConcurrenceReceive(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got []any
		handle := func(m string, err error) { got = append(got, m, err) }
		body := func(t *actor.Tasklet, inbox *mailbox.Mailbox[string]) error {
			// row: receive
			for m, err := range inbox.ReceiveTimeout(time.Second) { // or m := range inbox.Receive()
				handle(m, err) // the last has ErrTimeout
			}
			// end
			return nil
		}
		r := actor.Spawn(t0, body)
		_ = r.Send(t0, "x")
		_ = r.Join(t0)
		require.Equal(t, []any{"x", nil, "", actor.ErrTimeout}, got)
		return nil
	})
}

func TestConcurrenceReceiveBatch(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		var got [][]int
		handle := func(ms []int) { got = append(got, slices.Clone(ms)) }
		body := func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			// row: receive_batch
			for batch := range inbox.ReceiveBatch(100, time.Second) {
				handle(batch)
			}
			// end
			return nil
		}
		r := actor.Spawn(t0, body)
		_, _ = r.Send(t0, 1), r.Send(t0, 2)
		t0.Sleep(time.Minute)
		require.Equal(t, [][]int{{1, 2}}, got)
		return nil
	})
}

func TestConcurrenceMailbox(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: mailbox
		r := actor.Spawn(t0, func(t *actor.Tasklet, inbox *mailbox.Mailbox[int]) error {
			n, err := inbox.Next(t)
			t.Log().Sugar().Info(n)
			return err
		})
		n := r.Len()
		// end
		require.Zero(t, n)
		_ = r.Send(t0, 1)
		return r.Join(t0)
	})
}

func TestConcurrenceSend(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: send
		type hello struct{ name string }
		greeter := actor.Receiver(t0, func(t *actor.Tasklet, m hello) error { t.Log().Info("hello " + m.name); return nil })
		err := greeter.Send(t0, hello{"you"})
		// end
		return err
	})
}

func TestConcurrenceCall(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: call
		type square struct {
			n     int
			reply actor.Reply[int]
		}
		squares := actor.Receiver(t0, func(t *actor.Tasklet, m square) error { return m.reply.Send(t, m.n*m.n) })
		ctx, cancel := actor.WithTimeout(t0, time.Second)
		defer cancel()
		v, err := actor.Call(ctx, squares, func(r actor.Reply[int]) square { return square{7, r} })
		// end
		require.Equal(t, 49, v)
		return err
	})
}

func TestConcurrenceJoin(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.New(t0, func(*actor.Tasklet) (int, error) { return 0, errTest })
		// row: join
		ctx, cancel := actor.WithTimeout(t0, 5*time.Second) // or t0 itself, without a limit
		defer cancel()
		v, err := k.Join(ctx)
		var failed *actor.JoinError
		isJoinError := errors.As(err, &failed)
		// end
		require.Zero(t, v)
		require.True(t, isJoinError)
		return nil
	})
}

func TestConcurrenceJoinAll(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		f := func(*actor.Tasklet) (int, error) { return 1, nil }
		// row: join_all
		a, b := actor.New(t0, f), actor.New(t0, f)
		results, err := actor.JoinAll(t0, a, b) // results[i].Value, results[i].Err
		// end
		require.Len(t, results, 2)
		return err
	})
}

func TestConcurrenceJoinChildren(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		actor.New(t0, func(*actor.Tasklet) (int, error) { return 1, nil })
		// row: join_children
		results, err := t0.JoinChildren(t0)
		first, isInt := results[0].Value.(int)
		// end
		require.True(t, isInt)
		require.Equal(t, 1, first)
		return err
	})
}

func TestConcurrenceKill(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, func(t *actor.Tasklet) error { t.Sleep(time.Hour); return nil })
		t0.Yield()
		// row: kill
		k.Kill()
		err := k.Join(t0)
		killed := errors.Is(err, actor.ErrKilled)
		// end
		require.True(t, killed)
		return nil
	})
}

func TestConcurrenceTaskletExit(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		caught := false
		k := actor.Go(t0, func(t *actor.Tasklet) error {
			// row: Killed
			defer func() {
				if _, ok := recover().(*actor.Killed); ok {
					caught = true
				}
			}()
			// end
			t.Sleep(time.Hour)
			return nil
		})
		t0.Yield()
		k.Kill()
		require.NoError(t, k.Join(t0))
		require.True(t, caught)
		return nil
	})
}

func TestConcurrenceSleep(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: sleep
		t0.Sleep(500 * time.Millisecond)
		// end
		return nil
	})
}

func TestConcurrenceYield(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: yield_
		t0.Yield()
		// end
		return nil
	})
}

func TestConcurrenceCurrent(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		ctx := context.WithValue(t0, runKey{}, 1)
		// row: current
		me := actor.Current(ctx) // or just the t that the body was called with
		// end
		require.Same(t, t0, me)
		return nil
	})
}

func TestConcurrenceChildren(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		a := actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil })
		// row: children
		children := t0.Children() // in order of start
		// end
		require.Equal(t, []*actor.Tasklet{a.Tasklet()}, children)
		return nil
	})
}

func TestConcurrenceParent(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, nop)
		// row: parent
		p := k.Parent()
		// end
		require.Same(t, t0, p)
		return nil
	})
}

func TestConcurrenceTree(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		actor.Receiver(t0, func(*actor.Tasklet, int) error { return nil }, actor.Name("r"))
		var out strings.Builder
		// row: tree
		for k, level := range t0.Tree() {
			fmt.Fprintln(&out, strings.Repeat(" ", level), k.Name())
		}
		// end
		require.Equal(t, " tasklet\n  r\n", out.String())
		return nil
	})
}

func TestConcurrenceHasFinished(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		k := actor.Go(t0, nop)
		_ = k.Join(t0)
		// row: has_finished
		over := k.HasFinished()
		// end
		require.True(t, over)
		return nil
	})
}

func TestConcurrenceName(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: name
		a := actor.Go(t0, nop, actor.Name("worker"))
		b := actor.Go(t0, nop) // b.Name() is "nop#2"
		// end
		require.Equal(t, "worker", a.Name())
		require.Equal(t, "nop#2", b.Name())
		return nil
	})
}

func TestConcurrenceDaemon(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		// row: daemon
		k := actor.Go(t0, nop, actor.Daemon())
		p := k.Parent() // nil
		// end
		require.Nil(t, p)
		return nil
	})
}

func TestConcurrenceBound(t *testing.T) {
	run(t, func(t0 *actor.Tasklet) error {
		f := func(*actor.Tasklet, int) error { return nil }
		// row: bounded mailbox
		r := actor.Receiver(t0, f, actor.MailboxLen(10)) // without it 1024
		drops := actor.Receiver(t0, f, actor.MailboxLen(10), actor.Overflow(mailbox.DropOldest))
		// end
		require.Equal(t, 10, r.Cap())
		require.Equal(t, 10, drops.Cap())
		return nil
	})
}

func TestConcurrenceDispatch(t *testing.T) {
	main := nop
	// row: dispatch
	err := actor.Run(context.Background(), actor.Config{}, main)
	// end
	require.NoError(t, err)
}

// The examples in docs/concurrence.md are those of the tests above; -rewrite puts them there.
func TestConcurrencePage(t *testing.T) {
	src, err := os.ReadFile("concurrence_test.go")
	require.NoError(t, err)
	const file = "../docs/concurrence.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	examples := map[string]string{}
	for _, r := range regexp.MustCompile(`(?s)// row: ([^\n]+)\n(.*?)\n\t*// end\n`).FindAllStringSubmatch(string(src), -1) {
		examples[r[1]] = exampleCell(r[2])
	}
	require.Greater(t, len(examples), 20)
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		name, rest, ok := strings.Cut(strings.TrimPrefix(line, "| `"), "` | ")
		if !ok || !strings.HasPrefix(line, "| `") {
			continue
		}
		got, rest, _ := strings.Cut(rest, " | ")
		want, ok := examples[name]
		require.True(t, ok, "row %s has no test", name)
		delete(examples, name)
		if *rewrite {
			lines[i] = "| `" + name + "` | " + want + " | " + rest
		} else {
			require.Equal(t, want, got, "row %s; run with -rewrite", name)
		}
	}
	require.Empty(t, examples, "examples without a row")
	if *rewrite {
		require.NoError(t, os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o644))
	}
}

// exampleCell makes lines of code a cell of a table.
func exampleCell(code string) string {
	lines := strings.Split(code, "\n")
	indent := len(lines[0]) - len(strings.TrimLeft(lines[0], "\t"))
	for i, line := range lines {
		line = line[min(indent, len(line)-len(strings.TrimLeft(line, "\t"))):]
		in := strings.TrimLeft(line, "\t")
		lines[i] = strings.Repeat("&emsp;", len(line)-len(in)) + "`" + strings.ReplaceAll(in, "|", "\\|") + "`"
	}
	return strings.Join(lines, "<br>")
}
