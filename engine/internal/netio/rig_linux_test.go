package netio

import (
	"net"
	"testing"
	"time"
)

// gnetWaitMallocs: gnet's Polling makes a new event list whenever it changes its size.
const gnetWaitMallocs = 0.2

func nativeRigs() []rig {
	open := func(t testing.TB) System {
		n, err := NewNative()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	openPlain := func(t testing.TB) System {
		n := open(t).(*Native)
		n.plain, n.edge.on = true, false
		return n
	}
	accept := func(network, addr string) func(t testing.TB, l *loop) (int, net.Conn) {
		return func(t testing.TB, l *loop) (int, net.Conn) { return acceptPair(t, l, network, addr) }
	}
	return []rig{
		{"native/tcp4", open, accept("tcp4", "127.0.0.1:0"), true, true, true, ownWaitMallocs, !ownWait},
		{"native/tcp", open, accept("tcp", ":0"), true, true, true, ownWaitMallocs, !ownWait},
		{"native/unix", open, accept("unix", ""), true, false, true, ownWaitMallocs, !ownWait},
		{"native/adopted", open, adoptPair, true, true, true, ownWaitMallocs, !ownWait},
		{"native/polling", openPlain, adoptPair, true, true, true, gnetWaitMallocs, true},
	}
}

// acceptPair goes through Listen and Accept.
func acceptPair(t testing.TB, l *loop, network, addr string) (int, net.Conn) {
	t.Helper()
	if network == "unix" {
		addr = t.TempDir() + "/s"
	}
	ln, at, err := Listen(network, addr, false, Buffers{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(ln)
	peer, err := net.Dial(network, at.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.Close() })
	return acceptSoon(t, l, ln), peer
}

// acceptSoon accepts one connection; a client's connect may return before it is in the queue.
func acceptSoon(t testing.TB, l *loop, ln int) (fd int) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		var err error
		l.do(func() { fd, _, err = l.Accept(ln) })
		if err == nil {
			return fd
		}
		if err != ErrAgain {
			t.Fatal(err)
		}
	}
	t.Fatal("nothing to accept")
	return -1
}

// adoptPair goes through DupConn.
func adoptPair(t testing.TB, _ *loop) (int, net.Conn) {
	t.Helper()
	ours, peer := tcpPair(t)
	fd, ok, err := DupConn(ours)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	ours.Close()
	return fd, peer
}

// dupPeer puts the other end of a connection on a loop as well.
func dupPeer(t testing.TB, peer net.Conn) int {
	t.Helper()
	fd, ok, err := DupConn(peer)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	peer.Close()
	return fd
}
