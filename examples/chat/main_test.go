package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// chat is a server that runs.
type chat struct {
	t    *testing.T
	addr string
	stop context.CancelFunc
	code chan int
	out  *output
	errs *output
}

// output is what the server writes, and tells of its first line.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	first chan string
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() == 0 && o.first != nil {
		o.first <- string(b)
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func open(t *testing.T, args ...string) *chat {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &chat{t: t, stop: stop, code: make(chan int, 1), out: &output{first: make(chan string, 1)}, errs: &output{}}
	go func() { s.code <- runContext(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), s.out, s.errs) }()
	s.addr = strings.TrimSpace(strings.TrimPrefix(<-s.out.first, "listening on "))
	t.Cleanup(func() { stop() })
	return s
}

// close interrupts the server; its account must be right.
func (s *chat) close() string {
	s.t.Helper()
	s.stop()
	require.Zero(s.t, <-s.code, "%s%s", s.errs, s.out)
	return s.out.String()
}

// person is a client.
type person struct {
	t *testing.T
	*net.TCPConn
	in *bufio.Reader
}

func (s *chat) enter() *person {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	return &person{s.t, c.(*net.TCPConn), bufio.NewReader(c)}
}

func (p *person) say(text string) {
	p.t.Helper()
	_, err := io.WriteString(p, text+"\n")
	require.NoError(p.t, err)
}

// hears reads lines, which must be these.
func (p *person) hears(lines ...string) {
	p.t.Helper()
	for _, want := range lines {
		got, err := p.in.ReadString('\n')
		require.NoError(p.t, err, want)
		require.Equal(p.t, want+"\n", got)
	}
}

// until reads lines up to one that begins with prefix, and gives it.
func (p *person) until(prefix string) string {
	p.t.Helper()
	for {
		got, err := p.in.ReadString('\n')
		require.NoError(p.t, err)
		if strings.HasPrefix(got, prefix) {
			return strings.TrimSuffix(got, "\n")
		}
	}
}

func (p *person) end() {
	p.t.Helper()
	got, err := p.in.ReadString('\n')
	require.Equal(p.t, io.EOF, err, got)
}

func TestTalk(t *testing.T) {
	s := open(t, "-clients", "2")
	ada := s.enter()
	ada.hears("* you are guest1 of 1; /name NAME, /who, /quit")
	bob := s.enter()
	bob.hears("* you are guest2 of 2; /name NAME, /who, /quit")
	ada.hears("* guest2 comes in")
	third := s.enter()
	third.hears("* the room is full")
	third.end()

	ada.say("/name ada")
	ada.hears("* you are ada")
	bob.hears("* guest1 is now ada")
	bob.say("/name ada")
	bob.say("/name a b")
	bob.say("/nome ada")
	bob.say("/name bob")
	bob.say("/who\r")
	bob.say("Hello!\r")
	bob.hears("* there is a ada already", "* a name has 1 to 20 bytes, and none of them is a space, :, * or /", "* there is no /nome", "* you are bob")
	bob.hears("* ada, bob")
	ada.hears("* guest2 is now bob", "bob: Hello!")
	ada.say("Bye.")
	ada.say("/quit")
	ada.end()
	bob.hears("ada: Bye.", "* ada leaves")
	// Half closed, it still hears what is queued.
	require.NoError(t, bob.CloseWrite())
	bob.end()
	require.Contains(t, s.close(), "2 clients said 2 lines\n14 lines to tell: 14 written, 0 dropped, 0 refused, 0 left over, 0 lost\n")
}

// long is a line of which some fill the buffers of a connection.
var long = strings.Repeat("x", 32<<10)

var missedLines = regexp.MustCompile(`^\* you missed (\d+) lines\n`)

// Many talk, some only listen, some never read, some die without a word. Each who listens has every
// line, in order, or knows how many it has missed; the account is right to the line.
func TestCrowd(t *testing.T) {
	const listeners, talkers, deaf, dying, lines = 4, 12, 4, 8, 60
	s := open(t, "-queue", "20", "-grace", "10s")
	enter := func(n int) (ps []*person) {
		for range n {
			p := s.enter()
			p.until("* you are ")
			ps = append(ps, p)
		}
		return ps
	}
	var listening, talking sync.WaitGroup
	totals := make([]int, listeners)
	for i, p := range enter(listeners) {
		listening.Go(func() { totals[i] = p.listen(t) })
	}
	silent := enter(deaf)
	// all before anybody talks: who comes later misses what nobody counts for it
	mortal, lively := enter(dying), enter(talkers)
	for i, p := range mortal {
		talking.Go(func() {
			for n := range 5 + i {
				if _, err := fmt.Fprintln(p, n, "by", i, long[:1000]); err != nil {
					return
				}
			}
			_ = p.SetLinger(0) // a reset instead of an end
			p.Close()
		})
	}
	for _, p := range lively {
		talking.Go(func() {
			listening := make(chan int)
			go func() { listening <- p.listen(t) }()
			for n := range lines {
				p.say(fmt.Sprint(n, " ", long[:8<<10]))
			}
			p.say("/quit")
			<-listening // what it said has been told to all
		})
	}
	talking.Wait()
	for _, p := range silent {
		p.Close()
	}
	out := s.close()
	listening.Wait()
	for i, n := range totals {
		require.Equal(t, totals[0]-i, n, "listener %d: each that came later has heard or missed one less, of %v", i, totals)
	}
	require.GreaterOrEqual(t, totals[0], talkers*lines)
	require.Regexp(t, fmt.Sprintf("^listening.*\n%d clients said", listeners+talkers+deaf+dying), out)
}

// listen reads up to the end, and gives the number of lines that it has heard or missed.
func (p *person) listen(t *testing.T) (total int) {
	next := make(map[string]int) // by who says it: the number of the next line
	missed := 0
	for {
		got, err := p.in.ReadString('\n')
		if err == io.EOF {
			return total
		} else if err != nil {
			t.Error(err)
			return total
		}
		if m := missedLines.FindStringSubmatch(got); m != nil {
			n, _ := strconv.Atoi(m[1])
			missed += n
			total += n
			continue
		}
		total++
		who, text, said := strings.Cut(got, ": ")
		if !said {
			continue
		}
		n, err := strconv.Atoi(strings.Fields(text)[0])
		if err != nil {
			t.Error(err)
		}
		if n < next[who] {
			t.Errorf("line %d of %s after line %d", n, who, next[who]-1)
		}
		if missed -= n - next[who]; missed < 0 {
			t.Errorf("lines %d to %d of %s are missing, and nobody said so", next[who], n-1, who)
		}
		next[who] = n + 1
	}
}

// A slow client loses the oldest lines, and is told how many when it reads again.
func TestDrop(t *testing.T) {
	s := open(t, "-queue", "4")
	slow := s.enter()
	slow.until("* you are ")
	fast := s.enter()
	fast.until("* you are ")
	lines := 0
	for ; lines < 2000; lines++ { // more than any buffer
		fast.say(fmt.Sprint(lines, " ", long))
	}
	fast.say("/who")
	fast.until("* guest1, guest2") // by now all is told
	slow.hears("* guest2 comes in")
	heard, missed := 0, 0
	for heard+missed < lines {
		got, err := slow.in.ReadString('\n')
		require.NoError(t, err)
		if m := missedLines.FindStringSubmatch(got); m != nil {
			n, _ := strconv.Atoi(m[1])
			missed += n
			continue
		}
		require.Equal(t, fmt.Sprint("guest2: ", heard+missed, " "), got[:len(got)-len(long)-1])
		heard++
	}
	require.Positive(t, missed)
	out := s.close()
	require.Contains(t, out, fmt.Sprintf("2 clients said %d lines\n", lines))
	require.Contains(t, out, fmt.Sprintf(" %d dropped, 0 refused, 0 left over, 0 lost", missed))
}

func TestDisconnect(t *testing.T) {
	s := open(t, "-slow", "disconnect")
	slow := s.enter()
	slow.until("* you are ")
	fast := s.enter()
	fast.until("* you are ")
	over := make(chan bool)
	go func() {
		defer close(over)
		fast.until("* guest1 was too slow")
	}()
	for n := 0; ; n++ {
		select {
		case <-over:
		default:
			fast.say(fmt.Sprint(n, " ", long))
			continue
		}
		break
	}
	_, _ = io.Copy(io.Discard, slow) // what had got through, and the end
	fast.say("/who")
	fast.hears("* guest2")
	require.Regexp(t, ` 0 dropped, 1 refused, \d+ left over, [01] lost\n`, s.close())
}

// An interrupt: who reads gets what is queued, a goodbye and the end; who does not read holds
// nobody up.
func TestInterrupt(t *testing.T) {
	s := open(t, "-grace", "50ms")
	deaf := s.enter()
	deaf.until("* you are ")
	a, b := s.enter(), s.enter()
	a.until("* guest")
	b.until("* you are ")
	var wg sync.WaitGroup
	wg.Go(func() {
		for n := range 400 {
			a.say(fmt.Sprint(n, " ", long))
		}
		a.say("/who")
	})
	wg.Go(func() {
		if got := b.until("guest2: 399 "); got == "" {
			t.Error("nothing")
		}
	})
	a.until("* guest1, guest2, guest3")
	wg.Wait()
	s.stop()
	a.until("* the server closes")
	a.end()
	b.until("* the server closes")
	b.end()
	s.close()
}

func TestUsage(t *testing.T) {
	for _, args := range []string{"-queue 0", "-slow never", "-clients 0", "-grace -1s", "now", "-fast", "-grace soon"} {
		var out, errs bytes.Buffer
		require.Equal(t, 2, runContext(t.Context(), strings.Fields(args), &out, &errs), args)
		require.NotEmpty(t, errs.String())
		require.Empty(t, out.String())
	}
	var out, errs bytes.Buffer
	require.Equal(t, 0, run([]string{"-h"}, nil, &out, &errs))
	s := open(t)
	require.Equal(t, 1, runContext(t.Context(), []string{"-addr", s.addr}, &out, &errs))
	require.Contains(t, errs.String(), "chat: listen tcp "+s.addr+": bind: address already in use\n")
	s.close()
}
