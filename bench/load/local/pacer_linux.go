package local

import (
	"time"

	"golang.org/x/sys/unix"
)

// precise asks the kernel to wake this thread when it asked for, and not up to 50 microseconds later.
func precise() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) } // else it is less precise

// sleep blocks the thread for ns nanoseconds.
func sleep(ns int64) {
	t := unix.NsecToTimespec(ns)
	if unix.ClockNanosleep(unix.CLOCK_MONOTONIC, 0, &t, nil) == unix.ENOSYS {
		time.Sleep(time.Duration(ns))
	}
}
