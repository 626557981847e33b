package handshake

import "bytes"

// origin is a serialized origin taken apart: scheme "://" host [ ":" port ] (RFC 6454 6.1).
type origin struct {
	scheme, host []byte
	port         int // the scheme's default if none is given; 0 if there is no default
}

// parseOrigin takes apart what a browser sends. Anything else, be it as little as a slash at
// the end, is no origin: comparing what is nearly one is how checks get passed. An origin of the
// web has a host; others may have none, as "file://" and "qrc://".
func parseOrigin(b []byte) (o origin, ok bool) {
	scheme, authority, found := bytes.Cut(b, schemeEnd)
	switch {
	case !found || !isScheme(scheme) || !validAuthority(authority):
		return origin{}, false
	case len(authority) == 0:
		return origin{scheme: scheme}, !isWebScheme(scheme)
	}
	host, port := splitPort(authority)
	if len(host) == 0 {
		return origin{}, false
	}
	o = origin{scheme: scheme, host: host, port: defaultPortOf(scheme)}
	if len(host) != len(authority) {
		o.port, ok = portNumber(port)
		return o, ok && o.port > 0 // nothing is served from port 0
	}
	return o, true
}

// isScheme checks RFC 3986 3.1. Extensions and apps have schemes of their own.
func isScheme(b []byte) bool {
	for i, c := range b {
		if !isLetter(c) && (i == 0 || !isDigit(c) && c != '+' && c != '-' && c != '.') {
			return false
		}
	}
	return len(b) > 0
}

func defaultPortOf(scheme []byte) int {
	switch {
	case equalFold(scheme, "http"), equalFold(scheme, "ws"):
		return defaultPort(false)
	case equalFold(scheme, "https"), equalFold(scheme, "wss"):
		return defaultPort(true)
	}
	return 0
}

// SameOrigin tells whether origin, an Origin field's value, is that of a page served from host,
// a Request.Host, by this very server: https if tls, else http; the same host without case; the
// same port, a missing one being the scheme's default. "null" is the same as nothing.
//
// Behind a proxy that ends TLS or rewrites Host the server does not see what the browser saw:
// there the page's origin is named with a Pattern.
func SameOrigin(origin, host []byte, tls bool) bool {
	o, ok := parseOrigin(origin)
	if !ok {
		return false
	}
	scheme := "http"
	if tls {
		scheme = "https"
	}
	name, port := splitPort(host)
	number, given := portNumber(port)
	if !given {
		if len(port) > 0 {
			return false
		}
		number = defaultPort(tls)
	}
	return equalFold(o.scheme, scheme) && equalFold(o.host, name) && o.port == number
}
