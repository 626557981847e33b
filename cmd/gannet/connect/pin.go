package connect

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Pin is the SHA-256 of a certificate's SubjectPublicKeyInfo (RFC 7469 2.4): it names the key, whoever signed the certificate and
// for whatever time and name. What proves that the server has the key is the handshake of TLS.
type Pin [sha256.Size]byte

// ParsePin reads a pin in base64 or in hexadecimal digits, with or without colons, and with or without sha256// in front, as curl
// writes it.
func ParsePin(text string) (p Pin, err error) {
	bare := strings.TrimSpace(text)
	for _, prefix := range []string{"sha256//", "sha256/", "sha256:"} {
		if len(bare) >= len(prefix) && strings.EqualFold(bare[:len(prefix)], prefix) {
			bare = bare[len(prefix):]
			break
		}
	}
	var b []byte
	if digits := strings.ReplaceAll(bare, ":", ""); len(digits) == hex.EncodedLen(len(p)) {
		b, err = hex.DecodeString(digits)
	} else {
		b, err = base64.RawStdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(bare, "=")))
	}
	if err != nil || len(b) != len(p) {
		return p, fmt.Errorf("%q is no SHA-256 in base64 or hexadecimal digits", text)
	}
	return Pin(b), nil
}

// PinOf is a certificate's pin.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String is the pin as ParsePin and curl read it.
func (p Pin) String() string { return "sha256//" + base64.StdEncoding.EncodeToString(p[:]) }
