package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// examples/orders shows its pages under load: a worker that is killed on its page is started again,
// and the end of the program is not held up by a page that is open.
func TestOrders(t *testing.T) {
	dir := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "orders"), ".")
	build.Dir, build.Stderr = "../../../examples/orders", os.Stderr
	require.NoError(t, build.Run())
	program := exec.Command(filepath.Join(dir, "orders"), "-addr", "localhost:0", "-db", filepath.Join(dir, "db"), "-debug", "-failures", "0.2")
	stderr, err := program.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() { _ = program.Process.Kill() })
	listening := make(chan string, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var entry struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "listening" {
				listening <- entry.Addr
			}
		}
	}()
	var url string
	select {
	case addr := <-listening:
		url = "http://" + addr
	case <-over:
		t.Fatal("the program has ended before it was listening")
	}

	done := make(chan struct{})
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				body := fmt.Sprintf(`{"customer": "customer%d%d", "item": "tea", "amount": 100}`, i, n%50)
				if resp, err := http.Post(url+"/orders", "application/json", strings.NewReader(body)); err == nil {
					_ = resp.Body.Close()
				}
			}
		}()
	}

	p := open(t, chromium(t), url+"/debug/tasklets/", "light", 1200, 1000)
	p.until(5*time.Second, says("Tree", "writer", "/s"))
	p.until(5*time.Second, `document.body.innerText.includes('Nothing needs attention')`)
	for page, text := range map[string]string{
		"tree": "customers", "tasklets": "payments", "stuck": "Full mailboxes", "events": "dropped", "deadletters": "since", "system": "Schedulers",
		"tree?under=/orders/shop/payments": "worker",
	} {
		if strings.Contains(page, "under") {
			text = "payments"
		}
		p.go_(page)
		p.until(5*time.Second, fmt.Sprintf(`document.querySelector('main').textContent.includes(%q)`, text))
	}
	p.go_("tasklets?q=worker")
	p.until(5*time.Second, row("Tasklets", "worker"))
	p.run(row("Tasklets", "worker") + `.querySelector('a').click()`)
	p.until(5*time.Second, `[...document.querySelectorAll('.bar button')].some((e) => e.textContent === 'kill')`)
	worker := eval[string](p, `document.querySelector('h2').textContent`)
	p.click(".bar button", "kill")
	p.click(".bar button", "kill: sure?")
	p.until(within, `document.body.innerText.includes('ended: ')`)
	p.go_("tasklets?q=" + worker[strings.LastIndexByte(worker, '/')+1:])
	p.until(10*time.Second, says("Tasklets", worker, "idle")+" || "+says("Tasklets", worker, "parked"))

	close(done)
	begin := time.Now()
	require.NoError(t, program.Process.Signal(syscall.SIGTERM))
	<-over
	require.NoError(t, program.Wait())
	require.Less(t, time.Since(begin), 10*time.Second)
	p.allow("ERR_") // the stream has nobody to connect to
}
