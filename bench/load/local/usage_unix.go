//go:build unix

package local

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// usage is what this process has used.
type usage struct{ cpu float64 }

// take is the processor time since the last take, in seconds, and the resident memory, in bytes.
func (u *usage) take() (cpu float64, rss int64) {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0, 0
	}
	all := time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
	cpu, u.cpu = all-u.cpu, all
	return cpu, resident(&r)
}

// resident is what the process holds now; where the system does not say that in a file, the most that it ever held.
func resident(r *unix.Rusage) int64 {
	b, _ := os.ReadFile("/proc/self/statm")
	if fields := strings.Fields(string(b)); len(fields) > 1 {
		if pages, err := strconv.ParseInt(fields[1], 10, 64); err == nil {
			return pages * int64(os.Getpagesize())
		}
	}
	if runtime.GOOS == "darwin" {
		return int64(r.Maxrss)
	}
	return int64(r.Maxrss) << 10
}
