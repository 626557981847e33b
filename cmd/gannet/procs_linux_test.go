package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gannet-ws/gannet/cmd/gannet/processes"
	"github.com/gannet-ws/gannet/engine"
)

// gannet serve --procs: several processes as one server.

// crowd is gannet serve with several processes.
type crowd struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	pids []int
	said *saidLines
}

// saidLines is what a process has said so far.
type saidLines struct {
	mu   sync.Mutex
	text strings.Builder
	over chan struct{}
}

func (s *saidLines) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// startCrowd runs gannet serve --procs, until it listens, in a process group of its own. The test ends it, or it is killed.
func startCrowd(t *testing.T, n int, flags ...string) *crowd {
	t.Helper()
	c := &crowd{t: t, said: &saidLines{over: make(chan struct{})}}
	c.cmd = gannet(append([]string{"serve", "--addr", "127.0.0.1:0", "--procs", strconv.Itoa(n)}, flags...)...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	lines := bufio.NewReader(stderr)
	line, err := lines.ReadString('\n')
	if err != nil || !strings.Contains(line, "msg=listening") {
		t.Fatal(line, err)
	}
	c.addr = attribute(t, line, "addr")
	for pid := range strings.SplitSeq(attribute(t, line, "pids"), ",") {
		k, err := strconv.Atoi(pid)
		if err != nil {
			t.Fatal(line)
		}
		c.pids = append(c.pids, k)
	}
	if len(c.pids) != n || attribute(t, line, "procs") != strconv.Itoa(n) || attribute(t, line, "pid") != strconv.Itoa(c.cmd.Process.Pid) {
		t.Error(line)
	}
	go func() {
		defer close(c.said.over)
		for {
			line, err := lines.ReadString('\n')
			c.said.mu.Lock()
			c.said.text.WriteString(line)
			c.said.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return c
}

// attribute is the value of a key in a line of the log.
func attribute(t *testing.T, line, key string) string {
	t.Helper()
	_, after, found := strings.Cut(line, " "+key+"=")
	if !found {
		t.Fatalf("no %s in %s", key, line)
	}
	value, _, _ := strings.Cut(strings.TrimSpace(after), " ")
	return strings.Trim(value, `"`)
}

// ended waits until the parent and all others are gone, and answers how the parent ended and what all of them said.
func (c *crowd) ended() (said string, how error) {
	c.t.Helper()
	<-c.said.over // all of them have it as their stderr
	how = c.cmd.Wait()
	for _, pid := range c.pids {
		until(c.t, "the end of a process", func() bool { return gone(pid) })
	}
	return c.said.String(), how
}

// gone tells whether a process has ended. Nobody may have asked how yet: then it is a zombie.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return strings.HasPrefix(after, "Z")
}

func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a minute without ", what)
		}
	}
}

// dialAll opens n connections.
func (c *crowd) dialAll(n int) (all []net.Conn) {
	c.t.Helper()
	for range n {
		conn, _, _, err := ws.Dial(context.Background(), "ws://"+c.addr+"/ws")
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { conn.Close() })
		all = append(all, conn)
	}
	return all
}

// figures are those that one of the processes answers; which one the kernel chooses.
func (c *crowd) figures() (f processes.Figures) {
	c.t.Helper()
	r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + c.addr + "/stats")
	if err != nil {
		c.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(text, &f) != nil || r.StatusCode != 200 {
		c.t.Fatalf("%v, %d: %s", err, r.StatusCode, text)
	}
	return f
}

// enoughForAll is so many connections that a process of three without any is no matter of chance: (2/3)^100.
const enoughForAll = 100

// TestProcsShareAPort: connections go to all processes, and whichever is asked knows the figures of all.
func TestProcsShareAPort(t *testing.T) {
	c := startCrowd(t, 3)
	for _, conn := range c.dialAll(enoughForAll) {
		if err := wsutil.WriteClientText(conn, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if got, err := wsutil.ReadServerText(conn); err != nil || string(got) != "hello" {
			t.Fatalf("%q, %v", got, err)
		}
	}
	until(t, "all counted", func() bool { f := c.figures(); return f.MessagesIn == enoughForAll && f.MessagesOut == enoughForAll })
	one, err := engine.NewServer(engine.Funcs{}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if all, one := c.figures().InboundBudgetBytes, one.Stats().InboundBudgetBytes; all > one || all < one-3 {
		t.Errorf("together they may hold %d bytes of unfinished messages, and one process %d", all, one)
	}
	for range 20 { // the kernel chooses who answers
		f := c.figures()
		var pids []int
		for _, p := range f.Processes {
			pids = append(pids, p.PID)
			if p.Conns < 1 {
				t.Errorf("process %d has no connection", p.PID)
			}
		}
		if f.Open != enoughForAll || f.MessagesIn != enoughForAll || !slices.Equal(pids, c.pids) {
			t.Fatalf("%+v", f)
		}
	}
}

// TestProcsEndInOrder: on SIGTERM to the parent, and on Ctrl-C, which a terminal sends to all of them.
func TestProcsEndInOrder(t *testing.T) {
	for name, end := range map[string]func(*crowd) error{
		"SIGTERM": func(c *crowd) error { return c.cmd.Process.Signal(syscall.SIGTERM) },
		"Ctrl-C":  func(c *crowd) error { return syscall.Kill(-c.cmd.Process.Pid, syscall.SIGINT) },
		"systemd": func(c *crowd) error { return syscall.Kill(-c.cmd.Process.Pid, syscall.SIGTERM) },
	} {
		c := startCrowd(t, 3)
		all := c.dialAll(enoughForAll)
		if err := end(c); err != nil {
			t.Fatal(err)
		}
		for _, conn := range all {
			closedWith(t, conn, ws.StatusGoingAway)
		}
		said, how := c.ended()
		if how != nil || strings.Count(said, "shutting down") != 1 {
			t.Errorf("%s: %v: %s", name, how, said)
		}
		if conn, err := net.Dial("tcp", c.addr); err == nil {
			conn.Close()
			t.Errorf("%s: somebody still listens", name)
		}
	}
}

func closedWith(t *testing.T, conn net.Conn, code ws.StatusCode) {
	t.Helper()
	_, _, err := wsutil.ReadServerData(conn)
	if closed, ok := err.(wsutil.ClosedError); !ok || closed.Code != code {
		t.Error("a connection ended with", err)
	}
	conn.Close()
}

// TestProcsEndTogether: nobody is left behind, whoever ends first.
func TestProcsEndTogether(t *testing.T) {
	t.Run("a second signal does not wait", func(t *testing.T) {
		c := startCrowd(t, 3, "--shutdown-time", "1h")
		c.dialAll(1) // it answers no Close
		signals := time.NewTicker(10 * time.Millisecond)
		defer signals.Stop()
		for over := false; !over; {
			select {
			case <-c.said.over:
				over = true
			case <-signals.C: // the first one may not have been noticed yet, and then a second is the same one
				_ = c.cmd.Process.Signal(syscall.SIGTERM)
			}
		}
		if _, how := c.ended(); how == nil || how.Error() != "signal: terminated" {
			t.Error(how)
		}
	})
	t.Run("the parent is killed", func(t *testing.T) {
		c := startCrowd(t, 3)
		c.dialAll(enoughForAll)
		_ = c.cmd.Process.Kill()
		c.ended()
	})
	t.Run("one of them is killed", func(t *testing.T) {
		c := startCrowd(t, 3)
		all := c.dialAll(enoughForAll)
		if err := syscall.Kill(c.pids[1], syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		left := 0
		for _, conn := range all {
			_, _, err := wsutil.ReadServerData(conn)
			if closed, ok := err.(wsutil.ClosedError); ok && closed.Code == ws.StatusGoingAway {
				left++
			}
			conn.Close()
		}
		said, how := c.ended()
		if how == nil || how.Error() != "exit status 1" || left == 0 || left == enoughForAll {
			t.Errorf("%v, %d of %d closed in order", how, left, enoughForAll)
		}
		if line := "process " + strconv.Itoa(c.pids[1]) + " ended by itself (signal: killed)"; strings.Count(said, line) != 2 {
			t.Errorf("it is to be logged at once and said at the end: %s", said)
		}
	})
	t.Run("the time to shut down is over", func(t *testing.T) {
		c := startCrowd(t, 2, "--shutdown-time", "200ms")
		c.dialAll(1) // it answers no Close
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
		said, how := c.ended()
		if how == nil || how.Error() != "exit status 1" || !strings.Contains(said, "still open after 200ms") {
			t.Errorf("%v: %s", how, said)
		}
	})
}

// TestProcsBroadcast: all connections of all processes hear what one says, in its order, and no more is kept than the pipes take.
func TestProcsBroadcast(t *testing.T) {
	c := startCrowd(t, 3, "--mode", "broadcast")
	all := c.dialAll(30)
	const messages, size = 40, 256 << 10 // 10 MiB: more than may wait
	go func() {
		for i := range messages {
			if wsutil.WriteClientBinary(all[0], append(make([]byte, size), byte(i))) != nil {
				return // whoever hears nothing tells
			}
		}
	}()
	var wait sync.WaitGroup
	for _, conn := range all {
		wait.Go(func() {
			for i := range messages {
				got, err := wsutil.ReadServerBinary(conn)
				if err != nil || len(got) != size+1 || got[size] != byte(i) {
					t.Errorf("message %d: %d bytes, %v", i, len(got), err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// TestProcsSilent: figures without those of a process that does not answer are none.
func TestProcsSilent(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits until a process has been silent for 5 s")
	}
	c := startCrowd(t, 3)
	if err := syscall.Kill(c.pids[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(c.pids[0], syscall.SIGCONT)
	answer := func() (status int, text string) { // of a process that runs
		for {
			client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			r, err := client.Get("http://" + c.addr + "/stats")
			if err != nil {
				continue // it came to the one that is stopped
			}
			defer r.Body.Close()
			said, _ := io.ReadAll(r.Body)
			return r.StatusCode, string(said)
		}
	}
	if status, said := answer(); status != 503 || !strings.Contains(said, "process "+strconv.Itoa(c.pids[0])+" did not answer") {
		t.Error(status, said)
	}
}

// TestProcsRefused: what can not be is said once, before anybody listens.
func TestProcsRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for args, want := range map[string]string{
		"--procs 0":                                    "--procs is 0, must be 1 to 1024",
		"--procs 1025":                                 "must be 1 to 1024",
		"--procs 2 --unix /nowhere/s":                  "--unix does not go with --procs",
		"--procs 2 --addr=":                            "--addr is empty",
		"--procs 2 --self-signed":                      "--self-signed does not go with --procs",
		"--procs 2 --mode parrot":                      "parrot",
		"--procs 2 --addr " + taken.Addr().String():    "address already in use",
		"--procs 2 --addr 127.0.0.1:0 --cert /nowhere": "/nowhere",
	} {
		out, err := gannet(append([]string{"serve"}, strings.Fields(args)...)...).CombinedOutput()
		if said := string(out); err == nil || strings.Count(said, "gannet: ") != 1 || strings.Count(said, want) != 1 || strings.Contains(said, "listening") {
			t.Errorf("serve %s: %v, %s", args, err, said)
		}
	}
	cmd, _ := bySystemd(t, "serve", "--procs", "2")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--procs opens one for each process") {
		t.Errorf("%v, %s", err, out)
	}
}

// TestProcsOrphanAtBirth: a process whose parent has ended before it began serves nobody.
func TestProcsOrphanAtBirth(t *testing.T) {
	cmd := gannet("serve", "--procs", "2", "--addr", "127.0.0.1:0")
	cmd.Env = append(cmd.Env, "GANNET_PARENT=1")
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "the process that started this one has ended") {
		t.Errorf("%v, %s", err, out)
	}
}
