package engine

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Certificate is a certificate and its key in files that may be replaced while the program runs: WatchCertificate makes one. Its
// methods are for a tls.Config, and may be called from any goroutine.
type Certificate struct{ files pemFiles[*tls.Certificate] }

// WatchCertificate loads a certificate, with the chain behind it, and its key from PEM files; keyFile "" means that the key stands in
// certFile as well. From then on a replaced certificate is served to new connections without a restart:
//
//	certificate, err := engine.WatchCertificate("fullchain.pem", "privkey.pem", nil)
//	config := &tls.Config{GetCertificate: certificate.GetCertificate}
//
// It does not matter how the files are replaced: in place, by a rename, or by a symbolic link that is switched (certbot, Kubernetes).
// They are read again when a handshake asks for the certificate, at most once a second, so there is no goroutine that waits, and
// nothing to close. A certificate that does not load, or does not fit the key (because only one of the two files is replaced yet),
// changes nothing: the old one is served, the log says once what is wrong, and the next look tries again. The log also says when a
// certificate was replaced, and once a day when it has expired, is not valid yet, or expires soon: within a fifth of
// its lifetime, and 14 days at most. The log is slog.Default() if it is nil.
//
// The error says what is wrong with the files as they are now. Connections that are open keep the certificate they began with, and
// a session that is resumed asks for none.
func WatchCertificate(certFile, keyFile string, log *slog.Logger) (*Certificate, error) {
	if certFile == "" {
		return nil, misused("WatchCertificate: certFile is empty, must be the path of a PEM file")
	}
	paths := []string{certFile}
	if keyFile != "" {
		paths = append(paths, keyFile)
	}
	k := new(Certificate)
	k.files.open("certificate", paths, log, func(contents [][]byte) (*tls.Certificate, validity, error) {
		return parsePair(contents[0], contents[len(contents)-1])
	})
	if err := k.files.load(); err != nil {
		return nil, err
	}
	return k, nil
}

// GetCertificate is for tls.Config.GetCertificate: the newest certificate that has loaded. The error is always nil.
func (k *Certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return k.files.newest(), nil
}

// GetClientCertificate is for tls.Config.GetClientCertificate: a client shows the newest certificate that has loaded to a
// server that asks for one. The error is always nil.
func (k *Certificate) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return k.files.newest(), nil
}

// parsePair makes a certificate of PEM text.
func parsePair(chain, key []byte) (*tls.Certificate, validity, error) {
	if err := errors.Join(wholePEM(chain), wholePEM(key), plainKey(key)); err != nil {
		return nil, validity{}, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, validity{}, errors.New(strings.TrimPrefix(err.Error(), "tls: "))
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0]) // GODEBUG may leave pair.Leaf nil
	if err != nil {
		return nil, validity{}, err
	}
	for _, der := range pair.Certificate[1:] { // X509KeyPair looks at the first alone
		if _, err := x509.ParseCertificate(der); err != nil {
			return nil, validity{}, fmt.Errorf("the chain behind the certificate: %w", err)
		}
	}
	pair.Leaf = leaf
	return &pair, validityOf(leaf), nil
}

// wholePEM refuses text that ends within a block: a file that is being written. The parsers take what stands before that for all.
func wholePEM(text []byte) error {
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
	}
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return errors.New("the last PEM block is not whole")
	}
	return nil
}

// plainKey refuses a key that a password encrypts, which the parser would not find at all.
func plainKey(text []byte) error {
	for {
		block, rest := pem.Decode(text)
		switch {
		case block == nil:
			return nil
		case block.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"): // RFC 5958; RFC 1421
			return errors.New("the key is encrypted; openssl pkey -in KEY -out PLAIN takes the password away")
		}
		text = rest
	}
}
