package handshake

import "encoding/base64"

// Ask is a client's opening handshake (RFC 6455 4.1). The caller has made sure that Target, Host and Origin are what a
// request line and fields can hold, that each of Protocols is a token and no two are equal, and that
// Extra passes ValidAskField.
type Ask struct {
	Target string // path and query
	Host   string
	Key    []byte // as AppendKey makes it
	Origin string // "": no such field
	// Protocols are offered in this order; none: no such field.
	Protocols  []string
	Extensions string // "": no such field
	Extra      []HeaderField
}

// AppendAsk appends the whole request. Nothing is allocated if dst has room.
func AppendAsk(dst []byte, a *Ask) []byte {
	dst = append(dst, "GET "...)
	dst = append(dst, a.Target...)
	dst = append(dst, " HTTP/1.1\r\n"...)
	dst = appendField(dst, "Host", a.Host)
	dst = append(dst, "Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\n"+
		"Sec-WebSocket-Key: "...)
	dst = append(append(dst, a.Key...), "\r\n"...)
	if a.Origin != "" {
		dst = appendField(dst, "Origin", a.Origin)
	}
	for i, p := range a.Protocols {
		if i == 0 {
			dst = append(dst, "Sec-WebSocket-Protocol: "...)
		} else {
			dst = append(dst, ", "...)
		}
		dst = append(dst, p...)
	}
	if len(a.Protocols) > 0 {
		dst = append(dst, "\r\n"...)
	}
	if a.Extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", a.Extensions)
	}
	for i := range a.Extra {
		dst = appendField(dst, a.Extra[i].Name, a.Extra[i].Value)
	}
	return append(dst, "\r\n"...)
}

// AppendKey appends a Sec-WebSocket-Key: 16 bytes, of a CSPRNG's and new for each connection, in base64.
func AppendKey(dst []byte, nonce *[16]byte) []byte {
	return base64.StdEncoding.AppendEncode(dst, nonce[:])
}

// ValidAskField checks a field that a caller adds to the request: it is one that ValidField passes, in ASCII (RFC 9110 5.5), and neither
// the Host nor the Origin, which have options of their own, nor one that is for a proxy. The error wraps ErrField.
func ValidAskField(name, value string) error {
	switch {
	case equalFold(name, "Host") || equalFold(name, "Origin"):
		return given(ErrField, "%s has an option of its own", name)
	case equalFold(name, "Proxy-Authorization"):
		return given(ErrField, "%s would go to the server: a proxy gets the user and password of its URL", name)
	case isOwnField(name):
		return given(ErrField, "%s is the handshake's own", name)
	case !isASCII(value):
		return given(ErrField, "the value of %s is not ASCII", name)
	}
	return ValidField(name, value)
}

// ValidValue tells whether a field of the request can hold s.
func ValidValue(s string) bool { return isASCII(s) && valueEnd([]byte(s), 0) == len(s) }

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// ValidHost tells whether s can be a Host field: a host, and perhaps a port.
func ValidHost(s string) bool { return s != "" && isASCII(s) && validAuthority([]byte(s)) }
