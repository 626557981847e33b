package engine

import (
	"crypto/tls"
	"slices"
)

// serverTLS is Options.TLSConfig as the server uses it: a copy that offers HTTP/1.1 and nothing that nobody here speaks.
func serverTLS(given *tls.Config) (*tls.Config, error) {
	switch {
	case given == nil:
		return nil, nil
	case given.Renegotiation != tls.RenegotiateNever:
		return nil, misused("Options: TLSConfig: Renegotiation is not supported")
	case !hasCertificate(given):
		return nil, misused("Options: TLSConfig has no certificate: set Certificates, GetCertificate or GetConfigForClient")
	case len(given.NextProtos) > 0 && !slices.Contains(given.NextProtos, alpnHTTP):
		return nil, misused("Options: TLSConfig: NextProtos is %q, and a WebSocket opens with %q: add it, or leave NextProtos empty", given.NextProtos, alpnHTTP)
	}
	config := given.Clone()
	if len(config.NextProtos) == 0 {
		config.NextProtos = []string{alpnHTTP}
	}
	config.NextProtos = slices.DeleteFunc(slices.Clone(config.NextProtos), func(name string) bool { return name == "h2" })
	return config, nil
}

// hasCertificate tells whether a server can be one with a config.
func hasCertificate(c *tls.Config) bool {
	return c != nil && (len(c.Certificates) > 0 || c.GetCertificate != nil || c.GetConfigForClient != nil)
}

// alpnHTTP is the protocol that a WebSocket opens with, as ALPN names it (RFC 7301).
const alpnHTTP = "http/1.1"

// SetSessionTicketKeys changes the keys that sessions of ServeTLS and ListenAndServeTLS are resumed with, while they serve: new
// tickets are sealed with the first one, and those that any of them has sealed are taken. Processes that share the keys resume each other's
// sessions, and so does one that was started anew; who has them can read what such sessions say, so change them every day at least.
// Without it the server makes keys of its own and changes them daily. It answers ErrSyntax when there is no key, and without Options.TLSConfig.
func (s *Server) SetSessionTicketKeys(keys [][32]byte) error {
	if err := s.made(); err != nil {
		return err
	}
	switch {
	case s.conf.TLSConfig == nil:
		return misused("SetSessionTicketKeys needs Options.TLSConfig, and it is nil")
	case len(keys) == 0:
		return misused("SetSessionTicketKeys needs a key at least")
	}
	s.conf.TLSConfig.SetSessionTicketKeys(keys)
	return nil
}
