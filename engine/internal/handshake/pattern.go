package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// ErrPattern is what ParsePattern's errors wrap.
var ErrPattern = errors.New("handshake: bad origin pattern")

// Pattern matches origins. It is made by ParsePattern, never changes, and may be used from any
// goroutine. The zero value matches nothing.
type Pattern struct {
	kind    patternKind
	anyPort bool
	port    int // as in origin
	scheme  string
	host    string // for subdomains with the dot in front: ".example.com"
}

type patternKind uint8

const (
	matchNothing    patternKind = iota
	matchAnything               // *
	matchNull                   // null
	matchHost                   // https://example.com
	matchSubdomains             // https://*.example.com
	matchAnyHost                // https://*
)

// ParsePattern compiles one of
//
//	"*"                      any origin, "null" and an empty one too
//	null                     that of files in most browsers, of sandboxed frames, of data: URLs:
//	                         whoever wants can have it
//	file://                  that of files elsewhere (Cordova, Arduino clients): of any of them
//	https://example.com      that host, at the scheme's default port
//	https://example.com:8443 at that port
//	https://example.com:*    at any port
//	https://*.example.com    one or more labels in front of it, not the host itself
//	https://*                any host
//
// The scheme is always named. Hosts are compared without case, and in the ASCII form in which
// browsers send them: an international name is written as xn--. There is no other wildcard: a
// star is a whole label and the leftmost. An IPv6 address and a default port may be written in
// any of their forms. What no browser ever sends is an error, which wraps ErrPattern and says
// what is wrong.
func ParsePattern(s string) (Pattern, error) {
	switch s {
	case "*":
		return Pattern{kind: matchAnything}, nil
	case "null":
		return Pattern{kind: matchNull}, nil
	}
	scheme, authority, found := strings.Cut(s, "://")
	if !found || !isScheme([]byte(scheme)) {
		return Pattern{}, badPattern(s, "it does not begin with a scheme such as https://")
	}
	p := Pattern{kind: matchHost, scheme: strings.ToLower(scheme)}
	if why := p.schemeFault(authority); why != "" {
		return Pattern{}, badPattern(s, why)
	}
	authority, p.anyPort = strings.CutSuffix(authority, ":*")
	switch {
	case authority == "*" || strings.HasPrefix(authority, "*:"):
		p.kind, authority = matchAnyHost, "any"+authority[1:]
	case strings.HasPrefix(authority, "*."):
		p.kind, authority = matchSubdomains, authority[1:]
	}
	if why := p.setAuthority(authority); why != "" {
		return Pattern{}, badPattern(s, why)
	}
	return p, nil
}

// schemeFault tells why no origin of the scheme can be meant.
func (p *Pattern) schemeFault(authority string) string {
	switch p.scheme {
	case "about", "blob", "data", "javascript":
		return "pages of that scheme send null"
	case "file":
		if authority != "" {
			return "pages from files all have one origin: write file://"
		}
	}
	return ""
}

// setAuthority sets host and port, or tells why no origin has them. parseOrigin is the judge, so
// that a pattern is compared in the very terms in which an origin is read.
func (p *Pattern) setAuthority(authority string) (why string) {
	o, ok := parseOrigin([]byte(p.scheme + "://" + authority))
	if !ok {
		return authorityFault(authority)
	}
	p.host, p.port = string(o.host), o.port
	switch given := len(p.host) != len(authority); {
	case strings.Contains(authority, "*"):
		return starFault
	case p.anyPort && given:
		return "it has two ports"
	case p.anyPort && p.host == "":
		return "without a host it has no port"
	case strings.HasPrefix(p.host, "["):
		p.host = canonicalIPv6(p.host)
		return ""
	case p.kind == matchSubdomains:
		return domainFault(p.host[1:], false)
	case isWebScheme([]byte(p.scheme)):
		return domainFault(p.host, true)
	}
	return ""
}

const starFault = "a star stands for whole labels at the left of the host, or for the port"

// authorityFault says what is wrong with what is no host and port.
func authorityFault(authority string) string {
	host, port := splitPort([]byte(authority))
	switch {
	case strings.IndexFunc(authority, func(r rune) bool { return r > 0x7f }) >= 0:
		return "browsers send an international name in its ASCII form: write it as xn--"
	case strings.Contains(authority, "@"):
		return "an origin has no user name"
	case strings.ContainsAny(authority, "/?#\\"):
		return "an origin ends with its host or port: no slash, no path"
	case strings.Contains(authority, "*"):
		return starFault
	case bytes.IndexByte(host, ':') >= 0 && host[0] != '[':
		return "an IPv6 address stands in brackets"
	case len(host) < len(authority) && validHost(host) && len(host) > 0:
		return fmt.Sprintf("its port %q is not one from 1 to 65535", port)
	}
	return "it is not scheme://host or scheme://host:port, with nothing after it"
}

// domainFault tells why a page's host can not be this name, or address, in a URL of the web. A browser sends an IPv4
// address, however it is written, as four numbers (URL Standard: host parsing), and takes what
// ends in a number for one.
func domainFault(host string, whole bool) string {
	name := strings.ToLower(host)
	if whole {
		name = strings.TrimSuffix(name, ".") // a browser sends it where the user has typed it
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	switch {
	case !areLabels([]byte(name)):
		return "its host is not a domain name"
	case len(name) > 253 || slices.ContainsFunc(strings.Split(name, "."), func(l string) bool { return len(l) > 63 }):
		return "its host is too long: 253 bytes, and 63 for each label, are the most"
	case !isNumber(last):
		return ""
	case !whole:
		return "an address has no subdomains"
	case !validIPv4([]byte(host)):
		return "browsers send an IPv4 address as four decimal numbers"
	}
	return ""
}

// isNumber tells whether a browser reads a host that ends in this label as an IPv4 address.
func isNumber(label string) bool {
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		return all([]byte(hex), inHex)
	}
	return strings.Trim(label, "0123456789") == ""
}

// canonicalIPv6 writes an address in brackets as browsers do (URL Standard: IPv6 serializer), which
// is as RFC 5952 asks, but never with an IPv4 address in it.
func canonicalIPv6(host string) string {
	a, err := netip.ParseAddr(host[1 : len(host)-1])
	if err != nil {
		panic("handshake: an address that was checked is none")
	}
	if b := a.As16(); a.Is4In6() {
		return fmt.Sprintf("[::ffff:%x:%x]", int(b[12])<<8|int(b[13]), int(b[14])<<8|int(b[15]))
	}
	return "[" + a.String() + "]"
}

func badPattern(s, why string) error { return fmt.Errorf("%w %q: %s", ErrPattern, s, why) }

// Match tells whether an Origin field's value is one of those meant. It allocates nothing.
func (p Pattern) Match(origin []byte) bool {
	switch p.kind {
	case matchNothing:
		return false
	case matchAnything:
		return true
	case matchNull:
		return string(origin) == "null"
	}
	o, ok := parseOrigin(origin)
	return ok && equalFold(o.scheme, p.scheme) && (p.anyPort || o.port == p.port) && p.matchHost(o.host)
}

// matchHost anchors at both ends: the suffix begins with a dot and what is before it are whole
// labels, so neither evil-example.com nor a host with an escape in it gets by.
func (p Pattern) matchHost(host []byte) bool {
	switch p.kind {
	case matchAnyHost:
		return len(host) > 0
	case matchSubdomains:
		cut := len(host) - len(p.host)
		return cut > 0 && equalFold(host[cut:], p.host) && areLabels(host[:cut])
	}
	return equalFold(host, p.host)
}

// areLabels checks one or more labels of a DNS name with dots between them.
func areLabels(b []byte) bool {
	for {
		label, rest, more := bytes.Cut(b, dot)
		if len(label) == 0 || !all(label, inLabel) {
			return false
		}
		if !more {
			return true
		}
		b = rest
	}
}

// Patterns is a list of which one must match. The empty list matches nothing.
type Patterns []Pattern

// ParsePatterns compiles a list; the first error ends it.
func ParsePatterns(list ...string) (Patterns, error) {
	patterns := make(Patterns, 0, len(list))
	for _, s := range list {
		p, err := ParsePattern(s)
		if err != nil {
			return nil, err
		}
		patterns = append(patterns, p)
	}
	return patterns, nil
}

// Match tells whether any of them matches.
func (ps Patterns) Match(origin []byte) bool {
	for i := range ps {
		if ps[i].Match(origin) {
			return true
		}
	}
	return false
}
