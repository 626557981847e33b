package handshake

import (
	"bytes"
	"strconv"
)

// validTarget checks a request target (RFC 9112 3.2): origin-form, absolute-form of an http or
// ws URL, or the "*" of OPTIONS. CONNECT's authority-form is for proxies. A fragment is never
// sent; it and white space are the octets that two readers would understand differently.
func validTarget(method, target []byte) bool {
	if len(target) == 0 || !all(target, inTarget) {
		return false
	}
	if target[0] == '/' {
		return true
	}
	if string(target) == "*" {
		return string(method) == "OPTIONS"
	}
	authority, _, ok := splitAbsolute(target)
	// A URL of these schemes has a host (RFC 9110 4.2.1); user information is refused because
	// "@" is part of no host (4.2.4).
	return ok && len(authority) > 0 && authority[0] != ':' && validAuthority(authority)
}

// splitAbsolute takes an absolute-form target apart. rest is the path and query, or what there
// is of them.
func splitAbsolute(target []byte) (authority, rest []byte, ok bool) {
	if len(target) == 0 || target[0] == '/' {
		return nil, nil, false
	}
	scheme, after, found := bytes.Cut(target, schemeEnd)
	if !found || !isWebScheme(scheme) {
		return nil, nil, false
	}
	end := bytes.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	return after[:end:end], after[end:], true
}

var schemeEnd = []byte("://")

func isWebScheme(b []byte) bool {
	return equalFold(b, "http") || equalFold(b, "https") || equalFold(b, "ws") || equalFold(b, "wss")
}

// AppendURL appends the absolute URL that a request was made to: ws or wss, the host in lower
// case without the scheme's default port, and path and query as they came, with the octets
// percent-encoded that the URL Standard would not leave bare there. An absolute-form target's
// own scheme and host are dropped; Request.Host holds its host already. Nothing is allocated if
// dst has room for len(host) + 3*len(target) + 7 bytes.
func AppendURL(dst []byte, tls bool, host, target []byte) []byte {
	name, port := splitPort(host)
	if tls {
		dst = append(dst, "wss://"...)
	} else {
		dst = append(dst, "ws://"...)
	}
	for _, c := range name {
		dst = append(dst, lower(c))
	}
	if number, ok := portNumber(port); ok && number != defaultPort(tls) {
		dst = strconv.AppendInt(append(dst, ':'), int64(number), 10)
	}
	return appendPathQuery(dst, target)
}

func appendPathQuery(dst, target []byte) []byte {
	if _, rest, ok := splitAbsolute(target); ok {
		target = rest
	}
	if len(target) == 0 || target[0] != '/' {
		dst = append(dst, '/')
	}
	const hex = "0123456789ABCDEF"
	escape := uint8(escapePath)
	for _, c := range target {
		if c == '?' {
			escape = escapeQuery
		}
		if octets[c]&escape == 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
