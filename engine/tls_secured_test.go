package engine

import (
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"testing"
)

// Tests that go over TLS without saying so: those of which a part of the name is "tls". So the hostile suites and the promises,
// which know nothing of TLS, run over it as they run over a plain socket.

// secured tells whether a test goes over TLS.
func secured(t testing.TB) bool { return strings.Contains(t.Name()+"/", "/tls/") }

// connectTo connects, and speaks TLS if the test goes over it; the handshake is made by the first byte written.
func connectTo(t testing.TB, d *net.Dialer, network, addr string) (net.Conn, error) {
	nc, err := d.Dial(network, addr)
	if err != nil || !secured(t) {
		return nc, err
	}
	return tls.Client(nc, guestTLS()), nil
}

// under is the socket below a connection.
func under(nc net.Conn) *net.TCPConn {
	switch c := nc.(type) {
	case *tls.Conn:
		return under(c.NetConn())
	case *forger:
		return under(c.wire.Conn)
	case *net.TCPConn:
		return c
	}
	return nil
}

// endsSpeech ends our half: over TLS with close_notify, and the socket's half behind it.
func endsSpeech(nc net.Conn) error {
	if c, ok := nc.(*tls.Conn); ok && c.ConnectionState().HandshakeComplete {
		if err := c.CloseWrite(); err != nil {
			return err
		}
	}
	return under(nc).CloseWrite()
}

// attackOver finishes the opening handshake over a connection.
func attackOver(t testing.TB, nc net.Conn, path string) *attacker {
	t.Helper()
	a := &attacker{nc, newReader(nc)}
	a.say(t, requestFor(path))
	a.expect101(t)
	return a
}

// schemeFor is an origin of victim.example as the test means it: over TLS its own scheme is https, and the other one http.
func schemeFor(t testing.TB, origin string) string {
	scheme, host, _ := strings.Cut(origin, "://")
	if !secured(t) || !strings.EqualFold(strings.TrimSuffix(host, ":80"), "victim.example") {
		return origin
	}
	if scheme == "https" {
		return "http://" + host
	}
	return "https://" + strings.Replace(host, ":80", ":443", 1)
}

// isTooMany reads a 503 to which no request is needed. Over TLS a handshake is, and a loop answers 64 at a time: so it goes when it has heard.
func isTooMany(t testing.TB, a *attacker) {
	t.Helper()
	c, secure := a.Conn.(*tls.Conn)
	if secure {
		if err := c.Handshake(); err != nil {
			t.Fatal("the handshake of TLS: ", err)
		}
	}
	a.expectStatus(t, http.StatusServiceUnavailable)
	if secure {
		_ = a.Close()
	}
}

// lateHandshakes is how many clients HandshakeTimeout ended: in the handshake of TLS, or in the opening one.
func lateHandshakes(s Stats) uint64 { return s.Refusals["timeout"] + s.TLS.Failed["timeout"] }

// schemeOf begins the URL of the server of a test.
func schemeOf(t testing.TB) string {
	if secured(t) {
		return "wss://"
	}
	return "ws://"
}

// takesPlain is takes without TLS, whatever the test's name says: serve speaks it, or breaks it, by itself.
func takesPlain(t testing.TB, serve func(nc net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return taking(t, ln, serve)
}
