package netio

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"
)

// secureRig is one TLS loop over a Native.
func secureRig() rig {
	return rig{name: "secure", open: func(t testing.TB) System {
		n, err := NewNative()
		if err != nil {
			t.Fatal(err)
		}
		return NewSecure(n, NewHandshakes(1, func(f func()) { go f() }))
	}}
}

// secureServer puts the server's end of a connection on the loop; the peer has not shaken hands yet.
func secureServer(t testing.TB, l *loop, config *tls.Config) (fd int, peer net.Conn) {
	fd, peer = adoptPair(t, l)
	l.do(func() { l.System.(*Secure).Server(fd, config) })
	return fd, peer
}

func TestSecureServerEchoes(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := startLoop(t, secureRig())
		fd, raw := secureServer(t, l, serverConfig())
		e := startEcho(l, fd)
		echoThrough(t, tls.Client(raw, clientConfig(v)))
		if err := await(t, e.end, "the end"); err != io.EOF {
			t.Fatal(err)
		}
		l.close(fd)
	})
}

func TestSecureClientEchoes(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		l := startLoop(t, secureRig())
		fd, raw := adoptPair(t, l)
		l.do(func() { l.System.(*Secure).Client(fd, clientConfig(v)) })
		e := startEcho(l, fd)
		echoThrough(t, tls.Server(raw, serverConfig()))
		if err := await(t, e.end, "the end"); err != io.EOF {
			t.Fatal(err)
		}
		l.close(fd)
	})
}

// echoThrough sends bytes both ways, and closes.
func echoThrough(t *testing.T, peer *tls.Conn) {
	t.Helper()
	sent := randomBytes(3 << 20)
	_ = peer.SetDeadline(time.Now().Add(patience))
	if err := peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for rest := sent; len(rest) > 0; {
			n := min(len(rest), 1+len(rest)%100_000)
			if _, err := peer.Write(rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
	}()
	got := make([]byte, len(sent))
	if n, err := io.ReadFull(peer, got); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatal("the echo differs")
	}
	peer.Close()
}
