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
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gannet-ws/gannet/engine"
)

// asMain makes the test binary behave as gannet itself.
const asMain = "GANNET_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// serving runs gannet serve on a unix socket until the test ends.
func serving(t *testing.T, flags ...string) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	args := append([]string{"gannet", "serve", "--addr", "", "--unix", socket, "--log", "error"}, flags...)
	go func() { ended <- command().Run(ctx, args) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error("serve:", err)
		}
	})
	untilServed(t, socket)
	return socket
}

// untilServed waits until somebody listens: the file alone is there a moment before.
func untilServed(t *testing.T, socket string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if c, err := net.Dial("unix", socket); err == nil {
			c.Close()
			return
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func dial(t *testing.T, socket string) net.Conn {
	t.Helper()
	d := ws.Dialer{NetDial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}
	c, early, _, err := d.Dial(context.Background(), "ws://gannet/")
	if err != nil {
		t.Fatal(err)
	}
	if early != nil {
		t.Fatal("frames before anything was said")
	}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	t.Cleanup(func() { c.Close() })
	return c
}

func overUnix(socket string) *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return net.Dial("unix", socket)
	}}}
}

func stats(t *testing.T, socket string) (s engine.Stats) {
	t.Helper()
	web := overUnix(socket)
	defer web.CloseIdleConnections()
	r, err := web.Get("http://gannet/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestServeEcho(t *testing.T) {
	socket := serving(t)
	c := dial(t, socket)
	for _, text := range []string{"hello", "", strings.Repeat("ä", 100_000)} {
		go wsutil.WriteClientText(c, []byte(text))
		got, op, err := wsutil.ReadServerData(c)
		if err != nil || op != ws.OpText || string(got) != text {
			t.Fatal(len(got), op, err)
		}
	}
	s := stats(t, socket)
	for end := time.Now().Add(time.Minute); s.MessagesIn < 3 && time.Now().Before(end); s = stats(t, socket) {
		time.Sleep(time.Millisecond) // a turn is counted when it ends: its echoes may have left before
	}
	if s.Open != 1 || s.MessagesIn != 3 {
		t.Errorf("%+v", s)
	}
}

func TestServeBroadcast(t *testing.T) {
	socket := serving(t, "--mode", "broadcast", "--loops", "2")
	all := []net.Conn{dial(t, socket), dial(t, socket), dial(t, socket)}
	if err := wsutil.WriteClientText(all[1], []byte("to all")); err != nil {
		t.Fatal(err)
	}
	for i, c := range all {
		if got, _, err := wsutil.ReadServerData(c); err != nil || string(got) != "to all" {
			t.Error(i, string(got), err)
		}
	}
}

func TestServeDiscard(t *testing.T) {
	socket := serving(t, "--mode", "discard", "--max-message", "10")
	c := dial(t, socket)
	if err := wsutil.WriteClientText(c, []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); stats(t, socket).MessagesIn != 1; {
		if time.Now().After(end) {
			t.Fatal("the message was not counted")
		}
	}
	if err := wsutil.WriteClientText(c, []byte("0123456789x")); err != nil {
		t.Fatal(err)
	}
	_, _, err := wsutil.ReadServerData(c)
	if closed, ok := err.(wsutil.ClosedError); !ok || closed.Code != ws.StatusMessageTooBig {
		t.Error("over --max-message:", err)
	}
}

func TestServePages(t *testing.T) {
	socket := serving(t)
	web := overUnix(socket)
	defer web.CloseIdleConnections()
	for path, want := range map[string]int{"/": 200, "/stats": 200, "/ws": 426, "/elsewhere": 426} {
		r, err := web.Get("http://gannet" + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != want || len(body) == 0 {
			t.Error(path, r.Status, len(body), err)
		}
	}
}

func TestServeRefusesBadFlags(t *testing.T) {
	for _, k := range []struct{ flags, want string }{
		{"--mode parrot", "--mode"},
		{"--log loud", "--log"},
		{"--loops 100000", "Loops"},
		{"--max-message -1", "MaxMessageSize"},
		{"--origin https://*.*.com", "Origins"},
		{"--addr 256.0.0.1:http", "256.0.0.1"},
	} {
		args := append([]string{"gannet", "serve", "--addr", "127.0.0.1:0"}, strings.Fields(k.flags)...)
		err := command().Run(context.Background(), args)
		if err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("%s: %v", k.flags, err)
		}
	}
	if err := command().Run(context.Background(), []string{"gannet", "serve", "--addr", ""}); err == nil {
		t.Error("served nowhere")
	}
}

// process runs gannet serve in a process of its own, until it listens.
func process(t *testing.T, flags ...string) (cmd *exec.Cmd, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	cmd = exec.Command(os.Args[0], append([]string{"serve", "--addr", "", "--unix", socket}, flags...)...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err := bufio.NewReader(stderr).ReadString('\n'); err != nil || !strings.Contains(line, "listening") {
		t.Fatal(line, err)
	}
	untilServed(t, socket)
	return cmd, socket
}

// TestServeEndsInTime: --shutdown-time bounds what a client may hold up, and a second signal does not wait for it.
func TestServeEndsInTime(t *testing.T) {
	for name, end := range map[string]func(cmd *exec.Cmd){
		"time": func(*exec.Cmd) {},
		"signal": func(cmd *exec.Cmd) {
			time.Sleep(100 * time.Millisecond)
			_ = cmd.Process.Signal(syscall.SIGTERM)
		},
	} {
		wait := map[string]string{"time": "200ms", "signal": "1h"}[name]
		cmd, socket := process(t, "--shutdown-time", wait)
		_ = dial(t, socket) // it answers no Close
		began := time.Now()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		end(cmd)
		if err := cmd.Wait(); err == nil || time.Since(began) > 8*time.Second {
			t.Errorf("%s: gannet ended with %v after %v", name, err, time.Since(began))
		}
	}
}

// TestServeEndsOnSIGTERM: connections are closed with 1001 and the process ends with 0.
func TestServeEndsOnSIGTERM(t *testing.T) {
	cmd, socket := process(t)
	c := dial(t, socket)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_, _, err := wsutil.ReadServerData(c)
	if closed, ok := err.(wsutil.ClosedError); !ok || closed.Code != ws.StatusGoingAway {
		t.Error("the connection ended with", err)
	}
	c.Close()
	if err := cmd.Wait(); err != nil {
		t.Error("gannet ended with", err)
	}
	if _, err := os.Stat(socket); !os.IsNotExist(err) {
		t.Error("the socket is still there:", err)
	}
}
