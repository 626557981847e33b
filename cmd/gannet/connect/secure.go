package connect

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
)

// TLS says whom to trust and who we are, over wss.
type TLS struct {
	Insecure  bool   // trust any certificate
	CA        string // path of the PEM file of those whose certificates are trusted; "": the system's
	Cert, Key string // paths of our own certificate and its key, PEM; Key "": it is in Cert
	// Pins are those of the keys that are trusted. Without CA they are all that counts: neither who signed the certificate nor its
	// name nor its time is looked at, so that the pin of a certificate that somebody made himself is enough. With CA both have to be right.
	Pins []Pin
}

// asked tells whether something was asked for that only TLS can do.
func (t *TLS) asked() bool {
	return t.Insecure || t.CA != "" || t.Cert != "" || t.Key != "" || len(t.Pins) > 0
}

// pinError is the certificate of a key that is not pinned.
type pinError struct{ got Pin }

func (e *pinError) Error() string {
	return fmt.Sprintf("the server has another key than --pin says: the certificate's pin is %v", e.got)
}

// config is what crypto/tls gets. agreed hears what was negotiated.
func (t *TLS) config(agreed func(tls.ConnectionState)) (*tls.Config, error) {
	if t.Insecure && t.CA != "" {
		return nil, errors.New("--insecure trusts any certificate, and --ca says which: give one of them")
	}
	k := &tls.Config{
		InsecureSkipVerify: t.Insecure || len(t.Pins) > 0 && t.CA == "", // then VerifyConnection alone decides
		VerifyConnection: func(s tls.ConnectionState) error {
			agreed(s)
			if p := PinOf(s.PeerCertificates[0]); len(t.Pins) > 0 && !slices.Contains(t.Pins, p) {
				return &pinError{p}
			}
			return nil
		},
	}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		if k.RootCAs = x509.NewCertPool(); !k.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: there is no certificate in %s; it should be a PEM file", t.CA)
		}
	}
	return k, t.identify(k)
}

// identify adds our own certificate.
func (t *TLS) identify(k *tls.Config) error {
	key := t.Key
	switch {
	case t.Cert == "" && key == "":
		return nil
	case t.Cert == "":
		return errors.New("--key needs --cert, the certificate that it belongs to")
	case key == "":
		key = t.Cert
	}
	own, err := tls.LoadX509KeyPair(t.Cert, key)
	if err != nil {
		return fmt.Errorf("--cert and --key: %w", err)
	}
	k.Certificates = []tls.Certificate{own}
	return nil
}
