package handshake

import (
	"bytes"
	"net/netip"
)

// Proxies append to a field who asked them, so that its end is the nearest proxy's word, and its beginning may be anybody's. It is
// read from the end, as far as those are trusted who wrote it; what is before that is not looked at, be it garbage.

// ForwardedField is a field that names the client a proxy forwards for.
type ForwardedField uint8

const (
	// XForwardedFor is X-Forwarded-For: a list of addresses, which no standard describes.
	XForwardedFor ForwardedField = iota + 1
	// Forwarded is RFC 7239's.
	Forwarded
)

// String is the field's name.
func (f ForwardedField) String() string {
	return [...]string{"", "X-Forwarded-For", "Forwarded"}[f]
}

// ForwardedFieldNamed is the field of that name, compared without case; 0 if there is none.
func ForwardedFieldNamed(name string) ForwardedField {
	for f := XForwardedFor; f <= Forwarded; f++ {
		if equalFold([]byte(name), f.String()) {
			return f
		}
	}
	return 0
}

// maxHops is how many proxies are passed at most. There are seldom more than three; whoever is in a trusted network can write down more.
const maxHops = 32

// Client is the client that f names: the first address from its end that is not trusted, or, when all are that can be read,
// the farthest of them. It is invalid if f names none: not at all, or because the nearest proxy does not know (RFC 7239 6.2, 6.3)
// or what it wrote is no address. The port is 0 where f has none. The caller has looked whether the request's own peer is trusted.
func (r *Request) Client(f ForwardedField, trusted func(netip.Addr) bool) (client netip.AddrPort) {
	name, hops := f.String(), 0
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if !equalFold(r.Headers[i].Name, name) {
			continue
		}
		for rest := r.Headers[i].Value; len(rest) > 0; {
			var element []byte
			if element, rest = lastElement(rest, f == Forwarded); len(element) == 0 {
				continue // RFC 9110 5.6.1.2: a recipient ignores empty elements
			}
			if f == Forwarded {
				element = forParameter(element)
			}
			hop, ok := parseNode(element)
			if hops++; !ok || hops > maxHops {
				return client
			}
			if client = hop; !trusted(hop.Addr()) {
				return client
			}
		}
	}
	return client
}

// lastElement cuts the last element off a list. With quotes a comma inside of a quoted string does not count.
func lastElement(list []byte, quotes bool) (element, rest []byte) {
	for i := len(list) - 1; i >= 0; i-- {
		switch {
		case list[i] == ',':
			return trimOWS(list[i+1:]), list[:i]
		case list[i] == '"' && quotes:
			i = openingQuote(list[:i])
		}
	}
	return trimOWS(list), nil
}

// openingQuote is where the quoted string begins whose closing quote is behind b; -1 if it does not. RFC 9110 5.6.4: a quote inside
// is behind a backslash.
func openingQuote(b []byte) int {
	i := bytes.LastIndexByte(b, '"')
	for i > 0 && b[i-1] == '\\' {
		i = bytes.LastIndexByte(b[:i], '"')
	}
	return i
}

// forParameter is the value of an element's "for" (RFC 7239 4: token "=" value, with ";" between them, none twice), or nil.
func forParameter(element []byte) (node []byte) {
	for len(element) > 0 {
		name, rest, found := bytes.Cut(element, equals)
		if !found {
			return nil
		}
		var value []byte
		if value, element, found = cutValue(rest); !found {
			return nil
		}
		if equalFold(trimOWS(name), "for") {
			if node != nil {
				return nil
			}
			node = value
		}
	}
	return node
}

var equals = []byte{'='}

// cutValue cuts a parameter's value, a token or a quoted string, and the semicolon behind it off b.
func cutValue(b []byte) (value, rest []byte, ok bool) {
	if b = trimOWS(b); len(b) == 0 || b[0] != '"' {
		value, rest, _ = bytes.Cut(b, semicolon)
		return trimOWS(value), rest, true
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
			if i < len(b) {
				value = append(value, b[i])
			}
		case '"':
			rest = trimOWS(b[i+1:])
			if len(rest) > 0 && rest[0] != ';' {
				return nil, nil, false
			}
			return value, bytes.TrimPrefix(rest, semicolon), true
		default:
			value = append(value, b[i])
		}
	}
	return nil, nil, false
}

var semicolon, portColon = []byte{';'}, []byte{':'}

// parseNode reads an address with or without a port: an IPv4 one, or an IPv6 one in brackets, or, without a port, one without them. "unknown"
// and obfuscated identifiers (RFC 7239 6.2, 6.3) are no address; an obfuscated port is none. A zone is a name of the
// proxy's, and means nothing here.
func parseNode(b []byte) (node netip.AddrPort, ok bool) {
	const longest = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255%") + 64
	if len(b) == 0 || len(b) > longest {
		return node, false
	}
	host, port, hasPort := b, []byte(nil), false
	if b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return node, false
		}
		host, port = b[1:end], b[end+1:]
		if hasPort = len(port) > 0; hasPort && port[0] != ':' {
			return node, false
		}
		port = bytes.TrimPrefix(port, portColon)
	} else if bytes.Count(b, portColon) == 1 {
		host, port, hasPort = bytes.Cut(b, portColon)
	}
	a, err := netip.ParseAddr(string(host))
	if err != nil || b[0] == '[' && !a.Is6() {
		return node, false
	}
	a = a.WithZone("").Unmap()
	n, valid := portNumber(port)
	if hasPort && !valid && !isObfuscatedPort(port) || a.IsUnspecified() || a.IsMulticast() {
		return node, false
	}
	return netip.AddrPortFrom(a, uint16(n)), true
}

// isObfuscatedPort checks RFC 7239 6: obfport = "_" 1*(ALPHA / DIGIT / "." / "_" / "-").
func isObfuscatedPort(b []byte) bool {
	for i, c := range b {
		if c != '_' && (i == 0 || !isLetter(c) && !isDigit(c) && c != '.' && c != '-') {
			return false
		}
	}
	return len(b) > 1
}

// ForwardedTLS tells what X-Forwarded-Proto says of the client's connection to the first proxy: with several values, the last,
// which the nearest proxy wrote. said is false where it says nothing that can be understood.
func (r *Request) ForwardedTLS() (tls, said bool) {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if !equalFold(r.Headers[i].Name, "X-Forwarded-Proto") {
			continue
		}
		for rest := r.Headers[i].Value; len(rest) > 0; {
			var scheme []byte
			if scheme, rest = lastElement(rest, false); len(scheme) > 0 {
				tls = equalFold(scheme, "https") || equalFold(scheme, "wss")
				return tls, tls || equalFold(scheme, "http") || equalFold(scheme, "ws")
			}
		}
	}
	return false, false
}
