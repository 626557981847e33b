package engine

import (
	"fmt"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// What a client sets on its sockets, as the kernel has it.

// asked calls a function with the descriptor of a client's connection.
func asked(t *testing.T, c *Conn, ask func(fd int)) {
	t.Helper()
	nc := c.transport()
	if nc == nil {
		ask(int(c.fd))
		return
	}
	raw, err := nc.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = raw.Control(func(fd uintptr) { ask(int(fd)) })
}

// TestDialSocketBuffers: SendBuffer and ReceiveBuffer are set, whoever connects; each stands for itself. Linux doubles the number.
func TestDialSocketBuffers(t *testing.T) {
	const send, receive = 24 << 10, 40 << 10
	_, at := echoes(t)
	for way, set := range waysToTransport {
		for _, o := range []ClientOptions{{SendBuffer: send}, {ReceiveBuffer: receive}, {SendBuffer: send, ReceiveBuffer: receive}} {
			for name, dial := range map[string]func(*ClientOptions){"": func(*ClientOptions) {}, "DialContext": func(o *ClientOptions) { o.DialContext = new(net.Dialer).DialContext }} {
				t.Run(fmt.Sprint(way, name, o.SendBuffer, o.ReceiveBuffer), func(t *testing.T) {
					dial(&o)
					c := newClient(t, Funcs{}, o)
					set(c)
					conn, err := c.Dial(t.Context(), "ws://"+at, DialOptions{})
					if err != nil {
						t.Fatal(err)
					}
					gotSend, gotReceive := kernelBuffers(t, conn)
					if (o.SendBuffer != 0) != (gotSend == 2*send) {
						t.Errorf("SO_SNDBUF is %d", gotSend)
					}
					if (o.ReceiveBuffer != 0) != (gotReceive == 2*receive) {
						t.Errorf("SO_RCVBUF is %d", gotReceive)
					}
				})
			}
		}
	}
}

// TestDialLatePort: a connection from one of LocalAddrs leaves its port to connect, whoever connects: a port that bind chooses is taken for every target.
func TestDialLatePort(t *testing.T) {
	_, at := echoes(t)
	for way, set := range waysToTransport {
		c := newClient(t, Funcs{}, ClientOptions{LocalAddrs: addrs("127.0.0.9")})
		set(c)
		conn, err := c.Dial(t.Context(), "ws://"+at, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if host, _, _ := net.SplitHostPort(conn.LocalAddr().String()); host != "127.0.0.9" {
			t.Errorf("%s: from %s", way, host)
		}
		asked(t, conn, func(fd int) {
			if v, err := unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT); err != nil || v != 1 {
				t.Errorf("%s: the port was chosen by bind: %d, %v", way, v, err)
			}
		})
	}
}
