package netio

import (
	"runtime"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// iovMax is the kernel's limit on slices per call (IOV_MAX); what is over it
	// stays for the next call, like any partial write.
	iovMax = 1024
	// iovFew covers a corked write and a header with its payload; that many live on
	// the stack, more in a pooled array (Writev runs on any goroutine, under its
	// connection's lock, so a loop's array would not do).
	iovFew = 16
)

var iovPool = sync.Pool{New: func() any { return new([iovMax]unix.Iovec) }}

// Writev implements System. unix.Writev and gnet's io.Writev both allocate above 8 slices.
func (n *Native) Writev(fd int, v [][]byte) (int, error) {
	n.yields.called()
	if len(v) <= iovFew {
		var few [iovFew]unix.Iovec
		return writev(fd, few[:], v)
	}
	many := iovPool.Get().(*[iovMax]unix.Iovec)
	defer iovPool.Put(many)
	used := many[:min(len(v), iovMax)]
	defer clear(used) // so that the pool keeps nobody's payload
	return writev(fd, used, v)
}

// writev writes what fits into iov. Empty slices take no entry.
func writev(fd int, iov []unix.Iovec, v [][]byte) (int, error) {
	entries, total := 0, 0
	for _, p := range v {
		if entries == len(iov) {
			break
		}
		if len(p) == 0 {
			continue
		}
		iov[entries].Base = &p[0]
		iov[entries].SetLen(len(p))
		entries++
		total += len(p)
	}
	if entries == 0 {
		return 0, nil
	}
	put, errno := writevAll(fd, &iov[0], entries, total)
	runtime.KeepAlive(v)
	switch errno {
	case 0:
		return put, nil
	case unix.EAGAIN:
		return 0, ErrAgain
	default:
		return 0, errno
	}
}

// writevAll is the call itself, ordinary or raw as rawLimit says.
func writevAll(fd int, iov *unix.Iovec, entries, total int) (int, unix.Errno) {
	releaseForRace()
	for {
		var n uintptr
		var errno unix.Errno
		if total > rawLimit {
			n, _, errno = unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(iov)), uintptr(entries))
		} else {
			n, _, errno = unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(iov)), uintptr(entries))
		}
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}
