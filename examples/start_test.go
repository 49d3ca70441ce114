package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// block is a fenced block of a page.
type block struct{ language, text string }

func blocks(page string) (all []block) {
	for _, m := range regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		all = append(all, block{m[1], m[2]})
	}
	return all
}

// Every program of docs/start.md prints what the block below it says, and its test passes together
// with the program before it.
func TestStartPage(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the programs by itself, so they are the same in all kinds of builds")
	}
	page, err := os.ReadFile("../docs/start.md")
	require.NoError(t, err)
	root, err := filepath.Abs("..")
	require.NoError(t, err)

	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run := func(args ...string) string {
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOPROXY=off")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	sum, err := os.ReadFile("../go.sum")
	require.NoError(t, err)
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	_, requires, _ := strings.Cut(string(mod), "\nrequire")
	write("go.sum", string(sum))
	write("go.mod", "module example.com/counters\n\ngo 1.26\n\nrequire github.com/gotasklet/tasklet v0.0.0\n\n"+
		"replace github.com/gotasklet/tasklet => "+root+"\n\nrequire"+requires)

	programs, tests := 0, 0
	bs := blocks(string(page))
	for i, b := range bs {
		if b.language != "go" {
			continue
		}
		if strings.Contains(b.text, "func Test") {
			tests++
			write("page_test.go", b.text)
			run("test", ".")
			require.NoError(t, os.Remove(filepath.Join(dir, "page_test.go")))
			continue
		}
		programs++
		write("main.go", b.text)
		require.Less(t, i+1, len(bs), "a program without its output")
		require.Equal(t, "text", bs[i+1].language, "a program without its output")
		require.Equal(t, bs[i+1].text, run("run", "."), "program %d", programs)
	}
	require.Equal(t, 4, programs)
	require.Equal(t, 1, tests)
}
