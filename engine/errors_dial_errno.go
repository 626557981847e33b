//go:build !windows

package engine

import "syscall"

// errnoReasons are what the system says, and the reason that it is.
var errnoReasons = []struct {
	reason string
	errnos []syscall.Errno
}{
	{"refused", []syscall.Errno{syscall.ECONNREFUSED}},
	{"unreachable", []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN}},
	{"no-ports", []syscall.Errno{syscall.EADDRNOTAVAIL, syscall.EADDRINUSE}},
	{"too-many-files", []syscall.Errno{syscall.EMFILE, syscall.ENFILE}},
	{"permission", []syscall.Errno{syscall.EACCES, syscall.EPERM}},
	{"not-found", []syscall.Errno{syscall.ENOENT}}, // a unix socket
}
