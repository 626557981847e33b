package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// loading is gannet load with these arguments.
func loading(args ...string) *exec.Cmd { return gannet(append([]string{"load"}, args...)...) }

// runLoading runs gannet load to its end.
func runLoading(t *testing.T, args ...string) (out, said string, status int) {
	t.Helper()
	return finish(t, loading(args...), nil)
}

// target is a server of echoes in this process, and how many connections it has had.
func target(t *testing.T) (addr string, opened *atomic.Int64) {
	t.Helper()
	opened = new(atomic.Int64)
	s, err := engine.NewServer(engine.Funcs{Open: func(*engine.Conn) { opened.Add(1) }, Message: echo}, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-served
	})
	return ln.Addr().String(), opened
}

// resultOf reads what --json has written.
func resultOf(t *testing.T, path string) *load.Result {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return resultIn(t, text)
}

func resultIn(t *testing.T, text []byte) *load.Result {
	t.Helper()
	r := &load.Result{}
	if err := json.Unmarshal(text, r); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return r
}

// all tells which of several texts are missing.
func all(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("there is no %q in\n%s", part, text)
		}
	}
}

// TestLoadRuns: the connections asked for and no others, the report on stdout, progress on stderr, every file, exit status 0.
func TestLoadRuns(t *testing.T) {
	t.Parallel()
	addr, opened := target(t)
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	out, said, status := runLoading(t, "-c", "10", "--rate", "500", "--duration", "1s", "--warmup", "100ms", "--pid", fmt.Sprint(os.Getpid()), "--fail", "rate>1",
		"--json", file("r.json"), "--hdr", file("r.hdr"), "--csv", file("r.csv"), "--html", file("r.html"), addr)
	if status != 0 || opened.Load() != 10 {
		t.Errorf("status %d, %d connections, %s", status, opened.Load(), said)
	}
	all(t, out, "ws://"+addr, "10 connections, open loop, 500 messages/s asked for", "10  of 10 asked for", "p99.999", "No errors", "rate>1")
	all(t, said, "connecting", "warm-up", "running", "ending", "open 10 of 10", "p99.9 ")
	r := resultOf(t, file("r.json"))
	if m := r.Messages; r.Ended != "done" || m.Sent == 0 || m.Answered != m.Sent || r.Rate <= 0 || r.Connections.Opened != 10 || len(r.Thresholds) != 1 || r.Version == "" {
		t.Errorf("%+v", r)
	}
	if runtime.GOOS == "linux" && (r.Target == nil || r.Target.RSS == 0) {
		t.Errorf("--pid: %+v", r.Target)
	}
	for _, name := range []string{"r.hdr", "r.csv", "r.html"} {
		if text, err := os.ReadFile(file(name)); err != nil || len(text) == 0 {
			t.Errorf("%s: %v, %d bytes", name, err, len(text))
		}
	}
}

// TestLoadClosedLoop: with --json - stdout is the result and nothing else, and with --quiet stderr is empty.
func TestLoadClosedLoop(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	out, said, status := runLoading(t, "-q", "--depth", "4", "--duration", "500ms", "--verify", "--message", "ä", "--json", "-", "ws://"+addr+"/path")
	if r := resultIn(t, []byte(out)); status != 0 || said != "" || r.Plan.Depth != 4 || r.Messages.Answered == 0 || r.RateAsked != 0 || len(r.Errors) > 0 {
		t.Errorf("status %d, %q, %+v", status, said, r)
	}
}

// TestLoadWithoutShape: a URL is enough.
func TestLoadWithoutShape(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	out, said, status := runLoading(t, "-d", "300ms", addr)
	if status != 0 || !strings.Contains(out, "1 connection, open loop, 1,000 messages/s asked for") {
		t.Errorf("status %d\n%s\n%s", status, out, said)
	}
}

// TestLoadProcesses: several processes share the connections, and the result names them.
func TestLoadProcesses(t *testing.T) {
	t.Parallel()
	addr, opened := target(t)
	file := filepath.Join(t.TempDir(), "r.json")
	_, said, status := runLoading(t, "-c", "11", "--rate", "200", "-d", "1s", "--procs", "2", "--json", file, addr)
	if r := resultOf(t, file); status != 0 || len(r.Generators) != 2 || opened.Load() != 11 || r.Messages.Answered == 0 || r.Messages.Answered != r.Messages.Sent {
		t.Errorf("status %d, %d connections, %+v\n%s", status, opened.Load(), r, said)
	}
}

// TestLoadDescriptors: what does not go into one process is refused before a connection is begun, and goes into several.
func TestLoadDescriptors(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the shell's ulimit -n is Linux's")
	}
	t.Parallel()
	addr, opened := target(t)
	file := filepath.Join(t.TempDir(), "r.json")
	limited := func(args ...string) *exec.Cmd {
		cmd := loading(append([]string{"-c", "150", "--rate", "100", "-d", "300ms", "--json", file, addr}, args...)...)
		cmd.Args = append([]string{"sh", "-c", `ulimit -n 200; exec "$@"`, "sh", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		return cmd
	}
	_, said, status := finish(t, limited(), nil)
	if status != 2 || opened.Load() != 0 {
		t.Errorf("status %d, %d connections", status, opened.Load())
	}
	all(t, said, "150 connections in 1 process need 250 descriptors", "may open 200", "ulimit -n 250", "--procs auto (2 processes)")
	_, said, status = finish(t, limited("--procs", "auto"), nil)
	if r := resultOf(t, file); status != 0 || opened.Load() != 150 || len(r.Generators) != 2 {
		t.Errorf("status %d, %d connections, %+v\n%s", status, opened.Load(), r.Generators, said)
	}
}

// TestLoadThresholds: one that does not hold is status 3, and is said; the report is there all the same.
func TestLoadThresholds(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	out, said, status := runLoading(t, "--rate", "100", "-d", "300ms", "--fail", "p99<1us,errors<1", addr)
	if status != 3 {
		t.Errorf("status %d", status)
	}
	all(t, out, "FAILED", "held")
	all(t, said, "gannet: did not hold: p99<1us is ")
	out, said, status = runLoading(t, "--rate", "100", "-d", "1h", "--fail", "p99<1us", "--abort-on-fail", addr)
	if status != 3 || !strings.Contains(out, "aborted") {
		t.Errorf("status %d, %s\n%s", status, out, said)
	}
}

// TestLoadFindRate: no rate at which nothing can hold is found, and each step is said.
func TestLoadFindRate(t *testing.T) {
	if testing.Short() {
		t.Skip("a search takes its time")
	}
	t.Parallel()
	addr, _ := target(t)
	_, said, status := runLoading(t, "--find-rate", "p99<1us", "--rate", "1", addr)
	if status != 3 {
		t.Errorf("status %d", status)
	}
	all(t, said, "1/s does not hold: ", "no rate was found at which p99<1us holds")
}

// TestLoadNobody: a target that is no WebSocket server ends the run with a sentence, and with status 1.
func TestLoadNobody(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := ln.Addr().String()
	ln.Close()
	for addr, want := range map[string]string{
		closed: "nobody listens there",
		refusing(t, "HTTP/1.1 404 Not Found\nContent-Length: 0\n\n"):                      "404 Not Found instead of 101: there is no WebSocket at this path",
		refusing(t, "HTTP/1.1 301 Moved Permanently\nLocation: /\nContent-Length: 0\n\n"): "301 Moved Permanently instead of 101: it sends clients elsewhere",
		refusing(t, "HTTP/1.1 401 Unauthorized\nContent-Length: 0\n\n"):                   "--header 'Authorization",
		refusing(t, "HTTP/1.1 403 Forbidden\nContent-Length: 0\n\n"):                      "--origin",
		refusing(t, "HTTP/1.1 503 Service Unavailable\nContent-Length: 0\n\n"):            "it has enough to do",
		refusing(t, "SSH-2.0-OpenSSH_9.6\n"):                                              "is no WebSocket server",
		answering(t, func(c net.Conn) { readHead(c); _, _ = c.Read(make([]byte, 1)) }):    "no connection opened within 300ms",
		answering(t, func(c net.Conn) { readHead(c) }):                                    "cannot be reached",
		"wss://" + answering(t, echoing):                                                  "TLS failed",
		"ws://gannet.invalid/":                                                            "cannot be reached",
	} {
		file := filepath.Join(t.TempDir(), "r.json")
		out, said, status := runLoading(t, "-q", "-c", "3", "--rate", "10", "--connect-timeout", "300ms", "--json", file, addr)
		if status != 1 || out != "" || strings.Count(said, "\n") != 1 || !strings.Contains(said, want) {
			t.Errorf("%s: status %d, %s, %s, want %q", addr, status, out, said, want)
		}
		if r := resultOf(t, file); !strings.HasPrefix(r.Ended, "failed: ") || r.Connections.Opened != 0 {
			t.Errorf("%s: %+v", addr, r)
		}
	}
}

// TestLoadMisuse: what cannot be is status 2, with what it is and nothing else done.
func TestLoadMisuse(t *testing.T) {
	t.Parallel()
	addr, opened := target(t)
	for args, want := range map[string]string{
		"":                        "which server?",
		"ws://a ws://b":           "one URL",
		"http:: " + addr:          "one URL",
		"--rate 0 " + addr:        "--rate: a rate of 0",
		"--rate ten " + addr:      `--rate: "ten" is no rate`,
		"--rate -5 " + addr:       "rate",
		"-c 0 " + addr:            "--connections: 0",
		"--phase 30s " + addr:     "--phase",
		"--text --binary " + addr: "--text and --binary",
		"--header X " + addr:      "'Name: value'",
		"--pid x " + addr:         "no process id",
		"--procs many " + addr:    "--procs",
		"--agents 2 " + addr:      "--agents needs --nats",
		"--nats nats://b " + addr: "say how many",
		"--agents 1 --nats nats://b --procs 2 " + addr: "--agents and --procs",
		"--agents 1 --nats nats://b " + addr:           tokenVariable,
		"--fail p99 " + addr:                           "p99",
		"--find-rate p99<10 " + addr:                   "p99<10",
		"--source here " + addr:                        "here",
		"--json /nowhere/r.json " + addr:               "/nowhere/r.json",
		"--cert /nowhere/c.pem wss://" + addr:          "/nowhere/c.pem",
		"--payload /nowhere/p " + addr:                 "/nowhere/p",
		"--template {{.Nope}} " + addr:                 "Nope",
		"--scenario parrot " + addr:                    "parrot",
		"--connections 9M --procs 9 " + addr:           "ip_local_port_range",
		"ftp://example.com/":                           "ftp",
		"ws://exa%mple.com/":                           "ws://exa%mple.com/",
		"--nope " + addr:                               "-nope",
		"--expect nothing " + addr:                     "nothing",
		"--depth 5 --expect none " + addr:              "--depth",
		"--rate 1000G " + addr:                         "rate",
		"--scenario fanout --writers 5 " + addr:        "writers",
		"--pid 999999999 " + addr:                      "no such process",
	} {
		out, said, status := runLoading(t, strings.Fields(args)...)
		if status != 2 || out != "" || !strings.HasPrefix(said, "gannet: ") || !strings.Contains(said, want) {
			t.Errorf("gannet load %s: status %d, %s, %s, want %q", args, status, out, said, want)
		}
	}
	if opened.Load() != 0 {
		t.Errorf("%d connections were opened", opened.Load())
	}
}

// deaf takes messages and answers none.
func deaf(c net.Conn) { untilClose(c, func(ws.Frame) {}) }
