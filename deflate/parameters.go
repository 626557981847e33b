package deflate

import "strconv"

// The window sizes that can be agreed on, as logarithms to base 2 (RFC 7692 7.1.2).
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// parameters are the four parameters of one element (RFC 7692 7.1). The zero value is an element without any.
type parameters struct {
	serverNoTakeover bool
	clientNoTakeover bool
	serverBits       uint8 // 8 to 15; 0: absent
	clientBits       uint8 // 8 to 15; 0: absent; anyBits: without a value, in an offer
}

// anyBits is client_max_window_bits without a value: the client can be told any (RFC 7692 7.1.2.2).
const anyBits = 1

const (
	serverNoTakeoverName = "server_no_context_takeover"
	clientNoTakeoverName = "client_no_context_takeover"
	serverBitsName       = "server_max_window_bits"
	clientBitsName       = "client_max_window_bits"
)

// set takes one parameter. It returns false for what RFC 7692 7 has a server decline the offer for, and a client fail
// the connection for: an unknown parameter, a value it cannot have, the same name twice.
func (p *parameters) set(name []byte, v value) bool {
	switch string(name) {
	case serverNoTakeoverName: // RFC 7692 7.1.1.1: no value
		return setFlag(&p.serverNoTakeover, v)
	case clientNoTakeoverName: // RFC 7692 7.1.1.2: no value
		return setFlag(&p.clientNoTakeover, v)
	case serverBitsName: // RFC 7692 7.1.2.1: always a value
		return v.given && setBits(&p.serverBits, v)
	case clientBitsName: // RFC 7692 7.1.2.2: a value in an answer, in an offer perhaps
		return setBits(&p.clientBits, v)
	}
	return false
}

func setFlag(to *bool, v value) bool {
	if *to || v.given {
		return false
	}
	*to = true
	return true
}

func setBits(to *uint8, v value) bool {
	n, ok := uint8(anyBits), true
	if v.given {
		n, ok = parseBits(v.text)
	}
	if *to != 0 || !ok {
		return false
	}
	*to = n
	return true
}

// parseBits reads a decimal integer from 8 to 15 without leading zeros (RFC 7692 7.1.2).
func parseBits(s []byte) (uint8, bool) {
	switch {
	case len(s) == 1 && (s[0] == '8' || s[0] == '9'):
		return s[0] - '0', true
	case len(s) == 2 && s[0] == '1' && s[1] >= '0' && s[1] <= '5':
		return 10 + s[1] - '0', true
	}
	return 0, false
}

// appendTo writes the element in the order of RFC 7692's own sections.
func (p parameters) appendTo(b []byte) []byte {
	b = append(b, extensionName...)
	if p.serverNoTakeover {
		b = append(append(b, "; "...), serverNoTakeoverName...)
	}
	if p.clientNoTakeover {
		b = append(append(b, "; "...), clientNoTakeoverName...)
	}
	b = appendBits(b, serverBitsName, p.serverBits)
	return appendBits(b, clientBitsName, p.clientBits)
}

func appendBits(b []byte, name string, n uint8) []byte {
	if n == 0 {
		return b
	}
	b = append(append(b, "; "...), name...)
	if n == anyBits {
		return b
	}
	return strconv.AppendUint(append(b, '='), uint64(n), 10)
}
