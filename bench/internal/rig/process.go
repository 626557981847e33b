package rig

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	readyTimeout = 10 * time.Second // until a started server accepts
	stopGrace    = 5 * time.Second  // between SIGTERM and SIGKILL
)

// Process is a server that was started for one measurement.
type Process struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	output *bytes.Buffer
	exited chan struct{} // closed after Wait; output may be read from then on
}

// Pinned is argv, bound to one core. taskset execs the program, so the process keeps its id.
func Pinned(core int, argv []string) []string {
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, argv...)
}

// Start starts argv and returns when something accepts on port. The caller stops it.
func Start(ctx context.Context, argv []string, port int) (*Process, error) {
	ctx, cancel := context.WithCancel(ctx)
	p := &Process{cancel: cancel, output: new(bytes.Buffer), exited: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = stopGrace
	p.cmd.Env = defaultEnvironment()
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		_ = p.cmd.Wait() // how it ended matters only while it should be running: see whyEnded
		close(p.exited)
	}()
	if err := p.awaitReady(ctx, port); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, p.output)
	}
	return p, nil
}

func (p *Process) awaitReady(ctx context.Context, port int) error {
	deadline := time.After(readyTimeout)
	for {
		if conn, err := net.DialTimeout("tcp", LocalAddr(port), time.Second); err == nil {
			return conn.Close()
		}
		select {
		case <-p.exited:
			return fmt.Errorf("ended before it listened: %v", p.cmd.ProcessState)
		case <-deadline:
			return fmt.Errorf("does not listen on port %d after %v", port, readyTimeout)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// WhyEnded explains an error that was seen while the server should have been up. A server that dies takes its
// connections along a moment before its death can be seen here.
func (p *Process) WhyEnded(err error) error {
	select {
	case <-p.exited:
		return fmt.Errorf("%w (the server ended: %v)\n%s", err, p.cmd.ProcessState, p.output)
	case <-time.After(200 * time.Millisecond):
		return err
	}
}

// Stop ends the server, with SIGTERM and then with SIGKILL, and waits until it is gone.
func (p *Process) Stop() {
	p.cancel()
	<-p.exited
}

// defaultEnvironment is ours without what would tune a Go runtime: users run with the defaults.
func defaultEnvironment() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return slices.Contains([]string{"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG"}, name)
	})
}
