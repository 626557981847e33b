package procs

import (
	"os"
	"sync"
	"time"
)

// stdio is a process's pipe to its parent.
type stdio struct {
	exit func(status int)
	gone sync.Once
}

// Read sees to it that the process ends soon after its parent did, whatever else it is doing.
func (s *stdio) Read(b []byte) (int, error) {
	n, err := os.Stdin.Read(b)
	if err != nil {
		s.gone.Do(func() { time.AfterFunc(endTime, func() { s.exit(1) }) })
	}
	return n, err
}

func (s *stdio) Write(b []byte) (int, error) { return os.Stdout.Write(b) }

// Close leaves it to the end of the process to close what it has.
func (s *stdio) Close() error { return nil }
