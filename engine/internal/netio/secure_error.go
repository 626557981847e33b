package netio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"reflect"
)

// HandshakeReason says why a TLS handshake failed.
type HandshakeReason uint8

const (
	HandshakeOther       HandshakeReason = iota // what crypto/tls says
	HandshakePlainHTTP                          // the peer sent an HTTP request in plaintext; a server answered it with 400
	HandshakeNotTLS                             // the peer's first bytes are no TLS record
	HandshakeVersion                            // no protocol version is shared
	HandshakeCipher                             // no cipher suite, group or signature algorithm is shared
	HandshakeALPN                               // no application protocol is shared
	HandshakeCertificate                        // we do not trust the peer's certificate, or it sent none
	HandshakeRefused                            // the peer sent an alert: it does not want us, or our certificate
	HandshakeEnded                              // the stream ended or broke
	HandshakeShed                               // too many handshakes waited for a processor
	HandshakeTimeout                            // Expire
	HandshakeAbandoned                          // our side closed the connection meanwhile; only counted
	HandshakeReasons                            // how many reasons there are
)

var handshakeReasons = [HandshakeReasons]string{
	"other", "plain HTTP request", "not TLS", "no shared version", "no shared cipher", "no shared protocol", "certificate",
	"refused by the peer", "connection ended", "too many handshakes", "timed out", "abandoned",
}

func (r HandshakeReason) String() string {
	if r >= HandshakeReasons {
		return fmt.Sprintf("HandshakeReason(%d)", uint8(r))
	}
	return handshakeReasons[r]
}

// hasWords tells whether the peer is told why, so that its reading has to be awaited.
func (r HandshakeReason) hasWords() bool {
	switch r {
	case HandshakeNotTLS, HandshakeRefused, HandshakeEnded, HandshakeShed, HandshakeTimeout, HandshakeAbandoned:
		return false
	}
	return true
}

// HandshakeError is what Read and Write answer after a TLS handshake that failed. Err is what crypto/tls said, or the socket's error. A server lets
// the peer read its last word (an alert, or 400): behind CloseWrite, Read drops what still comes, answers ErrAgain, and in the end io.EOF or the socket's error.
type HandshakeError struct {
	Reason HandshakeReason
	Err    error
}

func (e *HandshakeError) Error() string { return "TLS handshake: " + e.Err.Error() }

// Unwrap is Err.
func (e *HandshakeError) Unwrap() error { return e.Err }

// The alerts that tell a reason (RFC 8446 6, RFC 7301 3.2).
const (
	alertBadRecordMAC         = 20
	alertHandshakeFailure     = 40
	alertBadCertificate       = 42
	alertUnknownCA            = 48
	alertProtocolVersion      = 70
	alertInsufficientSecurity = 71
	alertInappropriate        = 86 // RFC 7507: a fallback to an older version than both know
	alertCertificateRequired  = 116
	alertNoALPN               = 120
)

func reasonOfAlert(code byte) (r HandshakeReason, ok bool) {
	switch {
	case code == alertProtocolVersion || code == alertInappropriate:
		return HandshakeVersion, true
	case code == alertHandshakeFailure || code == alertInsufficientSecurity:
		return HandshakeCipher, true
	case code == alertNoALPN:
		return HandshakeALPN, true
	case code >= alertBadCertificate && code < alertUnknownCA+1, code == alertCertificateRequired:
		return HandshakeCertificate, true
	}
	return HandshakeOther, false
}

// reason is why the handshake failed. crypto/tls has types for few errors; the alert that goes with the others tells.
func (h *shake) reason() HandshakeReason {
	var record tls.RecordHeaderError
	var untrusted *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var name x509.HostnameError
	switch err := h.err; {
	case err == errShed:
		return HandshakeShed
	case h.end != nil && (err == h.end || err == io.EOF || err == io.ErrUnexpectedEOF):
		return HandshakeEnded
	case errors.As(err, &record) && record.Conn != nil:
		return HandshakeNotTLS
	case errors.As(err, &untrusted) || errors.As(err, &authority) || errors.As(err, &invalid) || errors.As(err, &name),
		err.Error() == "tls: client didn't provide a certificate":
		return HandshakeCertificate
	}
	if code, ok := remoteAlert(h.err); ok {
		if r, ok := reasonOfAlert(code); ok && r != HandshakeCertificate {
			return r
		}
		return HandshakeRefused
	}
	r, _ := reasonOfAlert(h.alert)
	return r
}

// remoteAlert is the code of an alert that the peer sent.
func remoteAlert(err error) (code byte, ok bool) { return alertIn(err, "remote error") }

// alertIn is the code of the alert in an error of crypto/tls, where op says whose it was. Its type is crypto/tls's own: a byte.
func alertIn(err error, op string) (code byte, ok bool) {
	var e *net.OpError
	if !errors.As(err, &e) || e.Op != op {
		return 0, false
	}
	v := reflect.ValueOf(e.Err)
	if v.Kind() != reflect.Uint8 {
		return 0, false
	}
	return byte(v.Uint()), true
}

// noteLast remembers what the peer said last. In the coroutine.
func (h *shake) noteLast(p []byte) {
	n := len(p)
	if n < alertBytes {
		copy(h.last[:], h.last[n:])
		copy(h.last[alertBytes-n:], p)
		return
	}
	copy(h.last[:], p[n-alertBytes:])
}

// hearPlainAlert takes an alert in plaintext for what it is. OpenSSL's clients, curl and most languages' among them, send it so when they do not trust a
// server's certificate: TLS 1.3 has keys by then, and crypto/tls answers that the record was forged.
func (h *shake) hearPlainAlert() {
	p := h.last
	if code, ok := alertIn(h.err, "local error"); ok && code == alertBadRecordMAC && p[0] == recordAlert && p[1] == 3 && p[3] == 0 && p[4] == 2 {
		h.err = &net.OpError{Op: "remote error", Err: tls.AlertError(p[6])}
	}
}

// plainAlert is the code of an alert among records that are not encrypted; 0 when there is none.
func plainAlert(p []byte) byte {
	for len(p) >= recordHeader {
		n := int(p[3])<<8 | int(p[4])
		if p[0] == recordAlert && n == 2 && len(p) >= recordHeader+2 {
			return p[recordHeader+1]
		}
		p = p[min(len(p), recordHeader+n):]
	}
	return 0
}

// alertBytes is the length of a record with an alert in plaintext.
const alertBytes = recordHeader + 2

// Types of records.
const (
	recordAlert     = 21
	recordHandshake = 22
)

// answer to a question that may need more bytes.
type answer uint8

const (
	no answer = iota
	yes
	perhaps
)

// httpMethods are what a request of a browser or a program begins with.
var httpMethods = [...]string{"GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "PATCH ", "TRACE ", "CONNECT "}

// looksLikeHTTP tells whether a connection's first bytes are those of a request.
func looksLikeHTTP(in []byte) answer {
	found := no
	for _, m := range httpMethods {
		n := min(len(m), len(in))
		if string(in[:n]) == m[:n] {
			if n == len(m) {
				return yes
			}
			found = perhaps
		}
	}
	return found
}
