package connect

import (
	"net"
	"net/netip"
	"regexp"
	"strings"
)

// The address as people type it. With a scheme it is a URL. Without one it is ws where the host is this machine, or a port other than
// 443 is named, and wss everywhere else; wss, too, where an option asks for TLS.

// withScheme is a URL that begins like one: a colon that digits follow comes before a port.
var withScheme = regexp.MustCompile(`(?i)^([a-z][a-z0-9+.-]*://|(wss?|https?):([^0-9]|$))`)

// CompleteAddress makes a URL of an address as people type it: with secure, wss where it names no scheme.
func CompleteAddress(address string, secure bool) string {
	address = strings.TrimSpace(address)
	switch {
	case withScheme.MatchString(address):
		return address
	case isBareIPv6(address):
		address = "[" + address + "]"
	}
	rest := strings.TrimPrefix(address, "//")
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	user, host := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, host = authority[:i+1], authority[i+1:]
	}
	name, port := host, ""
	if h, p, err := net.SplitHostPort(host); err == nil {
		name, port = h, p
	}
	if name == "" && (port != "" || host == "") { // :8080, /path
		host = "localhost" + host
		name = "localhost"
	}
	scheme := "wss://"
	if !secure && (isThisMachine(name) || port != "" && port != "443") {
		scheme = "ws://"
	}
	return scheme + user + host + path
}

func isBareIPv6(address string) bool {
	a, err := netip.ParseAddr(address)
	return err == nil && a.Is6()
}

func isThisMachine(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil && (a.IsLoopback() || a.IsUnspecified())
}
