package netio

import (
	"net"
	"testing"
	"time"
)

// gnetWaitMallocs: gnet's Polling makes a new event list whenever it changes its size.
const gnetWaitMallocs = 0.2

func openNative(t testing.TB) System {
	n, err := NewNative()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func nativeRigs() []rig {
	openPlain := func(t testing.TB) System {
		n := openNative(t).(*Native)
		n.plain, n.edge.on = true, false
		return n
	}
	accept := func(network, addr string) func(t testing.TB, l *loop) (int, net.Conn) {
		return func(t testing.TB, l *loop) (int, net.Conn) { return acceptPair(t, l, network, addr) }
	}
	var rigs []rig
	for _, k := range []struct {
		name   string
		pair   func(testing.TB, *loop) (int, net.Conn)
		resets bool
	}{
		{"native/tcp4", accept("tcp4", "127.0.0.1:0"), true},
		{"native/tcp", accept("tcp", ":0"), true},
		{"native/unix", accept("unix", ""), false},
		{"native/adopted", adoptPair, true},
		{"native/connected", connectPair, true},
	} {
		rigs = append(rigs, rig{
			name: k.name, open: openNative, pair: k.pair, halves: true, resets: k.resets, kernel: true, mallocs: ownWaitMallocs, alone: !ownWait,
		})
	}
	return append(rigs, rig{
		name: "native/polling", open: openPlain, pair: adoptPair, halves: true, resets: true, kernel: true, mallocs: gnetWaitMallocs, alone: true,
	})
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
