package engine

import (
	"crypto/tls"
	"net"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// WrapListener is for a net/http server that ends TLS itself and has WebSockets on some of its paths: it stands in the place of tls.NewListener, and the
// connections that Server.ServeHTTP gets from it move onto the loops, as those of ServeTLS are there, where any other TLS connection is bridged
// (Stats.Bridged). Serve it with http.Server.Serve, not ServeTLS, which has a listener of its own:
//
//	ln, err := net.Listen("tcp", ":443")
//	...
//	hs := &http.Server{Handler: mux} // mux leads to Server.ServeHTTP
//	err = hs.Serve(engine.WrapListener(ln, config))
//
// ln is one of TCP or unix sockets; connections of others are bridged. Accept gives a *tls.Conn, so net/http shakes hands in the goroutine of the connection, within
// its own time-outs, and fills http.Request.TLS. Such handshakes are not in Stats.TLS.
//
// config is used as it is, as tls.NewListener does: its SetSessionTicketKeys changes the keys while it serves. It needs a certificate, or a function that has
// one; else Accept answers an error that is ErrSyntax. Where NextProtos names "h2", net/http speaks HTTP/2 with clients that want it: their
// requests stay with net/http, and a WebSocket comes on a connection of its own with HTTP/1.1, which browsers open for that (ServeHTTP answers 505 over HTTP/2).
// List "http/1.1" beside it.
//
// Server.Shutdown and Close do not close it: it is the http.Server's.
func WrapListener(ln net.Listener, config *tls.Config) net.Listener {
	w := &tlsListener{Listener: ln, config: config}
	if !hasCertificate(config) {
		w.broken = misused("WrapListener needs a config with a certificate: set Certificates, GetCertificate or GetConfigForClient")
	}
	return w
}

// tlsListener is what WrapListener answers.
type tlsListener struct {
	net.Listener
	config *tls.Config
	broken error // what can never work
}

// Accept waits for a connection. TLS has not begun on it.
func (w *tlsListener) Accept() (net.Conn, error) {
	if w.broken != nil {
		return nil, w.broken
	}
	nc, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(netio.NewTransport(nc), w.config), nil
}
