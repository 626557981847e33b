package main

import (
	"bufio"
	"context"
	"os"
	"runtime"
	"strings"
	"time"
)

// machine is what a figure must be quoted with.
type machine struct {
	Time     string   `json:"time"`
	CPU      string   `json:"cpu"`
	Cores    int      `json:"cores"`
	Kernel   string   `json:"kernel"`
	Go       string   `json:"go"`
	Compiler string   `json:"c_compiler"`
	Commit   string   `json:"commit"` // with "+" when tracked files differ from it
	Peers    []string `json:"peers"`
	Load     string   `json:"load_average_before"` // of one, five and fifteen minutes: others at work disturb the run
	Command  string   `json:"command"`
}

// describeMachine asks the system; what it does not tell stays "unknown", because a run need not fail for it.
func describeMachine(ctx context.Context, t *toolset) machine {
	m := machine{
		Time:     time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		CPU:      cpuModel("/proc/cpuinfo"),
		Cores:    runtime.NumCPU(),
		Kernel:   fileOr("/proc/sys/kernel/osrelease"),
		Go:       outputOr(ctx, "go", "-C", t.root, "env", "GOVERSION") + " " + runtime.GOARCH,
		Compiler: firstLine(outputOr(ctx, "cc", "--version")),
		Commit:   outputOr(ctx, "git", "-C", t.root, "rev-parse", "--short=12", "HEAD"),
		Load:     fileOr("/proc/loadavg"),
		Command:  commandLine(os.Args[1:]),
	}
	if outputOr(ctx, "git", "-C", t.root, "status", "--porcelain", "--untracked-files=no") != "" {
		m.Commit += "+"
	}
	if t.peers != "" {
		modules := outputOr(ctx, "go", "-C", t.root+"/bench/peers", "list", "-m", "-f", "{{.Path}} {{.Version}}",
			"github.com/lxzan/gws", "github.com/gorilla/websocket")
		m.Peers = strings.Split(modules, "\n")
	}
	return m
}

// commandLine is the command that made the report, ready for a shell.
func commandLine(args []string) string {
	line := "go run ./bench/compare"
	for _, arg := range args {
		if strings.ContainsAny(arg, " {}*$\"") {
			arg = "'" + arg + "'"
		}
		line += " " + arg
	}
	return line
}

const unknown = "unknown"

func outputOr(ctx context.Context, argv ...string) string {
	text, err := output(ctx, argv...)
	if err != nil {
		return unknown
	}
	return text
}

func fileOr(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return unknown
	}
	return strings.TrimSpace(string(text))
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// cpuModel finds the first "model name" of cpuinfo; arm64 kernels print none.
func cpuModel(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return unknown
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return unknown
}
