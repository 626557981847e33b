package engine

import "github.com/gannet-ws/gannet/engine/internal/netio"

// TLSStats is what TLS on the loops did: of a server's ServeTLS and ListenAndServeTLS, and of a client's wss dials, but for those that a bridge carries
// (Stats.Bridged): they go by crypto/tls alone, and nobody counts them here.
type TLSStats struct {
	Conns      int64  `json:"conns"`      // of all connections, those whose TLS is on a loop
	Handshakes uint64 `json:"handshakes"` // that were done
	Resumed    uint64 `json:"resumed"`    // of them, those that resumed a session
	// Failed are handshakes that failed, by reason, and none of them is in Stats.Refusals: "plain-http" (an HTTP request without TLS, answered 400), "not-tls", "version", "cipher" and "alpn"
	// (none in common), "certificate" (of the peer: we do not trust it, or it has shown none), "refused" (the peer sent an alert: it does not trust our certificate, say),
	// "ended" (the peer left), "shed" (too many waited for a processor), "timeout" (HandshakeTimeout, or a client's TLSTimeout), "abandoned" (we
	// closed the connection meanwhile), "other".
	Failed map[string]uint64 `json:"failed"`
}

// tlsReasons are the reasons as Stats and the log name them, and what whoever runs the server may do about each.
var tlsReasons = [netio.HandshakeReasons]struct{ slug, todo string }{
	netio.HandshakeOther:       {"other", "the error says what it was"},
	netio.HandshakePlainHTTP:   {"plain-http", "the client has to use wss and https here"},
	netio.HandshakeNotTLS:      {"not-tls", "the client speaks no TLS: a proxy in front may send a PROXY header (Options.ProxyProtocol)"},
	netio.HandshakeVersion:     {"version", "Options.TLSConfig.MinVersion says which are taken"},
	netio.HandshakeCipher:      {"cipher", "Options.TLSConfig says which are taken (CipherSuites, CurvePreferences, the certificate's kind of key)"},
	netio.HandshakeALPN:        {"alpn", "the client offers no http/1.1"},
	netio.HandshakeCertificate: {"certificate", "Options.TLSConfig says which clients are trusted (ClientCAs)"},
	netio.HandshakeRefused:     {"refused", "the client may not trust the certificate: is it its name's, is the chain whole, has it expired?"},
	netio.HandshakeEnded:       {"ended", "the client left"},
	netio.HandshakeShed:        {"shed", "more clients come at a time than the processors can shake hands with"},
	netio.HandshakeTimeout:     {"timeout", "the client did not go on within Options.HandshakeTimeout"},
	netio.HandshakeAbandoned:   {"abandoned", "the connection was closed from here"},
}

// tlsStats are the engine's.
func (e *engine) tlsStats() TLSStats {
	k := &e.shakes.Counts
	s := TLSStats{Handshakes: k.Done.Load(), Resumed: k.Resumed.Load(), Failed: map[string]uint64{}}
	for i := range k.Failed {
		if n := k.Failed[i].Load(); n > 0 {
			s.Failed[tlsReasons[i].slug] = n
		}
	}
	for _, l := range e.allLoops() {
		if l.secure != nil {
			s.Conns += l.conns.Load()
		}
	}
	return s
}

// logTLS tells of a client's handshake that failed: each at Debug, and one a minute at Warn, with how many there were. That somebody looks in and
// leaves is no news: whatever watches over ports does.
func (c *Conn) logTLS(h *netio.HandshakeError) {
	e, why := c.loop.engine, tlsReasons[h.Reason]
	e.log().Debug("gannet: a TLS handshake failed", "reason", why.slug, "err", h.Err, "conn", c.id, "remote", c.peer.addrPort())
	if h.Reason == netio.HandshakeEnded {
		return
	}
	if n := e.handshakes.due(c.loop.time()); n > 0 {
		e.log().Warn("gannet: a TLS handshake failed", "reason", why.slug, "err", h.Err, "remote", c.peer.addrPort(), "todo", why.todo, "failed", n)
	}
}
