package main

import (
	"bufio"
	"bytes"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// underLoad starts gannet load, and waits until it says a text. rest is what it says later; it is read to its end.
func underLoad(t *testing.T, cmd *exec.Cmd, until string) (out *bytes.Buffer, rest <-chan string) {
	t.Helper()
	out = &bytes.Buffer{}
	cmd.Stdout = out
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	t.Cleanup(func() { kill.Stop(); _ = cmd.Process.Kill() })
	said := bufio.NewReader(stderr)
	for line := ""; !strings.Contains(line, until); {
		if line, err = said.ReadString('\n'); err != nil {
			t.Fatalf("it ended before it said %q: %v", until, err)
		}
	}
	all := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(said)
		all <- string(text)
	}()
	return out, all
}

// TestLoadInterrupted: a signal ends the run early, with the whole report and every file, and the status says which signal it was.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	addr, _ := target(t)
	for sig, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143, syscall.SIGHUP: 129} {
		file := filepath.Join(t.TempDir(), "r.json")
		cmd := loading("-c", "5", "--rate", "100", "-d", "1h", "--json", file, "--procs", "2", addr)
		out, rest := underLoad(t, cmd, "running")
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		said := <-rest
		if status := statusOf(t, cmd.Wait()); status != want {
			t.Errorf("%v: status %d, want %d", sig, status, want)
		}
		all(t, out.String(), "interrupted", "5  of 5 asked for", "Times in milliseconds")
		all(t, said, "ending early")
		if r := resultOf(t, file); r.Ended != "interrupted" || r.Connections.Opened != 5 {
			t.Errorf("%v: %+v", sig, r)
		}
	}
}

// TestLoadInterruptedTwice: the first signal waits for answers that do not come, the second does not. The report is whole all the same.
func TestLoadInterruptedTwice(t *testing.T) {
	t.Parallel()
	cmd := loading("-c", "2", "--rate", "100", "-d", "1h", "--answer-timeout", "1h", upgraded(t, deaf))
	out, rest := underLoad(t, cmd, "running")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { <-rest; ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		t.Fatalf("it did not wait for answers: %v\n%s", err, out)
	case <-time.After(300 * time.Millisecond): // a machine that is slow only makes this test weaker
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if status := statusOf(t, <-ended); status != 130 {
		t.Errorf("status %d", status)
	}
	all(t, out.String(), "interrupted", "2  of 2 asked for", "unanswered")
}

// TestLoadInterruptedThrice: a third signal ends the program, whatever it is at.
func TestLoadInterruptedThrice(t *testing.T) {
	t.Parallel()
	cmd := loading("--rate", "100", "-d", "1h", "--answer-timeout", "1h", upgraded(t, deaf))
	_, rest := underLoad(t, cmd, "running")
	ended := make(chan error, 1)
	go func() { <-rest; ended <- cmd.Wait() }()
	for again := time.NewTicker(5 * time.Millisecond); ; {
		select {
		case err := <-ended:
			again.Stop()
			if status := statusOf(t, err); status != 130 {
				t.Errorf("status %d", status)
			}
			return
		case <-again.C:
			_ = cmd.Process.Signal(syscall.SIGINT)
		}
	}
}
