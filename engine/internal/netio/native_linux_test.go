package netio

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// wakeCounter is a Handler for tests that call the poller's callback themselves.
type wakeCounter int

func (w *wakeCounter) OnEvent(int, Event) {}
func (w *wakeCounter) OnWake() bool       { *w++; return true }
func (w *wakeCounter) OnBatchEnd()        {}

// A turn may report the eventfd and the timerfd. What closes waits for "the second
// OnWake from now", which must therefore be another turn's.
func TestOnWakeRunsOncePerTurn(t *testing.T) {
	for _, timerFirst := range []bool{false, true} {
		n, err := NewNative()
		if err != nil {
			t.Fatal(err)
		}
		var wakes wakeCounter
		n.handler = &wakes
		n.SetTimer(1)
		n.Wake()
		turn := []int{n.wakeFD, n.timerFD}
		if timerFirst {
			turn = []int{n.timerFD, n.wakeFD}
		}
		for _, fd := range turn {
			if err := n.dispatch(fd, unix.EPOLLIN, 0); err != nil {
				t.Fatal(err)
			}
		}
		if wakes != 1 {
			t.Errorf("timer first %v: OnWake ran %d times in one turn", timerFirst, wakes)
		}
		if pending := n.woken.Load() == 1; pending == timerFirst {
			t.Errorf("timer first %v: a wake is pending: %v", timerFirst, pending)
		}
		if err := n.Release(); err != nil {
			t.Error(err)
		}
	}
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestReleaseGivesDescriptorsBack(t *testing.T) {
	before := openDescriptors(t)
	for range 20 {
		n, err := NewNative()
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Release(); err != nil {
			t.Fatal(err)
		}
		n.Wake()
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func TestNewNativeWithoutDescriptors(t *testing.T) {
	before := openDescriptors(t)
	for spare := range 4 { // it needs four
		withDescriptorsLeft(t, spare, func() {
			if n, err := NewNative(); err == nil {
				n.Release()
				t.Errorf("%d descriptors were enough", spare)
			}
		})
	}
	if after := openDescriptors(t); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

// withDescriptorsLeft runs f where only so many more descriptors can be opened.
func withDescriptorsLeft(t *testing.T, spare int, f func()) {
	t.Helper()
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		t.Fatal(err)
	}
	var fillers []int
	defer func() {
		closeAll(fillers)
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
			t.Fatal(err)
		}
	}()
	// Fill the holes below the new limit, then leave spare of them.
	limit := uint64(openDescriptors(t) + 64)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: limit, Max: old.Max}); err != nil {
		t.Fatal(err)
	}
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			break
		}
		fillers = append(fillers, fd)
	}
	closeAll(fillers[len(fillers)-spare:])
	fillers = fillers[:len(fillers)-spare]
	f()
}

// A byte of urgent data, which a plain read never returns, must not keep the loop turning.
func TestUrgentDataDoesNotSpin(t *testing.T) {
	for _, r := range nativeRigs() {
		t.Run(r.name, func(t *testing.T) {
			l := startLoop(t, r)
			fd, peer := r.pair(t, l)
			events := 0
			c := collect(l, fd)
			l.do(func() { l.events[fd] = func(ev Event) { events++; c.onEvent(ev) } })
			say := func(text string, flags int) {
				t.Helper()
				err := control(peer.(syscall.Conn), func(fd int) error {
					return unix.Sendto(fd, []byte(text), flags, nil)
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			say("before", 0)
			c.waitFor(t, "before")
			say("!", unix.MSG_OOB)
			time.Sleep(silence)
			say(" after", 0)
			c.waitFor(t, "before after")
			say("between?", unix.MSG_OOB) // its last byte is the urgent one
			c.waitFor(t, "before afterbetween")
			l.do(func() {
				if events > 12 {
					t.Errorf("%d events for four packets", events)
				}
			})
			peer.Close()
			await(t, c.ended, "the end")
			l.close(fd)
		})
	}
}

func control(c syscall.Conn, f func(fd int) error) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = f(int(fd)) }); err != nil {
		return err
	}
	return failed
}

func TestAcceptGivesThePeersAddress(t *testing.T) {
	for _, c := range []struct{ network, listen, dial string }{
		{"tcp4", "127.0.0.1:0", "127.0.0.1"},
		{"tcp", ":0", "127.0.0.1"}, // mapped into IPv6 by the kernel
		{"tcp", ":0", "::1"},
		{"tcp6", "[::1]:0", "::1"},
		{"unix", t.TempDir() + "/s", ""},
	} {
		l := startLoop(t, nativeRigs()[0])
		ln, at, err := Listen(c.network, c.listen, false, Buffers{})
		if err != nil {
			t.Fatal(err)
		}
		network, target := "unix", at.String()
		if tcp, ok := at.(*net.TCPAddr); ok {
			network = "tcp"
			target = netip.AddrPortFrom(netip.MustParseAddr(c.dial), uint16(tcp.Port)).String()
		}
		peer, err := net.Dial(network, target)
		if err != nil {
			t.Fatal(err)
		}
		var got netip.AddrPort
		fd := -1
		for end := time.Now().Add(patience); fd < 0 && time.Now().Before(end); {
			l.do(func() { fd, got, err = l.Accept(ln) })
		}
		if err != nil {
			t.Fatal(err)
		}
		if network == "unix" {
			if got.IsValid() {
				t.Errorf("unix: peer is %v", got)
			}
		} else if got.String() != peer.LocalAddr().String() || PeerAddr(fd).String() != got.String() {
			t.Errorf("%v: peer is %v, %v, want %v", c, got, PeerAddr(fd), peer.LocalAddr())
		}
		if LocalAddr(fd).String() != target {
			t.Errorf("%v: our address is %v, want %v", c, LocalAddr(fd), target)
		}
		checkAccepted(t, fd, network)
		l.close(fd)
		l.close(ln)
		if LocalAddr(ln) != nil || PeerAddr(ln) != nil {
			t.Error("a closed descriptor has an address")
		}
	}
}

// checkAccepted: what the loop relies on, TCP_NODELAY being inherited included.
func checkAccepted(t *testing.T, fd int, network string) {
	t.Helper()
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK == 0 {
		t.Errorf("%s: flags %#x, %v: blocking", network, flags, err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("%s: flags %#x, %v: inherited by children", network, flags, err)
	}
	if network == "unix" {
		return
	}
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || on == 0 {
		t.Errorf("TCP_NODELAY is %d, %v", on, err)
	}
}

func TestAcceptWithoutDescriptors(t *testing.T) {
	l := startLoop(t, nativeRigs()[0])
	ln, at, err := Listen("tcp4", "127.0.0.1:0", false, Buffers{})
	if err != nil {
		t.Fatal(err)
	}
	l.do(func() {
		if _, _, err := l.Accept(ln); err != ErrAgain {
			t.Errorf("nobody there: %v", err)
		}
	})
	peer, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	withDescriptorsLeft(t, 0, func() {
		l.do(func() {
			if _, _, err := l.Accept(ln); err != unix.EMFILE {
				t.Errorf("no descriptor left: %v", err)
			}
		})
	})
	l.close(acceptSoon(t, l, ln)) // it waited in the queue
	l.close(ln)
	l.do(func() {
		if _, _, err := l.Accept(ln); err != unix.EBADF {
			t.Errorf("a closed listener: %v", err)
		}
	})
}

func TestFileConnLeavesTheDescriptor(t *testing.T) {
	l := startLoop(t, nativeRigs()[0])
	fd, peer := nativeRigs()[0].pair(t, l)
	c, err := FileConn(fd)
	if err != nil {
		t.Fatal(err)
	}
	l.close(fd)
	if _, err := peer.Write([]byte("hi")); err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 2)
	_ = c.SetReadDeadline(time.Now().Add(patience))
	if _, err := c.Read(p); err != nil || string(p) != "hi" {
		t.Fatalf("%q, %v", p, err)
	}
	c.Close()
	if got := readAll(t, peer); len(got) != 0 {
		t.Fatalf("peer got %q", got)
	}
	if _, err := FileConn(-1); err == nil {
		t.Error("a net.Conn over no descriptor")
	}
}
