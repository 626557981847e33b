//go:build unix

package engine

import "golang.org/x/sys/unix"

func setReceiveBuffer(fd uintptr, n int) error {
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, n)
}

// untouchable is a slice of n bytes that can not be touched: a program that reads one
// of them dies.
func untouchable(n int) ([]byte, func()) {
	b, err := unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	return b, func() { _ = unix.Munmap(b) }
}
