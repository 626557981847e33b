//go:build !race

package netio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// read and write are the system calls as rawLimit describes them; p is not empty.
// Converting the pointer inside the call's arguments keeps p alive and in place.

func read(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

func write(fd int, p []byte) (int, unix.Errno) {
	if len(p) > rawLimit {
		n, _, errno := unix.Syscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		return int(n), errno
	}
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	return int(n), errno
}

// releaseForRace does nothing here; see the race build.
func releaseForRace() {}
