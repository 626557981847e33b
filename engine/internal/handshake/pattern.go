package handshake

import (
	"bytes"
	"errors"
	"fmt"
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
//   - any origin, "null" too
//     null                     the origin of sandboxed frames, files and data: URLs
//     https://example.com      that host, at the scheme's default port
//     https://example.com:8443 at that port
//     https://example.com:*    at any port
//     https://*.example.com    one or more labels in front of it, not the host itself
//     https://*                any host
//
// The scheme is always named. Hosts are compared without case, and in the ASCII form in which
// browsers send them: an international name is written as xn--. There is no other wildcard: a
// star is a whole label and the leftmost. The error wraps ErrPattern and says what is wrong.
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
	p := Pattern{kind: matchHost, scheme: scheme}
	authority, p.anyPort = strings.CutSuffix(authority, ":*")
	switch {
	case authority == "*" || strings.HasPrefix(authority, "*:"):
		p.kind, authority = matchAnyHost, "any"+authority[1:]
	case strings.HasPrefix(authority, "*."):
		p.kind, authority = matchSubdomains, authority[1:]
	}
	if strings.Contains(authority, "*") {
		return Pattern{}, badPattern(s, "a star stands for whole labels at the left of the host, or for the port")
	}
	return p.withAuthority(s, authority)
}

// withAuthority sets host and port. It lets parseOrigin be the judge, so that a pattern is
// compared in the very terms in which an origin is read.
func (p Pattern) withAuthority(s, authority string) (Pattern, error) {
	o, ok := parseOrigin([]byte(p.scheme + "://" + authority))
	if !ok {
		return Pattern{}, badPattern(s, "it is not scheme://host or scheme://host:port, with nothing after it")
	}
	p.host, p.port = string(o.host), o.port
	if p.anyPort && len(p.host) != len(authority) {
		return Pattern{}, badPattern(s, "it has two ports")
	}
	if p.kind == matchSubdomains && !areLabels([]byte(p.host[1:])) {
		return Pattern{}, badPattern(s, "what follows the star is not a domain name")
	}
	return p, nil
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
		return true
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
