//go:build unix

package report

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gannet-ws/gannet/bench/load"
)

// TestWriteFileSpecial: a pipe is written to, not replaced.
func TestWriteFileSpecial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip(err)
	}
	if err := CanWrite(path); err != nil {
		t.Error(err)
	}
	got := make(chan string)
	go func() {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		got <- string(b)
	}()
	if err := WriteFile(path, &load.Result{}, words); err != nil {
		t.Error(err)
	}
	if b := <-got; b != "whole" {
		t.Errorf("the pipe brought %q", b)
	}
}
