package main

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// gannet as a process: what it says and how it ends.

// process runs gannet serve in a process of its own, until it listens.
func process(t *testing.T, flags ...string) (cmd *exec.Cmd, socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	cmd, _ = listening(t, append([]string{"--addr", "", "--unix", socket}, flags...)...)
	return cmd, socket
}

// listening runs gannet serve in a process of its own, and answers the line that says where it listens.
func listening(t *testing.T, flags ...string) (cmd *exec.Cmd, line string) {
	t.Helper()
	cmd = gannet(append([]string{"serve"}, flags...)...)
	return cmd, started(t, cmd)
}

// started starts a process and answers its first line.
func started(t *testing.T, cmd *exec.Cmd) (line string) {
	t.Helper()
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	if line, err = bufio.NewReader(stderr).ReadString('\n'); err != nil || !strings.Contains(line, "msg=listening") {
		t.Fatal(line, err)
	}
	return line
}

// gannet is the program with these arguments.
func gannet(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"=1")
	return cmd
}

// TestServeSaysWhere: the line comes when connections are taken, with a link that works and the real port.
func TestServeSaysWhere(t *testing.T) {
	for addr, link := range map[string]string{
		":0": "http://localhost:", "0.0.0.0:0": "http://localhost:", "[::]:0": "http://localhost:",
		"127.0.0.1:0": "http://127.0.0.1:", "localhost:0": "http://", "[::1]:0": "http://[::1]:",
	} {
		if ln, err := net.Listen("tcp", addr); err != nil {
			t.Log(addr, "is not to be had here:", err)
			continue
		} else {
			ln.Close()
		}
		cmd, line := listening(t, "--addr", addr)
		_, after, _ := strings.Cut(line, " url=")
		found, _, _ := strings.Cut(after, " ")
		if !strings.HasPrefix(found, link) || strings.Contains(found, ":0/") {
			t.Errorf("%s: %s", addr, line)
		}
		r, err := http.Get(found)
		if err != nil {
			t.Fatal(err)
		}
		if r.Body.Close(); r.StatusCode != 200 {
			t.Error(found, r.Status)
		}
		c, _, _, err := ws.Dial(context.Background(), "ws"+strings.TrimPrefix(found, "http")+"ws")
		if err != nil {
			t.Error(found, err)
		} else {
			c.Close()
		}
		http.DefaultClient.CloseIdleConnections()
		_ = cmd.Process.Kill()
	}
	socket := filepath.Join(t.TempDir(), "s")
	if _, line := listening(t, "--addr", "", "--unix", socket); !strings.Contains(line, "network=unix addr="+socket) || strings.Contains(line, "url=") {
		t.Error(line)
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestPageURL(t *testing.T) {
	for addr, want := range map[string]string{
		"0.0.0.0:8080": "http://localhost:8080/", "[::]:8080": "http://localhost:8080/", "[::ffff:0.0.0.0]:1": "http://localhost:1/",
		"192.0.2.1:80": "http://192.0.2.1:80/", "[::ffff:192.0.2.1]:80": "http://192.0.2.1:80/", "[2001:db8::1]:443": "http://[2001:db8::1]:443/",
		"[fe80::1%eth0]:80": "http://[fe80::1%25eth0]:80/",
	} {
		if got := pageURL("http", net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))); got != want {
			t.Errorf("%s: %s, want %s", addr, got, want)
		}
	}
	if got := pageURL("http", &net.UnixAddr{Name: "/s", Net: "unix"}); got != "" {
		t.Error(got)
	}
}

// TestErrorsAreSaidOnce: whatever is wrong is said in one place, once, with a status that is not 0 and no word of listening.
func TestErrorsAreSaidOnce(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for args, want := range map[string]string{
		"foo":                                   `no such command: "foo"`,
		"serve foo":                             `takes no arguments: "foo"`,
		"serve --addr :0 -- foo":                `takes no arguments: "foo"`,
		"serve foo --mode discard":              `takes no arguments: "foo"`,
		"version foo":                           `takes no arguments: "foo"`,
		"--nope":                                "-nope",
		"serve --nope":                          "-nope",
		"serve --addr":                          "needs an argument",
		"serve --loops many":                    `"many" for flag`,
		"serve --mode parrot":                   "parrot",
		"serve --loops 100000":                  "100000",
		"serve --addr 127.0.0.1":                "missing port",
		"serve --addr 256.0.0.1:80":             "256.0.0.1",
		"serve --addr " + taken.Addr().String(): "address already in use",
		"serve --addr :0 --unix /nowhere/s":     "no such file",
	} {
		cmd := gannet(strings.Fields(args)...)
		var out, said strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		if _, failed := err.(*exec.ExitError); !failed || out.Len() > 0 {
			t.Errorf("gannet %s: %v, %q", args, err, out.String())
		}
		if !strings.HasPrefix(said.String(), "gannet: ") || strings.Count(said.String(), "gannet: ") != 1 || strings.Count(said.String(), want) != 1 ||
			strings.Contains(said.String(), "listening") {
			t.Errorf("gannet %s says: %s", args, said.String())
		}
	}
}

// TestServeReplacesDeadSocket: the file that a server left which was killed is in nobody's way; one on which somebody listens, and
// what is no socket, stay as they are.
func TestServeReplacesDeadSocket(t *testing.T) {
	cmd, socket := process(t)
	refused := func(path string) {
		t.Helper()
		out, err := gannet("serve", "--addr", "", "--unix", path).CombinedOutput()
		if want := "gannet: --unix: listen unix " + path + ": bind: address already in use\n"; err == nil || string(out) != want {
			t.Errorf("%v, %q, want %q", err, out, want)
		}
	}
	refused(socket)
	dial(t, socket).Close()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	listening(t, "--addr", "", "--unix", socket)
	dial(t, socket)
	file := filepath.Join(t.TempDir(), "gannet") // whose name is no error's beginning
	if err := os.WriteFile(file, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(file)
	if kept, err := os.ReadFile(file); err != nil || string(kept) != "kept" {
		t.Errorf("%q, %v", kept, err)
	}
}

func TestErrorsWithoutTheEnginesName(t *testing.T) {
	for said, want := range map[string]string{
		"gannet: Options: Loops is 0": "Options: Loops is 0", "--unix: gannet: listen": "--unix: listen", "one\ngannet: two": "one\ntwo",
		"listen unix /run/gannet: bind": "listen unix /run/gannet: bind",
	} {
		if got := withoutName(said); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// bySystemd is gannet as systemd starts it, with a listening socket.
func bySystemd(t *testing.T, args ...string) (cmd *exec.Cmd, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := ln.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	cmd = gannet(args...)
	cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
	cmd.ExtraFiles = []*os.File{file}
	return cmd, ln.Addr().String()
}

// TestServeBySystemd: the socket that systemd opened is served and said; flags that name others are refused.
func TestServeBySystemd(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("systemd runs on Linux")
	}
	cmd, addr := bySystemd(t, "serve")
	if line := started(t, cmd); !strings.Contains(line, "url=http://"+addr+"/ ") {
		t.Error(line)
	}
	c, _, _, err := ws.Dial(context.Background(), "ws://"+addr+"/ws")
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, flag := range []string{"--addr=:0", "--unix=/nowhere"} {
		cmd, _ := bySystemd(t, "serve", flag)
		if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "--addr and --unix") {
			t.Errorf("%s: %v, %s", flag, err, out)
		}
	}
}

func TestVersion(t *testing.T) {
	var all []string
	for _, arg := range []string{"--version", "-v", "version"} {
		out, err := gannet(arg).Output()
		if err != nil || !strings.HasPrefix(string(out), "gannet version ") || !strings.Contains(string(out), runtime.Version()) ||
			strings.Count(string(out), "\n") != 1 {
			t.Errorf("%s: %q, %v", arg, out, err)
		}
		all = append(all, string(out))
	}
	if all[0] != all[1] || all[0] != all[2] {
		t.Error(all)
	}
	got := revisionOf([]debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}})
	if got != ", commit abc and changes" || revisionOf(nil) != "" {
		t.Error(got)
	}
}

// TestServeEndsInTime: --shutdown-time bounds what a client may hold up, and a second signal does not wait for it. Without
// either the client would be given up after CloseTimeout, and the process would end in order.
func TestServeEndsInTime(t *testing.T) {
	for _, k := range []struct {
		wait string
		want string // of the process's end
	}{{"200ms", "exit status 1"}, {"1h", "signal: terminated"}} {
		cmd, socket := process(t, "--shutdown-time", k.wait)
		_ = dial(t, socket) // it answers no Close
		ended := make(chan error, 1)
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		go func() { ended <- cmd.Wait() }()
		var end error
		for again := time.NewTicker(10 * time.Millisecond); end == nil; {
			select {
			case end = <-ended:
				again.Stop()
				if end == nil {
					t.Fatalf("--shutdown-time %s: it ended in order, so the client was waited for", k.wait)
				}
			case <-again.C:
				if k.wait == "1h" { // the first one may not have been noticed yet, and then a second is the same one
					_ = cmd.Process.Signal(syscall.SIGTERM)
				}
			}
		}
		if end.Error() != k.want {
			t.Errorf("--shutdown-time %s: gannet ended with %v, want %s", k.wait, end, k.want)
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
