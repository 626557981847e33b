package engine

import "syscall"

// errnoReasons are what the system says (winsock2.h), and the reason that it is.
var errnoReasons = []struct {
	reason string
	errnos []syscall.Errno
}{
	{"refused", []syscall.Errno{10061}},                          // WSAECONNREFUSED
	{"unreachable", []syscall.Errno{10050, 10051, 10064, 10065}}, // WSAENETDOWN, WSAENETUNREACH, WSAEHOSTDOWN, WSAEHOSTUNREACH
	{"no-ports", []syscall.Errno{10048, 10049}},                  // WSAEADDRINUSE, WSAEADDRNOTAVAIL
	{"too-many-files", []syscall.Errno{10024}},                   // WSAEMFILE
	{"permission", []syscall.Errno{10013}},                       // WSAEACCES
	{"not-found", []syscall.Errno{syscall.ERROR_FILE_NOT_FOUND, syscall.ERROR_PATH_NOT_FOUND}},
}
