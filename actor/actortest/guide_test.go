package actortest_test

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
	"github.com/gotasklet/tasklet/actor/actortest"
	"github.com/gotasklet/tasklet/mailbox"
)

// The tests of docs/testing.md that need no supervisor; those that do are in
// supervisor/testing_test.go. Each of its Go blocks stands here or there, to the letter; see
// TestGuide.

func TestGreeter(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		answers := actortest.NewProbe[string](t)
		greeter := actor.Receiver(t, func(t *actor.Tasklet, name string) error {
			return answers.Ref().Send(t, "Hello, "+name)
		})
		require.NoError(actortest.TB(t), greeter.Send(t, "Ada"))
		answers.Expect("Hello, Ada")
		answers.ExpectNone(time.Minute)
	})
}

func TestShopStopsInReverse(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		var ended []string
		shop := actor.Go(t, func(t *actor.Tasklet) error {
			for _, name := range []string{"db", "cache", "web"} {
				actor.Go(t, func(t *actor.Tasklet) error {
					t.Defer(func() { ended = append(ended, name) })
					t.Sleep(time.Hour)
					return nil
				})
			}
			t.Sleep(time.Minute)
			return nil // and its children are stopped
		})
		_ = shop.Join(t)
		require.Equal(actortest.TB(t), []string{"web", "cache", "db"}, ended)
	})
}

func TestSessionEndsAfterAnHour(t *testing.T) {
	actortest.Run(t, func(t *actor.Tasklet) {
		p := actortest.NewProbe[string](t)
		session := actor.Spawn(t, func(t *actor.Tasklet, in *mailbox.Mailbox[string]) error {
			for _, err := range in.ReceiveTimeout(time.Hour) {
				if err != nil {
					return p.Ref().Send(t, "good night")
				}
			}
			return nil
		})
		require.NoError(actortest.TB(t), session.Send(t, "hello"))
		p.ExpectNone(59 * time.Minute)
		p.Expect("good night")
	})
}

func TestPaidOrCancelled(t *testing.T) {
	actortest.Explore(t, 100, func(t *actor.Tasklet) {
		done, state := actortest.NewProbe[string](t), "open"
		order := actor.Receiver(t, func(t *actor.Tasklet, m string) error {
			if state != "open" {
				return nil // the first has won
			}
			state = m
			return done.Ref().Send(t, m)
		})
		for _, m := range []string{"paid", "cancelled"} {
			actor.Go(t, func(t *actor.Tasklet) error { return order.Send(t, m) })
		}
		done.ExpectMatch(func(m string) bool { return m == "paid" || m == "cancelled" })
		done.ExpectNone(time.Hour) // not both
	})
}

func TestMoneyIsNotLost(t *testing.T) {
	actortest.Explore(t, 100, func(t *actor.Tasklet) {
		balance := 0
		deposit := func(t *actor.Tasklet) error {
			balance++
			t.Yield() // an audit, while others run
			return nil
		}
		first, second := actor.Go(t, deposit), actor.Go(t, deposit)
		_, err := actor.JoinEach(t, first, second)
		require.NoError(actortest.TB(t), err)
		require.Equal(actortest.TB(t), 2, balance)
	})
}

func TestClientInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		actortest.Run(t, func(t *actor.Tasklet) {
			answer, err := actor.Await(t, func(context.Context) (string, error) {
				time.Sleep(time.Hour) // somebody else's code, that knows no tasklets
				return "hello", nil
			})
			require.NoError(actortest.TB(t), err)
			require.Equal(actortest.TB(t), "hello", answer)
		}, actortest.Limit(2*time.Hour))
	})
}

func TestShopLogs(t *testing.T) {
	actortest.Golden(t, "testdata/guide.txt", nil)
}

// lostMoney is the program of TestMoneyIsNotLost with the bug that the guide is about.
func lostMoney(t *actor.Tasklet) {
	balance := 0
	deposit := func(t *actor.Tasklet) error {
		was := balance
		t.Yield()
		balance = was + 1
		return nil
	}
	first := actor.Go(t, deposit, actor.Name("first"))
	second := actor.Go(t, func(t *actor.Tasklet) error {
		t.Yield()
		t.Yield()
		return deposit(t)
	}, actor.Name("second"))
	_, _ = actor.JoinEach(t, first, second)
	if balance != 2 {
		actortest.TB(t).Fatalf("the balance is %d, want 2", balance)
	}
}

// Each Go block of the guide is one of the tests, to the letter, and has less than 15 lines of its
// own; each text block is a file of testdata, or what lostMoney leads to.
func TestGuide(t *testing.T) {
	read := func(file string) string {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		return string(text)
	}
	guide := read("../../docs/testing.md")
	code := read("guide_test.go") + read("../../supervisor/testing_test.go")
	report := numbers.ReplaceAllString(explored(t, 500, lostMoney), "N")
	for _, b := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllStringSubmatch(guide, -1) {
		switch text := b[2]; b[1] {
		case "go":
			require.Contains(t, code, text)
			require.Less(t, strings.Count(text, "\n")-4, 15, "lines inside of the run in %s", text)
		case "text":
			if strings.Contains(text, "----") {
				require.Contains(t, read("testdata/guide.txt"), text)
			} else {
				require.Contains(t, report, numbers.ReplaceAllString(text, "N"))
			}
		case "sh":
		default:
			t.Errorf("a block of %s", b[1])
		}
	}
	for _, test := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(code, -1) {
		if test[1] != "TestGuide" {
			require.Contains(t, guide, "func "+test[1]+"(", "every test is in the guide")
		}
	}
}

// numbers are what changes when the library does: another seed, other decisions.
var numbers = regexp.MustCompile(`0x[0-9a-f]+(:[0-9,]+)?|decision \d+|number \d+ of \d+`)
