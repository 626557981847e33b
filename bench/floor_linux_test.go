package bench

import (
	"net"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hasFloor: the floor is written for epoll.
const hasFloor = true

// floor is what nothing on sockets can cost much less than: one thread, epoll, one recv and one send for what is there. It is
// bench/native/rawecho in Go, so that the benchmark needs no compiler; only that it reads on while a peer does not take its
// bytes, because a load that writes a batch before it reads would wait for ever.
type floor struct {
	epoll, listener int
	slab            []byte
	unsent          map[int32][]byte // of sockets that had no room
}

const floorBytes = 512 << 10 // as rawecho, and as a loop of the engine

// serveFloor serves until the process ends.
func serveFloor(listener *net.TCPListener) error {
	file, err := listener.File()
	if err != nil {
		return err
	}
	defer file.Close()
	f := &floor{listener: int(file.Fd()), slab: make([]byte, floorBytes), unsent: map[int32][]byte{}}
	if err := unix.SetNonblock(f.listener, true); err != nil {
		return err
	}
	if f.epoll, err = unix.EpollCreate1(0); err != nil {
		return err
	}
	defer unix.Close(f.epoll)
	if err := f.watch(unix.EPOLL_CTL_ADD, f.listener, unix.EPOLLIN); err != nil {
		return err
	}
	for events := make([]unix.EpollEvent, 512); ; {
		n, err := unix.EpollWait(f.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for i := range max(n, 0) {
			if err := f.turn(events[i]); err != nil {
				return err
			}
		}
	}
}

func (f *floor) turn(e unix.EpollEvent) error {
	if int(e.Fd) == f.listener {
		return f.accept()
	}
	if e.Events&unix.EPOLLOUT != 0 {
		f.resume(e.Fd)
	}
	if e.Events&^unix.EPOLLOUT != 0 {
		f.echo(e.Fd)
	}
	return nil
}

func (f *floor) accept() error {
	for {
		fd, _, err := unix.Accept4(f.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err == unix.EAGAIN {
			return nil
		}
		if err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		if err := f.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLIN); err != nil {
			return err
		}
	}
}

func (f *floor) echo(fd int32) {
	n, err := rawCopy(unix.SYS_RECVFROM, fd, f.slab, 0)
	if err == unix.EAGAIN {
		return
	}
	if err != 0 || n == 0 {
		f.drop(fd)
		return
	}
	got := f.slab[:n]
	if waiting, ok := f.unsent[fd]; ok {
		f.unsent[fd] = append(waiting, got...)
		return
	}
	sent, err := rawCopy(unix.SYS_SENDTO, fd, got, unix.MSG_NOSIGNAL)
	switch {
	case err != 0 && err != unix.EAGAIN:
		f.drop(fd)
	case sent < n:
		f.unsent[fd] = append([]byte(nil), got[sent:]...)
		f.watchOrDrop(fd, unix.EPOLLIN|unix.EPOLLOUT)
	}
}

// resume sends what had no room.
func (f *floor) resume(fd int32) {
	waiting := f.unsent[fd]
	sent, err := rawCopy(unix.SYS_SENDTO, fd, waiting, unix.MSG_NOSIGNAL)
	switch {
	case err == unix.EAGAIN:
	case err != 0:
		f.drop(fd)
	case sent < len(waiting):
		f.unsent[fd] = waiting[sent:]
	default:
		delete(f.unsent, fd)
		f.watchOrDrop(fd, unix.EPOLLIN)
	}
}

func (f *floor) drop(fd int32) {
	delete(f.unsent, fd)
	_ = unix.Close(int(fd)) // nobody hears of it
}

func (f *floor) watchOrDrop(fd int32, events uint32) {
	if f.watch(unix.EPOLL_CTL_MOD, int(fd), events) != nil {
		f.drop(fd)
	}
}

func (f *floor) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(f.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// rawCopy is recv or send. Neither blocks, so the scheduler need not know, which would cost 40 ns (decision 0008). p is not empty.
// What has not been copied is 0 bytes.
func rawCopy(call uintptr, fd int32, p []byte, flags uintptr) (int, unix.Errno) {
	n, _, err := unix.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}
