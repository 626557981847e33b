package netio

import (
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// connectPair goes through Connect: ours is the end that began it.
func connectPair(t testing.TB, l *loop) (int, net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	fd := connectSoon(t, l, Target{Addr: addrOf(ln)})
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	l.do(func() { l.Remove(fd) }) // the tests add it themselves
	return fd, peer
}

func addrOf(ln net.Listener) netip.AddrPort { return ln.Addr().(*net.TCPAddr).AddrPort() }

// outcome connects on the loop and tells what comes of it; the descriptor stays watched for writing.
func outcome(t testing.TB, l *loop, to Target) (fd int, err error) {
	t.Helper()
	k := l.System.(Connector)
	told := make(chan error, 1)
	l.do(func() {
		if fd, err = k.Connect(to); err != nil {
			told <- err
			return
		}
		if err := l.Interest(fd, 0, Writable); err != nil {
			t.Errorf("Interest: %v", err)
		}
		l.events[fd] = func(ev Event) {
			if ev&Writable == 0 {
				t.Errorf("the event of a connect is %v", ev)
			}
			delete(l.events, fd)
			tell(told, k.Connected(fd, to))
		}
	})
	return fd, await(t, told, "the connection, or its failure")
}

func connectSoon(t testing.TB, l *loop, to Target) int {
	t.Helper()
	fd, err := outcome(t, l, to)
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func onNative(t *testing.T) *loop {
	t.Helper()
	return startLoop(t, nativeRigs()[0])
}

func TestConnectRefused(t *testing.T) {
	l := onNative(t)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	to := Target{Addr: addrOf(ln)}
	ln.Close()
	fd, err := outcome(t, l, to)
	if err != unix.ECONNREFUSED {
		t.Errorf("nobody listens: %v", err)
	}
	l.close(fd)
}

func TestConnectMapped(t *testing.T) {
	l := onNative(t)
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	at := addrOf(ln)
	for _, a := range []netip.Addr{at.Addr(), netip.AddrFrom16(at.Addr().As16())} {
		fd := connectSoon(t, l, Target{Addr: netip.AddrPortFrom(a, at.Port())})
		if got := PeerAddr(fd).String(); got != at.String() {
			t.Errorf("connected to %v, want %v", got, at)
		}
		l.close(fd)
	}
}

func TestConnect6(t *testing.T) {
	ln, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here: ", err)
	}
	defer ln.Close()
	l := onNative(t)
	at := addrOf(ln)
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Skip(err)
	}
	for _, zone := range []string{"", "lo", strconv.Itoa(lo.Index)} {
		fd := connectSoon(t, l, Target{Addr: netip.AddrPortFrom(at.Addr().WithZone(zone), at.Port()), Local: at.Addr()})
		l.close(fd)
	}
	if _, err := outcome(t, l, Target{Addr: netip.AddrPortFrom(at.Addr().WithZone("no such"), at.Port())}); err != unix.ENODEV {
		t.Errorf("a zone that is not here: %v", err)
	}
	if _, err := outcome(t, l, Target{Addr: at, Local: netip.MustParseAddr("127.0.0.1")}); err != unix.EAFNOSUPPORT {
		t.Errorf("from IPv4 to IPv6: %v", err)
	}
}

func TestConnectUnix(t *testing.T) {
	l := onNative(t)
	for _, name := range []string{t.TempDir() + "/s", "@gannet-connect-test"} {
		ln, err := net.Listen("unix", name)
		if err != nil {
			t.Fatal(err)
		}
		fd := connectSoon(t, l, Target{Unix: name})
		peer, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		l.do(func() {
			if n, err := l.Write(fd, []byte("hello")); n != 5 || err != nil {
				t.Error(n, err)
			}
		})
		l.close(fd)
		if got := readAll(t, peer); string(got) != "hello" {
			t.Errorf("%q came", got)
		}
		ln.Close()
	}
	if _, err := outcome(t, l, Target{Unix: t.TempDir() + "/nobody"}); err != unix.ENOENT {
		t.Errorf("no such socket: %v", err)
	}
}

// TestConnectFrom: the port of a local address is chosen for the pair of both ends.
func TestConnectFrom(t *testing.T) {
	l := onNative(t)
	from := netip.MustParseAddr("127.0.0.77")
	for range 2 {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		for range 50 {
			fd := connectSoon(t, l, Target{Addr: addrOf(ln), Local: from})
			defer l.close(fd)
			a := LocalAddr(fd).(*net.TCPAddr)
			if a.AddrPort().Addr() != from {
				t.Fatalf("it comes from %v, want %v", a, from)
			}
			if v, err := unix.GetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT); err != nil || v != 1 {
				t.Fatal("the port was chosen by bind: ", v, err)
			}
			if v, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || v != 1 {
				t.Fatal("TCP_NODELAY: ", v, err)
			}
		}
	}
	if _, err := outcome(t, l, Target{Addr: netip.MustParseAddrPort("127.0.0.1:9"), Local: netip.MustParseAddr("192.0.2.1")}); err != unix.EADDRNOTAVAIL {
		t.Errorf("from an address that is not ours: %v", err)
	}
}

// TestConnectPending: a listener whose queue is full answers nothing, and the connection is under way until it is given up.
func TestConnectPending(t *testing.T) {
	l := onNative(t)
	full, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(full)
	if err := unix.Bind(full, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(full, 0); err != nil {
		t.Fatal(err)
	}
	to := Target{Addr: LocalAddr(full).(*net.TCPAddr).AddrPort()}
	k := l.System.(Connector)
	var fds []int
	l.do(func() {
		for range 5 {
			fd, err := k.Connect(to)
			if err != nil {
				t.Error(err)
				return
			}
			fds = append(fds, fd)
		}
		last := fds[len(fds)-1]
		if err := l.Interest(last, 0, Writable); err != nil {
			t.Error(err)
		}
		if err := k.Connected(last, to); err != ErrAgain {
			t.Errorf("under way: %v", err)
		}
		l.Remove(last)
		for _, fd := range fds {
			if err := l.Close(fd); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestConnectToItself: an ephemeral port that nobody listens on may be chosen as the connection's own.
func TestConnectToItself(t *testing.T) {
	l := onNative(t)
	k := l.System.(Connector).(*Native)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	own := LocalAddr(fd).(*net.TCPAddr)
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: own.Port}); err != nil {
		t.Skip("a kernel that does not allow it: ", err)
	}
	l.do(func() {
		if err := k.Connected(fd, Target{Addr: own.AddrPort()}); err != unix.ECONNREFUSED {
			t.Errorf("connected to itself: %v", err)
		}
	})
	unix.Close(fd)
}

func TestConnectMallocs(t *testing.T) {
	n, err := NewNative()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Release()
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	to := Target{Addr: addrOf(ln), Local: netip.MustParseAddr("127.0.0.1")}
	connect := func() {
		fd, err := n.Connect(to)
		if err != nil {
			t.Fatal(err)
		}
		for n.Connected(fd, to) == ErrAgain {
			runtime.Gosched()
		}
		_ = n.Abort(fd)
	}
	if got := testing.AllocsPerRun(100, connect); got != 0 {
		t.Errorf("%v mallocs a connect", got)
	}
}
