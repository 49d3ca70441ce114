package actortest

import (
	"strings"
	"testing"
	"time"
)

// A Recorder is the TB of a run of Explore, for tests that must fail.
type Recorder struct{ *recorder }

// Recorded calls f, which may end by FailNow or SkipNow, with a TB that keeps what it is told.
func Recorded(tb testing.TB, f func(tb testing.TB)) Recorder {
	r := &recorder{TB: tb}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer r.end()
		f(r)
	}()
	<-done
	return Recorder{r}
}

// Text is all that was logged.
func (r Recorder) Text() string { return strings.Join(r.logs, "\n") }

// Replay is what the flag -actortest.seed does, until the test ends.
func Replay(tb testing.TB, value string) error {
	tb.Cleanup(func() { replaying = replay{} })
	return replaying.Set(value)
}

// SetGrace changes how long a system has to stop, until the test ends.
func SetGrace(tb testing.TB, d time.Duration) {
	was := grace
	grace = d
	tb.Cleanup(func() { grace = was })
}

// GoldenFile is goldenFile without options.
func GoldenFile(tb testing.TB, file, text string, commands map[string]Command) string {
	return goldenFile(tb, file, text, commands, nil)
}

// SetRewriting sets -actortest.rewrite until the test ends.
func SetRewriting(tb testing.TB, on bool) {
	was := *rewrite
	*rewrite = on
	tb.Cleanup(func() { *rewrite = was })
}
