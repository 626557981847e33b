package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
)

// The reasons why connections are not made, as programs count them, and what a person can do about each.

// dialAdvice is for whoever reads the error.
var dialAdvice = map[string]string{
	"not-found":      "is the name right?",
	"refused":        "is the server running, and is this its port?",
	"unreachable":    "this machine has no way there",
	"timeout":        "is the address right, and does no firewall stand in between?",
	"no-ports":       "no local port is left for this target, or a local address is not this machine's: more of ClientOptions.LocalAddrs, or a wider net.ipv4.ip_local_port_range",
	"too-many-files": "this process has all the descriptors that it may have: raise its limit (ulimit -n)",
	"permission":     "this process may not connect there",
	"certificate":    "DialOptions.TLSConfig says whom to trust (RootCAs), and DialOptions.Host or TLSConfig.ServerName for which name",
	"not-tls":        "does the server speak ws there, and not wss?",
	"alpn":           "the server speaks no HTTP/1.1 there, which a WebSocket begins with: another port may",
	"proxy-auth":     "the proxy's URL lacks user and password, or they are wrong",
}

// proxyAdvice is for a proxy, where dialAdvice would speak of the server.
var proxyAdvice = map[string]string{
	"refused":     "is the proxy running, and is this its port?",
	"certificate": "DialOptions.TLSConfig says whom to trust (RootCAs)",
	"not-tls":     "does the proxy speak http there, and not https?",
}

// advice is what a person can do, if nothing says it already: a function of the user's may have dialled with a client of ours.
func (e *DialError) advice() string {
	inner := e.Err
	for next, ok := inner.(*DialError); ok; next, ok = inner.(*DialError) {
		inner = next.Err
	}
	if errors.As(inner, new(*DialError)) {
		return ""
	}
	if advice := proxyAdvice[e.Reason]; e.Op == "proxy" && advice != "" {
		return advice
	}
	return dialAdvice[e.Reason]
}

// farthest are the reasons of addresses in the order of how much they tell: somebody was there; nobody was; we did not get that far.
var farthest = []string{"certificate", "not-tls", "alpn", "refused", "timeout", "permission", "unreachable", "no-ports", "too-many-files", "not-found", "canceled"}

// dialReason is the slug of what happened.
func dialReason(err error) string {
	var tried triedErrors
	if errors.As(err, &tried) {
		return tried.reason()
	}
	var known *DialError
	var slug *reasonError
	var dns *net.DNSError
	switch {
	case errors.As(err, &known):
		return known.Reason
	case errors.As(err, &slug):
		return slug.reason
	case errors.As(err, &dns) && dns.IsNotFound:
		return "not-found"
	case tookTooLong(err):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case isCertificate(err):
		return "certificate"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "not-tls"
	case isALPN(err):
		return "alpn"
	}
	return errnoReason(err)
}

func (t triedErrors) reason() string {
	all := map[string]bool{}
	for _, err := range t {
		all[dialReason(err)] = true
	}
	for _, r := range farthest {
		if all[r] {
			return r
		}
	}
	return "other"
}

func errnoReason(err error) string {
	for _, k := range errnoReasons {
		for _, errno := range k.errnos {
			if errors.Is(err, errno) {
				return k.reason
			}
		}
	}
	return "other"
}

func tookTooLong(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, errConnectTimeout) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &t) && t.Timeout()
}

func isCertificate(err error) bool {
	return errors.As(err, new(*tls.CertificateVerificationError)) || errors.As(err, new(x509.HostnameError)) ||
		errors.As(err, new(x509.UnknownAuthorityError)) || errors.As(err, new(x509.CertificateInvalidError))
}

// isALPN tells whether the two agreed on no protocol over TLS (RFC 7301). crypto/tls says so in words alone.
func isALPN(err error) bool {
	text := err.Error()
	return strings.Contains(text, "tls: no application protocol") || strings.Contains(text, "tls: server selected unadvertised ALPN protocol")
}

// reasonError is an error of ours with its reason.
type reasonError struct{ reason, text string }

func (e *reasonError) Error() string { return e.text }

// failureReason is why a connection never opened, for Stats.DialsFailed and the log.
func failureReason(err error) string {
	var h *HandshakeError
	var d *DialError
	switch {
	case errors.As(err, &h):
		return h.Reason
	case errors.As(err, &d):
		return d.Reason
	}
	return "other"
}

// plainDial takes off what package net says before the system's own words: where it went is told already.
func plainDial(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	var call *os.SyscallError
	if errors.As(op.Err, &call) {
		return call.Err
	}
	return op.Err
}

// advice is what a person can do about a status.
func (e *HandshakeError) advice() string {
	switch e.Status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return fmt.Sprintf(" to %.200q, and redirects are not followed: dial where it leads, if you trust it", e.Header.Get("Location"))
	case http.StatusBadRequest:
		if wantsTLS(e.Body) {
			return ": it speaks TLS there: dial wss, not ws"
		}
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return ": credentials are missing or wrong"
	case http.StatusForbidden:
		return ": it may not allow this Origin, or these credentials"
	case http.StatusNotFound:
		return ": is the path right?"
	case http.StatusUpgradeRequired:
		return ": it wants another version of the protocol, or a proxy on the way has removed Upgrade"
	case http.StatusOK:
		return ": this is a page, not a WebSocket; is the path right?"
	case http.StatusBadGateway:
		return ": the proxy in front of the server does not reach it; does the server run?"
	case http.StatusGatewayTimeout:
		return ": the proxy in front of the server had no answer from it in time"
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if after := e.Header.Get("Retry-After"); after != "" {
			return fmt.Sprintf(": try again after %.100q", after)
		}
		return ": try again later"
	}
	return ""
}

// wantsTLS tells whether a page says that the request came without TLS: net/http's, nginx's and Apache's are known.
func wantsTLS(page []byte) bool {
	for _, words := range [...]string{"HTTP request to an HTTPS server", "plain HTTP request was sent to HTTPS port", "speaking plain HTTP to an SSL-enabled"} {
		if bytes.Contains(page, []byte(words)) {
			return true
		}
	}
	return false
}
