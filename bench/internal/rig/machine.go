package rig

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// Machine is what a figure must be quoted with.
type Machine struct {
	Time    string `json:"time"`
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Commit  string `json:"commit"`              // with "+" when tracked files differ from it
	Load    string `json:"load_average_before"` // of one, five and fifteen minutes: others at work disturb the run
	Command string `json:"command"`
}

// Describe asks the system; what it does not tell stays "unknown", because a run need not fail for it. The command is how
// the program is started, and its arguments.
func Describe(ctx context.Context, root, program string, args []string) Machine {
	m := Machine{
		Time:    time.Now().UTC().Format("2006-01-02 15:04 UTC"),
		CPU:     cpuModel("/proc/cpuinfo"),
		Cores:   runtime.NumCPU(),
		Kernel:  fileOr("/proc/sys/kernel/osrelease"),
		Go:      OutputOr(ctx, "go", "-C", root, "env", "GOVERSION") + " " + runtime.GOARCH,
		Commit:  OutputOr(ctx, "git", "-C", root, "rev-parse", "--short=12", "HEAD"),
		Load:    fileOr("/proc/loadavg"),
		Command: commandLine(program, args),
	}
	if OutputOr(ctx, "git", "-C", root, "status", "--porcelain", "--untracked-files=no") != "" {
		m.Commit += "+"
	}
	return m
}

// String is one line of Markdown, without its full stop.
func (m Machine) String() string {
	return fmt.Sprintf("`%s`: commit %s, %s, %s, %d cores, Linux %s, %s; load average before: %s",
		m.Command, m.Commit, m.Time, m.CPU, m.Cores, m.Kernel, m.Go, m.Load)
}

// commandLine is the command that made a report, ready for a shell.
func commandLine(program string, args []string) string {
	line := program
	for _, arg := range args {
		if strings.ContainsAny(arg, " {}*$\"") {
			arg = "'" + arg + "'"
		}
		line += " " + arg
	}
	return line
}

const unknown = "unknown"

// OutputOr is Output, or "unknown".
func OutputOr(ctx context.Context, argv ...string) string {
	text, err := Output(ctx, argv...)
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
