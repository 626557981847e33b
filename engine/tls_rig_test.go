package engine

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// houseTLS is a server's configuration with the house's certificate.
func houseTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{houseCertificate()}}
}

// guestTLS is a client's, which trusts whoever answers.
func guestTLS() *tls.Config { return &tls.Config{InsecureSkipVerify: true} }

// startServerTLS is startServer over TLS. Options.TLSConfig is houseTLS where it is nil.
func startServerTLS(t testing.TB, h Handler, o Options) *Server {
	t.Helper()
	if o.TLSConfig == nil {
		o.TLSConfig = houseTLS()
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startServerOn(t, h, o, ln, (*Server).ServeTLS)
}

// startServerOn serves a listener until the test ends, and checks that nothing is left of it then.
func startServerOn(t testing.TB, h Handler, o Options, ln net.Listener, serve func(*Server, net.Listener) error) *Server {
	t.Helper()
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(s, ln) }()
	within(t, timeoutOf(5), "the server serves", func() bool { return s.Addr() != nil })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-served; err != ErrServerClosed {
			t.Error("Serve:", err)
		}
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
		if n := s.Stats().QueuedBytes; n != 0 {
			t.Errorf("%d bytes wait for nobody", n)
		}
	})
	return s
}

// dialTLS connects to a server over TLS. config is guestTLS where it is nil. The handshake of TLS is done.
func dialTLS(t testing.TB, s *Server, config *tls.Config) *tls.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	if config == nil {
		config = guestTLS()
	}
	c := tls.Client(nc, config)
	if err := c.Handshake(); err != nil {
		t.Fatal("the handshake of TLS: ", err)
	}
	return c
}

// TestServerOverTLS is the least: a client opens, and is answered.
func TestServerOverTLS(t *testing.T) {
	s := startServerTLS(t, echoHandler, Options{Logger: quietLogger})
	g := openTLS(t, s)
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
}

// openTLS opens a WebSocket over TLS.
func openTLS(t testing.TB, s *Server) *guest {
	t.Helper()
	return welcome(t, dialTLS(t, s, nil), ws.Dialer{})
}
