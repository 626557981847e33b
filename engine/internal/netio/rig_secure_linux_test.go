package netio

import (
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// secureRigs carry TLS over Native, as a server and as a client. The peer is crypto/tls over a socket.
func secureRigs() (rigs []rig) {
	for _, k := range []struct {
		name    string
		serves  bool
		version uint16
		below   func(t testing.TB, l *loop) (int, net.Conn)
	}{
		{"secure/server/1.3", true, tls.VersionTLS13, acceptTCP4},
		{"secure/server/1.2", true, tls.VersionTLS12, acceptTCP4},
		{"secure/client/1.3", false, tls.VersionTLS13, connectPair},
		{"secure/client/1.2", false, tls.VersionTLS12, connectPair},
	} {
		server, client := tlsConfigs(k.version)
		make := func(s *Secure, fd int) { s.Client(fd, client) }
		over := func(raw net.Conn) *tls.Conn { return tls.Server(raw, server) }
		if k.serves {
			make = func(s *Secure, fd int) { s.Server(fd, server) }
			over = func(raw net.Conn) *tls.Conn { return tls.Client(raw, client) }
		}
		rigs = append(rigs, rig{
			name: k.name,
			open: func(t testing.TB) System {
				return NewSecure(openNative(t), NewHandshakes(2, func(f func()) { go f() }))
			},
			pair: func(t testing.TB, l *loop) (int, net.Conn) {
				fd, raw := k.below(t, l)
				l.do(func() { make(l.System.(*Secure), fd) })
				peer := over(raw)
				shakeHands(t, l, fd, peer)
				return fd, peer
			},
			halves: true, resets: true, kernel: true, sealed: true,
			mallocs: 2.01 + ownWaitMallocs, // one on each side
			alone:   !ownWait,
			below:   k.below, make: make,
		})
	}
	return rigs
}

func acceptTCP4(t testing.TB, l *loop) (int, net.Conn) {
	return acceptPair(t, l, "tcp4", "127.0.0.1:0")
}

// shakeHands has both ends shake hands. The descriptor is not added afterwards.
func shakeHands(t testing.TB, l *loop, fd int, peer *tls.Conn) {
	t.Helper()
	l.add(fd, func(Event) {})
	_ = peer.SetDeadline(time.Now().Add(patience))
	if err := peer.Handshake(); err != nil {
		t.Fatalf("the peer's handshake: %v", err)
	}
	_ = peer.SetDeadline(time.Time{})
	within(t, "the handshake", func() (done bool) {
		l.do(func() {
			state, ok := l.System.(*Secure).State(fd)
			done = ok && state.HandshakeComplete
		})
		return done
	})
	l.do(func() { // a ticket may be there, and nobody knows before a Read that it is all
		if n, err := l.Read(fd, make([]byte, 1)); n != 0 || err != ErrAgain {
			t.Errorf("Read behind the handshake: %d, %v", n, err)
		}
		delete(l.events, fd)
		l.Remove(fd)
	})
}

func tlsConfigs(version uint16) (server, client *tls.Config) {
	server = &tls.Config{Certificates: []tls.Certificate{testCertificate()}, MinVersion: version, MaxVersion: version}
	client = &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
	return server, client
}
