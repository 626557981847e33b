package main

import (
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// serveGobwas is an epoll server of our own making with gobwas/ws's upgrade, headers and unmasking, since that library has no
// server and its README leaves sockets to the program:
//   - One loop with one read buffer, because the server has one core; an idle connection holds no buffer and no goroutine.
//   - Frames are taken apart where they were read (framer.go), headers through buffers that are used again.
//   - All answers to one read leave by one write; long ones by writev, without a copy.
//   - A broadcast is compiled once. From another goroutine a message is written at once, under the connection's lock.
func serveGobwas(s settings, addr string, up func(net.Addr)) error {
	if err := s.plain("gobwas"); err != nil {
		return err
	}
	if err := s.inTheClear("gobwas"); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	l := &epollLoop{conns: make(map[int32]*epollConn), buffer: make([]byte, epollBuffer)}
	l.room = newRoom(s.mode, sender[*epollConn]{send: l.send, prepare: prepareEpoll})
	if err := l.listen(listener.(*net.TCPListener)); err != nil {
		return err
	}
	defer unix.Close(l.epoll)
	up(listener.Addr())
	return l.run()
}

// epollBuffer is what one read may bring, in bytes.
const epollBuffer = 512 << 10

type epollLoop struct {
	epoll, listening int
	conns            map[int32]*epollConn
	buffer           []byte
	scratch          scratch
	out              outbox
	room             *room[*epollConn]
}

type epollConn struct {
	fd     int
	epoll  int
	mu     sync.Mutex
	queue  []byte // what the socket did not take
	closed bool
	stream
}

func (l *epollLoop) listen(from *net.TCPListener) error {
	file, err := from.File() // a copy of the descriptor, which stays open as long as the process
	if err != nil {
		return err
	}
	if l.listening, err = unix.Dup(int(file.Fd())); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := unix.SetNonblock(l.listening, true); err != nil {
		return err
	}
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	return unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, l.listening, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(l.listening)})
}

func (l *epollLoop) run() error {
	events := make([]unix.EpollEvent, 1024)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && err != unix.EINTR {
			return err
		}
		for _, e := range events[:max(n, 0)] {
			if e.Fd == int32(l.listening) {
				l.accept()
			} else if c := l.conns[e.Fd]; c != nil {
				l.serve(c, e.Events)
			}
		}
	}
}

func (l *epollLoop) accept() {
	for {
		fd, _, err := unix.Accept4(l.listening, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // nobody is waiting, or the descriptors have run out: then those wait until others close
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		c := &epollConn{fd: fd, epoll: l.epoll}
		if unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}) != nil {
			unix.Close(fd)
			continue
		}
		l.conns[int32(fd)] = c
	}
}

func (l *epollLoop) serve(c *epollConn, events uint32) {
	if events&unix.EPOLLOUT != 0 {
		c.drain()
	}
	if events&^uint32(unix.EPOLLOUT) == 0 {
		return
	}
	n, err := unix.Read(c.fd, l.buffer)
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != nil || n == 0 {
		l.close(c)
		return
	}
	before := c.open
	ended := c.take(l.buffer[:n], &l.scratch, &l.out, func(opcode byte, p []byte) { l.room.message(c, opcode, p) })
	if c.open && !before {
		l.room.enter(c)
	}
	if l.out.Len() > 0 {
		c.write(l.out.Bytes())
		l.out.Reset()
	}
	if ended {
		l.close(c)
	}
}

func (l *epollLoop) close(c *epollConn) {
	delete(l.conns, int32(c.fd))
	l.room.leave(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	unix.Close(c.fd)
}

func (l *epollLoop) send(c *epollConn, opcode byte, p []byte) {
	switch {
	case l.room.mode == elsewhere:
		c.write(compiled(opcode, p))
	case len(p) < longWrite:
		l.out.frame(opcode, p)
	default:
		l.out.header(opcode, len(p))
		c.write(l.out.Bytes(), p)
		l.out.Reset()
	}
}

func prepareEpoll(opcode byte, p []byte) func(*epollConn) {
	frame := compiled(opcode, p)
	return func(c *epollConn) { c.write(frame) }
}

// write sends what the socket takes and queues the rest. It may be called from any goroutine. What fails is closed by the
// loop, which the poller tells.
func (c *epollConn) write(parts ...[]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	sent, waiting := 0, len(c.queue) > 0
	if !waiting {
		if len(parts) == 1 {
			sent, _ = unix.Write(c.fd, parts[0])
		} else {
			sent, _ = unix.Writev(c.fd, parts)
		}
		sent = max(sent, 0)
	}
	for _, part := range parts {
		skipped := min(sent, len(part))
		sent -= skipped
		c.queue = append(c.queue, part[skipped:]...)
	}
	if !waiting && len(c.queue) > 0 {
		c.interest(unix.EPOLLIN | unix.EPOLLOUT)
	}
}

func (c *epollConn) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := unix.Write(c.fd, c.queue)
	if err != nil {
		return
	}
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		c.queue = nil
		c.interest(unix.EPOLLIN)
	}
}

func (c *epollConn) interest(events uint32) {
	_ = unix.EpollCtl(c.epoll, unix.EPOLL_CTL_MOD, c.fd, &unix.EpollEvent{Events: events, Fd: int32(c.fd)})
}
