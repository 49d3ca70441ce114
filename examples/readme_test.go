// Package examples tests that the program in README.md is one.
package examples

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotasklet/tasklet/actor"
)

func Example() {
	err := actor.Run(context.Background(), actor.Config{}, func(t *actor.Tasklet) error {
		greeter := actor.Receiver(t, func(t *actor.Tasklet, name string) error {
			fmt.Println("Hello,", name)
			return nil
		}, actor.MailboxLen(2)) // a third message waits for room
		for _, name := range []string{"Ada", "Grace", "Barbara"} {
			if err := greeter.Send(t, name); err != nil {
				return err
			}
		}
		greeter.Close()        // no more messages: it ends when it has handled these
		return greeter.Join(t) // nil, or why it failed
	})

	fmt.Println(err)
	// Output:
	// Hello, Ada
	// Hello, Grace
	// Hello, Barbara
	// <nil>
}

// The block in README.md is the first statement of Example, to the letter.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	source, err := os.ReadFile("readme_test.go")
	require.NoError(t, err)
	_, block, found := strings.Cut(string(readme), "```go\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```\n")
	_, body, _ := strings.Cut(string(source), "func Example() {\n")
	body, _, _ = strings.Cut(body, "\n\n\tfmt.Println(err)")
	require.Equal(t, strings.ReplaceAll("\n"+body+"\n", "\n\t", "\n")[1:], block)
}
