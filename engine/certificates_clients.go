package engine

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
)

// ClientCAs are the authorities that may sign the certificates of clients, in a file that may be replaced while the program runs:
// WatchClientCAs makes them.
type ClientCAs struct{ files pemFiles[*x509.CertPool] }

// WatchClientCAs loads the certificates of a PEM file. A replaced file counts from the next handshake on, as a certificate does: see
// WatchCertificate, which also says what happens to one that does not load, and what is logged. The log is slog.Default() if it is nil.
func WatchClientCAs(file string, log *slog.Logger) (*ClientCAs, error) {
	if file == "" {
		return nil, misused("WatchClientCAs: file is empty, must be the path of a PEM file")
	}
	k := new(ClientCAs)
	k.files.open("client authority", []string{file}, log, func(contents [][]byte) (*x509.CertPool, validity, error) {
		return parseAuthorities(contents[0])
	})
	if err := k.files.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// Require completes a server's config: who connects must show a certificate that one of the authorities has signed. Where
// config.ClientAuth is VerifyClientCertIfGiven it stays so, and a client may show none; Upgrade.TLS tells the two apart.
// It sets ClientAuth, ClientCAs and GetConfigForClient. Call it when the rest of config is complete, but before keys are set for
// tickets (SetSessionTicketKeys): handshakes after a change go by a copy that is made here, and take the keys from config.
//
// Sessions go by the newest authorities as well: one whose certificate none of them has signed is not resumed.
func (k *ClientCAs) Require(config *tls.Config) {
	if config.ClientAuth != tls.VerifyClientCertIfGiven {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	first := k.files.newest()
	config.ClientCAs = first
	base := config.Clone()
	if len(base.NextProtos) == 0 {
		base.NextProtos = []string{alpnHTTP} // as a Server completes Options.TLSConfig
	}
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool := k.files.newest()
		if pool == first {
			return nil, nil // config itself
		}
		newer := base.Clone() // without ticket keys of its own, so that crypto/tls takes those of config
		newer.ClientCAs = pool
		return newer, nil
	}
}

// parseAuthorities makes a pool of PEM text. Each certificate must be one: a pool that lacks one of them turns its clients away.
func parseAuthorities(text []byte) (*x509.CertPool, validity, error) {
	if err := wholePEM(text); err != nil {
		return nil, validity{}, err
	}
	pool := x509.NewCertPool()
	var longest validity // of the one that lasts longest: old ones may stay in such a file
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			continue
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, validity{}, err
		}
		pool.AddCert(one)
		if one.NotAfter.After(longest.notAfter) {
			longest = validityOf(one)
		}
	}
	if longest == (validity{}) {
		return nil, validity{}, errors.New("there is no certificate in it; it should be a PEM file")
	}
	return pool, longest, nil
}
