package main

import (
	"fmt"
	"net"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// serveGnet is a bare WebSocket on gnet.Engine, which knows none: frames are gobwas/ws's, as in serveGobwas.
//   - One event loop, because the server has one core.
//   - What came is taken at once (Next), so that gnet copies nothing to keep it.
//   - All answers to one read leave by one Write; long ones by Writev, without a copy.
//   - A broadcast writes to each connection on the loop, which has all of them; from another goroutine it is AsyncWrite,
//     which keeps what it gets, so each reply is a frame of its own.
func serveGnet(s settings, addr string, up func(net.Addr)) error {
	if err := s.plain("gnet"); err != nil {
		return err
	}
	if err := s.inTheClear("gnet"); err != nil {
		return err
	}
	h := &gnetHandler{up: up}
	h.room = newRoom(s.mode, sender[*gnetConn]{send: h.send, prepare: h.prepare})
	return gnet.Run(h, "tcp://"+addr, gnet.WithNumEventLoop(1), gnet.WithTCPNoDelay(gnet.TCPNoDelay), gnet.WithLogger(silent{}))
}

type gnetConn struct {
	gnet.Conn
	stream
}

type gnetHandler struct {
	gnet.BuiltinEventEngine
	up      func(net.Addr)
	room    *room[*gnetConn]
	scratch scratch
	out     outbox
}

// longWrite is the payload, in bytes, from which a system call for two buffers is cheaper than a copy into one.
const longWrite = 16 << 10

func (h *gnetHandler) OnBoot(e gnet.Engine) gnet.Action {
	at, err := listeningAddr(e)
	if err != nil {
		fmt.Println(err)
		return gnet.Shutdown
	}
	h.up(at)
	return gnet.None
}

func listeningAddr(e gnet.Engine) (net.Addr, error) {
	fd, err := e.Dup()
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	name, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	v4, ok := name.(*unix.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("gnet: listens on %T, give an IPv4 address", name)
	}
	return &net.TCPAddr{IP: v4.Addr[:], Port: v4.Port}, nil
}

func (h *gnetHandler) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	conn := &gnetConn{Conn: c}
	c.SetContext(conn)
	return nil, gnet.None
}

func (h *gnetHandler) OnClose(c gnet.Conn, _ error) gnet.Action {
	h.room.leave(c.Context().(*gnetConn))
	return gnet.None
}

func (h *gnetHandler) OnTraffic(c gnet.Conn) gnet.Action {
	conn := c.Context().(*gnetConn)
	p, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	before := conn.open
	ended := conn.take(p, &h.scratch, &h.out, func(opcode byte, p []byte) { h.room.message(conn, opcode, p) })
	if conn.open && !before {
		h.room.enter(conn)
	}
	h.flush(conn)
	if ended {
		return gnet.Close
	}
	return gnet.None
}

func (h *gnetHandler) flush(c *gnetConn) {
	if h.out.Len() > 0 {
		_, _ = c.Write(h.out.Bytes()) // gnet closes what it cannot write to
		h.out.Reset()
	}
}

func (h *gnetHandler) send(c *gnetConn, opcode byte, p []byte) {
	switch {
	case h.room.mode == elsewhere:
		_ = c.AsyncWrite(compiled(opcode, p), nil)
	case len(p) < longWrite:
		h.out.frame(opcode, p)
	default:
		h.out.header(opcode, len(p))
		_, _ = c.Writev([][]byte{h.out.Bytes(), p})
		h.out.Reset()
	}
}

// prepare: the broadcast leaves behind what the sender's connection has been answered so far.
func (h *gnetHandler) prepare(opcode byte, p []byte) func(*gnetConn) {
	frame := compiled(opcode, p)
	return func(c *gnetConn) { _, _ = c.Write(frame) }
}

// silent takes what gnet logs.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}
