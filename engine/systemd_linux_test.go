package engine

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Socket activation: a process that is started as systemd does it serves what it was given.

const activatedEnv = "GANNET_TEST_ACTIVATED"

// The test binary is such a process when it is told so: it says what SystemdListeners gave, serves that until its input ends,
// and says what Close left.
func init() {
	if os.Getenv(activatedEnv) != "" {
		activated()
		os.Exit(0)
	}
}

func activated() {
	all, err := SystemdListeners()
	if err != nil {
		fmt.Println("error:", strings.ReplaceAll(err.Error(), "\n", "; "))
		return
	}
	again, err := SystemdListeners()
	fmt.Println("got", len(all), len(again), err, os.Getenv("LISTEN_PID")+os.Getenv("LISTEN_FDS")+os.Getenv("LISTEN_FDNAMES"))
	s, err := NewServer(echoHandler, Options{Loops: 2})
	if err != nil {
		panic(err)
	}
	served := make(chan error)
	for _, l := range all {
		fmt.Println(l.Name, l.Listener.Addr())
		go func() { served <- s.Serve(l.Listener) }()
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	fmt.Println("bridged", s.Stats().Bridged)
	_ = s.Close()
	for range all {
		fmt.Println(<-served)
	}
}

// activate starts the process with descriptors from 3 on. It sets LISTEN_PID as systemd does, to the process's own number.
func activate(t *testing.T, env string, files ...*os.File) (say func(string), hear func() string) {
	t.Helper()
	cmd := exec.Command("/bin/sh", "-c", `export LISTEN_PID=${PID_GIVEN:-$$}; exec "$0"`, os.Args[0])
	cmd.Env = append(append(os.Environ(), activatedEnv+"=yes"), strings.Fields(env)...)
	cmd.ExtraFiles, cmd.Stderr = files, os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watch := time.AfterFunc(timeoutOf(20), func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() {
		_ = in.Close()
		watch.Stop()
		if err := cmd.Wait(); err != nil {
			t.Error("the process:", err)
		}
	})
	lines := bufio.NewReader(out)
	say = func(s string) { _, _ = in.Write([]byte(s)) }
	hear = func() string {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatalf("%q, %v", line, err)
		}
		return strings.TrimSuffix(line, "\n")
	}
	return say, hear
}

// listenerFile is a listener's descriptor, which the caller keeps as systemd does.
func listenerFile(t *testing.T, network, addr string) (*os.File, net.Addr) {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	defer ln.Close()
	f, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f, ln.Addr()
}

func TestSystemdListeners(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	tcp, at := listenerFile(t, "tcp", "127.0.0.1:0")
	unix, _ := listenerFile(t, "unix", path)
	say, hear := activate(t, "LISTEN_FDS=2 LISTEN_FDNAMES=web:control", tcp, unix)
	for _, want := range []string{"got 2 0 <nil> ", "web " + at.String(), "control " + path} {
		if got := hear(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	greet(t, "tcp", at.String())
	greet(t, "unix", path)
	say("\n")
	for _, want := range []string{"bridged 0", ErrServerClosed.Error(), ErrServerClosed.Error()} {
		if got := hear(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	// The socket is systemd's, and lives on: its file is there, and the next process greets who came meanwhile.
	if _, err := os.Lstat(path); err != nil {
		t.Error("the socket's file:", err)
	}
	nc, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal("nobody listens between two processes:", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	_, _ = nc.Write([]byte(requestFor("/")))
	_, hear = activate(t, "LISTEN_FDS=1", tcp)
	for _, want := range []string{"got 1 0 <nil> ", "unknown " + at.String()} {
		if got := hear(); got != want {
			t.Fatalf("%q, want %q", got, want)
		}
	}
	if line, err := bufio.NewReader(nc).ReadString('\n'); err != nil || !strings.Contains(line, " 101 ") {
		t.Errorf("%q, %v", line, err)
	}
}

// TestSystemdQueueIsKept: who waits in the socket's queue when the server shuts down is left to the next process, where another
// listener's are refused. No loop turns from their coming until the end has begun.
func TestSystemdQueueIsKept(t *testing.T) {
	for _, systemds := range []bool{true, false} {
		file, at := listenerFile(t, "tcp", "127.0.0.1:0")
		ln, err := net.FileListener(file)
		if err != nil {
			t.Fatal(err)
		}
		if systemds {
			asSystemds(ln)
		}
		s := bare(t, echoHandler, Options{Loops: 1}, false)
		served := serving(t, s, ln)
		greet(t, "tcp", at.String()).Close()
		entered, held := make(chan struct{}), make(chan struct{})
		s.native[0].post(task{call: func() { close(entered); <-held }})
		receive(t, entered, "the loop stands")
		nc, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = nc.Write([]byte(requestFor("/")))
		ended := make(chan error, 1)
		go func() { ended <- s.Shutdown(t.Context()) }()
		within(t, timeoutOf(5), "the end begins", s.closing.Load)
		close(held)
		if err := receive(t, ended, "Shutdown"); err != nil {
			t.Error(err)
		}
		receive(t, served, "Serve's end")
		want := " 503 "
		if systemds {
			want = " 101 "
			next, err := net.FileListener(file)
			if err != nil {
				t.Fatal(err)
			}
			serving(t, bare(t, echoHandler, Options{Loops: 1}, false), next)
		}
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		if line, err := bufio.NewReader(nc).ReadString('\n'); err != nil || !strings.Contains(line, want) {
			t.Errorf("%q, %v, want %s", line, err, want)
		}
	}
}

// asSystemds makes a listener one that SystemdListeners gave.
func asSystemds(ln net.Listener) { systemds.Store(ln, nil) }

// What was not meant for this process is left alone; what cannot be served is an error that says which it is.
func TestSystemdListenersRefused(t *testing.T) {
	tcp, at := listenerFile(t, "tcp", "127.0.0.1:0")
	datagrams, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close()
	udp, err := datagrams.(*net.UDPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	for _, k := range []struct {
		env   string
		files []*os.File
		want  string
	}{
		{"LISTEN_FDS=1 PID_GIVEN=1", []*os.File{tcp}, "got 0 0 <nil> "},
		{"LISTEN_FDS=0 LISTEN_FDNAMES=", nil, "got 0 0 <nil> "},
		{"LISTEN_FDS=one", []*os.File{tcp}, `LISTEN_FDS is "one"`},
		{"LISTEN_FDS=-1", []*os.File{tcp}, `LISTEN_FDS is "-1"`},
		{"LISTEN_FDS=1000000000", []*os.File{tcp}, "LISTEN_FDS"},
		{"LISTEN_FDS=1 LISTEN_FDNAMES=a:b", []*os.File{tcp}, "LISTEN_FDNAMES has 2 names"},
		{"LISTEN_FDS=2 LISTEN_FDNAMES=a:b", []*os.File{tcp, udp}, "descriptor 4 (b)"},
		{"LISTEN_FDS=3 LISTEN_FDNAMES=a:b:c", []*os.File{udp, tcp}, "descriptor 5 (c)"},
	} {
		say, hear := activate(t, k.env, k.files...)
		if got := hear(); !strings.Contains(got, k.want) {
			t.Errorf("%s: %q", k.env, got)
		}
		say("\n")
	}
	if nc, err := net.Dial("tcp", at.String()); err != nil {
		t.Error("the listener is whoever's passed it:", err)
	} else {
		nc.Close()
	}
	if all, err := SystemdListeners(); all != nil || err != nil {
		t.Error("in a process that nobody activated:", all, err)
	}
	if _, err := os.Stat("/proc/self/fd/0"); errors.Is(err, os.ErrNotExist) {
		t.Error("standard input is gone")
	}
}
