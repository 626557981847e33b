package engine

import (
	"fmt"
	"net"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// Options.SendBuffer and ReceiveBuffer, as the kernel has them.

// kernelBuffers are the sizes of the server's end of a connection.
func kernelBuffers(t *testing.T, c *Conn) (send, receive int) {
	t.Helper()
	ask := func(fd uintptr) { send, receive = buffersOf(t, int(fd)) }
	nc := c.transport()
	if nc == nil {
		ask(uintptr(c.fd))
		return send, receive
	}
	if s, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = s.NetConn()
	}
	raw, err := nc.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(ask)
	return send, receive
}

func buffersOf(t *testing.T, fd int) (send, receive int) {
	t.Helper()
	send, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF)
	if err != nil {
		t.Fatal(err)
	}
	receive, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	if err != nil {
		t.Fatal(err)
	}
	return send, receive
}

// wayIn is a way in: it begins to serve, and answers what connects.
type wayIn struct {
	name string
	open func(t *testing.T, s *Server) (dial func() (net.Conn, error))
}

// waysIn are all ways in that end at a socket.
func waysIn() (all []wayIn) {
	for _, network := range []string{"tcp", "unix"} {
		all = append(all, wayIn{"ListenAndServe " + network, func(t *testing.T, s *Server) func() (net.Conn, error) {
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = filepath.Join(t.TempDir(), "s")
			}
			go s.ListenAndServe(network, addr)
			within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
			return func() (net.Conn, error) { return net.Dial(s.Addr().Network(), s.Addr().String()) }
		}})
	}
	all = append(all, wayIn{"ServeHTTP", func(t *testing.T, s *Server) func() (net.Conn, error) {
		h := httptest.NewServer(s)
		t.Cleanup(h.Close)
		return func() (net.Conn, error) { return net.Dial("tcp", h.Listener.Addr().String()) }
	}})
	for _, d := range doors {
		if d.name == "bridged pipe" { // it has no socket
			continue
		}
		all = append(all, wayIn{d.name, func(t *testing.T, s *Server) func() (net.Conn, error) {
			if d.loopless {
				takeLoops(s)
			}
			ln, knock := d.listen(t)
			if d.ends {
				go s.ServeTLS(ln)
			} else {
				go s.Serve(ln)
			}
			return knock
		}})
	}
	return all
}

// TestSocketBuffers: connections have the buffers that the options say, whichever way they come in; each of the two
// stands for itself. Linux doubles the number.
func TestSocketBuffers(t *testing.T) {
	const send, receive = 24 << 10, 40 << 10
	for _, w := range waysIn() {
		for _, o := range []Options{{SendBuffer: send}, {ReceiveBuffer: receive}, {SendBuffer: send, ReceiveBuffer: receive}} {
			t.Run(fmt.Sprint(w.name, o.SendBuffer, o.ReceiveBuffer), func(t *testing.T) {
				d := newDiary(t)
				o.Loops, o.Logger, o.TLSConfig = 2, quietLogger, houseTLS()
				s, err := NewServer(d.handler(echoHandler), o)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { s.Close() })
				nc, err := w.open(t, s)()
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				g := welcome(t, nc, ws.Dialer{})
				gotSend, gotReceive := kernelBuffers(t, d.conn())
				if (o.SendBuffer != 0) != (gotSend == 2*send) {
					t.Errorf("SO_SNDBUF is %d", gotSend)
				}
				if (o.ReceiveBuffer != 0) != (gotReceive == 2*receive) {
					t.Errorf("SO_RCVBUF is %d", gotReceive)
				}
				g.say(t, ws.OpText, []byte("hello"))
				g.hear(t, ws.OpText, []byte("hello"))
			})
		}
	}
}

// TestSocketBuffersOfListeners: a listener has them, so that the window of TCP's handshake fits.
func TestSocketBuffersOfListeners(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 2, SendBuffer: 24 << 10, ReceiveBuffer: 40 << 10}, false)
	go s.ListenAndServe("tcp", "127.0.0.1:0")
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	ln := mustListen(t)
	go s.Serve(ln)
	within(t, timeoutOf(5), "a second address", func() bool { return len(s.Addrs()) == 2 })
	var fds []int
	s.listening.mu.Lock()
	for _, v := range s.listening.all {
		fds = append(fds, v.fds...)
	}
	s.listening.mu.Unlock()
	if len(fds) != 3 {
		t.Fatal(fds)
	}
	for _, fd := range fds {
		if send, receive := buffersOf(t, fd); send != 48<<10 || receive != 80<<10 {
			t.Errorf("a listener has %d and %d", send, receive)
		}
	}
}
