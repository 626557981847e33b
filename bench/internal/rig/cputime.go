package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// CPUTime is what all threads of a process that are alive have run so far, by the nanosecond: /proc/PID/stat counts in ticks of
// 10 ms, too coarse for a short measurement. Systems without /proc, and processes that have ended, have 0.
func CPUTime(pid int) time.Duration {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0 // the pattern is sound
	}
	var total time.Duration
	for _, task := range tasks {
		line, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		var running int64
		if _, err := fmt.Sscan(string(line), &running); err == nil {
			total += time.Duration(running)
		}
	}
	return total
}
