package netio

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// acceptAny accepts what is in a listener's queue.
func acceptAny(t *testing.T, fd int) (n int) {
	t.Helper()
	for {
		c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK)
		switch err {
		case nil:
			unix.Close(c)
			n++
		case unix.EAGAIN:
			return n
		default:
			t.Fatal(err)
		}
	}
}

func TestListenGroupSpreadsConnections(t *testing.T) {
	for _, c := range []struct{ network, addr string }{
		{"tcp", "127.0.0.1:0"}, {"tcp4", ":0"}, {"tcp", ":0"}, {"tcp6", "[::1]:0"},
	} {
		fds, at, err := ListenGroup(c.network, c.addr, 4, Buffers{})
		if err != nil {
			t.Fatal(err)
		}
		if len(fds) != 4 {
			t.Fatalf("%v: %d sockets", c, len(fds))
		}
		for _, fd := range fds {
			if LocalAddr(fd).(*net.TCPAddr).Port != at.(*net.TCPAddr).Port {
				t.Errorf("%v: one listens on %v, the first on %v", c, LocalAddr(fd), at)
			}
		}
		const clients = 200
		for range clients {
			p, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			p.Close()
		}
		total, each := 0, make([]int, len(fds))
		within(t, "every client is accepted", func() bool { // its connect may return before it is in a queue
			for i, fd := range fds {
				n := acceptAny(t, fd)
				each[i] += n
				total += n
			}
			return total >= clients
		})
		if total != clients || slices.Min(each) < clients/40 {
			t.Errorf("%v: %d of %d were accepted, %v by the sockets", c, total, clients, each)
		}
		closeAll(fds)
	}
}

func TestListenGroupRefusesATakenAddress(t *testing.T) {
	takers := map[string]func(addr string) (io.Closer, net.Addr){
		"net.Listen": func(addr string) (io.Closer, net.Addr) {
			ln, err := net.Listen("tcp4", addr)
			if err != nil {
				t.Fatal(err)
			}
			return ln, ln.Addr()
		},
		"one that shares": func(addr string) (io.Closer, net.Addr) {
			fd, at, err := Listen("tcp4", addr, true, Buffers{})
			if err != nil {
				t.Fatal(err)
			}
			return closer{fd}, at
		},
		"another group": func(addr string) (io.Closer, net.Addr) {
			fds, at, err := ListenGroup("tcp4", addr, 3, Buffers{})
			if err != nil {
				t.Fatal(err)
			}
			return closer(fds), at
		},
	}
	for name, take := range takers {
		for _, host := range []string{"127.0.0.1", "0.0.0.0"} {
			before := openDescriptors(t)
			taker, at := take(host + ":0")
			_, port, _ := net.SplitHostPort(at.String())
			for _, ours := range []string{"127.0.0.1:", "0.0.0.0:", ":"} {
				for _, n := range []int{1, 4} {
					fds, _, err := ListenGroup("tcp", ours+port, n, Buffers{})
					if !errors.Is(err, unix.EADDRINUSE) {
						t.Errorf("%s on %s: a group of %d on %s%s: %v", name, host, n, ours, port, err)
						closeAll(fds)
					}
				}
			}
			taker.Close()
			fds, _, err := ListenGroup("tcp4", host+":"+port, 4, Buffers{})
			if err != nil || len(fds) != 4 {
				t.Errorf("%s: the address is free again: %d sockets, %v", name, len(fds), err)
			}
			closeAll(fds)
			if after := openDescriptors(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		}
	}
}

type closer []int

func (c closer) Close() error { closeAll(c); return nil }

func TestListenUnix(t *testing.T) {
	path := t.TempDir() + "/s"
	fds, at, err := ListenGroup("unix", path, 4, Buffers{})
	if err != nil || len(fds) != 1 || at.String() != path || at.Network() != "unix" {
		t.Fatal(fds, at, err)
	}
	if _, _, err := Listen("unix", path, false, Buffers{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("taken: %v", err)
	}
	closeAll(fds) // the file stays, as after a crash
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	fd, _, err := Listen("unix", path, false, Buffers{})
	if err != nil {
		t.Fatalf("a stale file: %v", err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	unix.Close(fd)

	file := t.TempDir() + "/f"
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Listen("unix", file, false, Buffers{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a file that is no socket: %v", err)
	}
	if kept, err := os.ReadFile(file); err != nil || string(kept) != "precious" {
		t.Errorf("it was touched: %q, %v", kept, err)
	}
}

func TestListenAbstractUnix(t *testing.T) {
	name := "@gannet-netio-test-" + t.Name()
	fd, _, err := Listen("unix", name, false, Buffers{})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, _, err := Listen("unix", name, false, Buffers{}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("taken: %v", err)
	}
}

func TestListenRefuses(t *testing.T) {
	for _, c := range []struct{ network, addr string }{
		{"udp", "127.0.0.1:0"}, {"", ":0"}, {"tcp", "127.0.0.1"}, {"tcp", "127.0.0.1:99999"},
		{"tcp4", "[::1]:0"}, {"unix", "/does/not/exist/s"}, {"unixpacket", "/does/not/exist/s"},
	} {
		if fds, _, err := ListenGroup(c.network, c.addr, 2, Buffers{}); err == nil {
			t.Errorf("%v: %v", c, fds)
			closeAll(fds)
		}
	}
}

func TestDupListener(t *testing.T) {
	for _, c := range []struct{ network, addr string }{{"tcp", "127.0.0.1:0"}, {"unix", t.TempDir() + "/s"}} {
		ln, err := net.Listen(c.network, c.addr)
		if err != nil {
			t.Fatal(err)
		}
		fd, ok, err := DupListener(ln)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		peer, err := net.Dial(c.network, ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		l := startLoop(t, nativeRigs()[0])
		accepted := acceptSoon(t, l, fd)
		checkAccepted(t, accepted, c.network)
		l.close(accepted)
		peer.Close()
		l.close(fd)
		go func() { // ln is untouched: it still blocks, accepts and closes
			time.Sleep(time.Millisecond)
			if c, err := net.Dial(c.network, ln.Addr().String()); err == nil {
				c.Close()
			}
		}()
		own, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		own.Close()
		ln.Close()
		if _, _, err := DupListener(ln); err == nil {
			t.Error("a closed listener was duplicated")
		}
	}
}

type wrappedListener struct{ net.Listener }

func TestDupRefusesWhatIsNoPlainSocket(t *testing.T) {
	ln, err := net.Listen("unixpacket", t.TempDir()+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, l := range []net.Listener{ln, wrappedListener{ln}} {
		if fd, ok, err := DupListener(l); ok || err != nil || fd != -1 {
			t.Errorf("%T: %d, %v, %v", l, fd, ok, err)
		}
	}
	packets, err := net.Dial("unixpacket", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	pipe, _ := net.Pipe()
	tlsConn, _ := tlsPair(t)
	for _, c := range []net.Conn{packets, pipe, tlsConn} {
		if fd, ok, err := DupConn(c); ok || err != nil || fd != -1 {
			t.Errorf("%T: %d, %v, %v", c, fd, ok, err)
		}
	}
}
