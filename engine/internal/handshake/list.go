package handshake

import (
	"bytes"
	"errors"
	"slices"
)

// nextElement cuts the first non-empty element off a comma-separated list (RFC 9110 5.6.1).
// Empty elements are skipped, as a recipient must; element is empty only when the list is at
// its end. It knows nothing of quoted strings, which Connection, Upgrade and
// Sec-WebSocket-Protocol cannot hold.
func nextElement(list []byte) (element, rest []byte) {
	for len(list) > 0 {
		element, rest, _ = bytes.Cut(list, comma)
		if element = trimOWS(element); len(element) > 0 {
			return element, rest
		}
		list = rest
	}
	return nil, nil
}

var comma = []byte{','}

// listHas tells whether the list holds name, compared without case.
func listHas(list []byte, name string) bool {
	for {
		var element []byte
		if element, list = nextElement(list); len(element) == 0 {
			return false
		}
		if equalFold(element, name) {
			return true
		}
	}
}

// ErrProtocols is what ValidProtocols' errors wrap.
var ErrProtocols = errors.New("handshake: bad list of sub-protocols")

// ValidProtocols checks the sub-protocols that a server speaks: tokens (RFC 6455 4.1), each once, and no more than a request
// may offer.
func ValidProtocols(list []string) error {
	if len(list) > maxProtocols {
		return given(ErrProtocols, "%d are more than %d", len(list), maxProtocols)
	}
	for i, p := range list {
		if !isToken([]byte(p)) {
			return given(ErrProtocols, "%q is not a token (letters, digits and !#$%%&'*+-.^_`|~)", p)
		}
		if slices.Contains(list[:i], p) {
			return given(ErrProtocols, "%q is there twice", p)
		}
	}
	return nil
}
