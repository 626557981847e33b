package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
)

// ResidentKiB reads a process's RSS from smaps_rollup, which walks the pages. statm is cheaper, but newer kernels
// keep its counters per CPU and let them lag by some hundred KiB: more than ten bytes a connection.
func ResidentKiB(pid int) (int64, error) {
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	return parseResident(rollup)
}

func parseResident(rollup []byte) (int64, error) {
	for line := range bytes.Lines(rollup) {
		fields := bytes.Fields(line)
		if len(fields) == 3 && string(fields[0]) == "Rss:" && string(fields[2]) == "kB" {
			return strconv.ParseInt(string(fields[1]), 10, 64)
		}
	}
	return 0, errors.New("smaps_rollup has no line Rss")
}
