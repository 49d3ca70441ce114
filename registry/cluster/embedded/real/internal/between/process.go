package between

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// RoleEnv is the environment variable that says what a process is that Start has started.
const RoleEnv = "TASKLET_BETWEEN_ROLE"

// Process is another process, which is told what to do by lines, and answers each with a line.
type Process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *bufio.Reader
}

// Start runs a program in a role.
func Start(program, role string) (*Process, error) {
	p := &Process{cmd: exec.Command(program)}
	p.cmd.Env = append(os.Environ(), RoleEnv+"="+role)
	p.cmd.Stderr = os.Stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

// Ask tells the process something, and waits for its answer.
func (p *Process) Ask(format string, args ...any) (string, error) {
	fmt.Fprintf(p.stdin, format+"\n", args...)
	return p.Line()
}

// Tell tells the process something, and fails if its answer is not "ok".
func (p *Process) Tell(format string, args ...any) error {
	text, err := p.Ask(format, args...)
	if err == nil && text != "ok" {
		err = errors.New(text)
	}
	return err
}

// Number asks the process for a number.
func (p *Process) Number(order string) (int64, error) {
	text, err := p.Ask(order)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// CPU returns the processor time that the process has used.
func (p *Process) CPU() (time.Duration, error) {
	n, err := p.Number("cpu")
	return time.Duration(n), err
}

// Line waits for a line of the process.
func (p *Process) Line() (string, error) {
	text, err := p.out.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("a process has ended: %w", err)
	}
	return strings.TrimSuffix(text, "\n"), nil
}

// Close makes the process end, and waits for that.
func (p *Process) Close() {
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
}

// Obey carries out what the parent says, until it ends. It knows how to count, if there is a
// counter, to profile, and what the process has used; other knows the rest.
func Obey(c *Counter, other func(order string) string) {
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		order, argument, _ := strings.Cut(s.Text(), " ")
		switch n, err := strconv.ParseInt(argument, 10, 64); {
		case order == "count" && err == nil && c != nil:
			c.start(n)
			fmt.Println("ok")
		case order == "profile":
			if err := profile(argument); err != nil {
				fmt.Println(err)
				continue
			}
			fmt.Println("ok")
		case order == "cpu":
			fmt.Println(Used().Nanoseconds())
		case order == "memory":
			fmt.Println(Peak())
		case other != nil:
			fmt.Println(other(s.Text()))
		default:
			fmt.Println("what is", order)
		}
	}
}

// Used returns the processor time of this process.
func Used() time.Duration {
	u := usage()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Peak returns the most memory that this process has had resident, in kB.
func Peak() int64 { return usage().Maxrss }

func usage() (u syscall.Rusage) {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return syscall.Rusage{}
	}
	return u
}

// profiled is the file of the profile that is being written, or nil.
var profiled *os.File

// profile ends the profile that is being written, and begins another one unless path is empty.
func profile(path string) error {
	if profiled != nil {
		pprof.StopCPUProfile()
		if err := profiled.Close(); err != nil {
			return err
		}
		profiled = nil
	}
	if path == "" {
		return nil
	}
	var err error
	if profiled, err = os.Create(path); err != nil {
		return err
	}
	return pprof.StartCPUProfile(profiled)
}
