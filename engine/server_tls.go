package engine

import "net"

// ServeTLS is Serve over TLS, with Options.TLSConfig: TCP and unix listeners live on loops of their own, which the first of them
// starts, and so do their connections. An idle one costs its memory alone, no goroutine. Any other kind of listener, and every one where the system's
// sockets cannot live on loops (macOS, BSD, Windows), is served by goroutines: its connections are bridged. One server may serve any number of listeners
// at a time, with TLS and without.
//
// HandshakeTimeout bounds both handshakes together, that of TLS and the opening one. A client that is not over the first by then is closed without a word.
// Those that fail are in Stats.TLS, by reason, and logged at Debug; one a minute is logged at Warn. With Options.ProxyProtocol the
// PROXY header comes before TLS.
func (s *Server) ServeTLS(ln net.Listener) error {
	if ln == nil {
		return misused("ServeTLS needs a net.Listener, and this one is nil")
	}
	if err := s.speaksTLS("ServeTLS"); err != nil {
		return err
	}
	return s.untilOver(s.serve(ln, s.conf.TLSConfig))
}

// ListenAndServeTLS is ListenAndServe over TLS, with Options.TLSConfig; see ServeTLS.
func (s *Server) ListenAndServeTLS(network, addr string) error {
	if err := s.speaksTLS("ListenAndServeTLS"); err != nil {
		return err
	}
	return s.untilOver(s.listenAndServe(network, addr, s.conf.TLSConfig))
}

// speaksTLS tells whether the server has what TLS needs.
func (s *Server) speaksTLS(call string) error {
	if err := s.made(); err != nil {
		return err
	}
	if s.conf.TLSConfig == nil {
		return misused("%s needs Options.TLSConfig, and it is nil", call)
	}
	return nil
}
