package handshake

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// HeaderField is one field of a response.
type HeaderField struct {
	Name, Value string
}

// AppendSwitching appends the whole 101 response (RFC 6455 4.2.2). protocol and extensions are
// what was agreed; an empty one leaves its field out (4.2.2: the server must not send an empty
// one). The caller has made sure that protocol is one that was offered, and that extra passes
// ValidField. Nothing is allocated if dst has room.
func AppendSwitching(dst, key []byte, protocol, extensions string, extra []HeaderField) []byte {
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\n"+
		"Connection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
	dst = append(AcceptKey(dst, key), "\r\n"...)
	if protocol != "" {
		dst = appendField(dst, "Sec-WebSocket-Protocol", protocol)
	}
	if extensions != "" {
		dst = appendField(dst, "Sec-WebSocket-Extensions", extensions)
	}
	for i := range extra {
		dst = appendField(dst, extra[i].Name, extra[i].Value)
	}
	return append(dst, "\r\n"...)
}

// AppendRefusal appends a whole response that ends the connection: status, header, the body
// and its length. The body is text/plain in UTF-8 unless header says otherwise; a 204 or 304
// gets none (RFC 9110 6.4.1). There is no Date, as this package has no clock: a caller that
// has one passes it in header (RFC 9110 6.6.1).
//
// status is one that ValidStatus passes, or 2xx; anything else is a mistake of the caller's
// and panics.
func AppendRefusal(dst []byte, status int, header []HeaderField, body string) []byte {
	if status < 200 || status > 599 {
		panic("handshake: AppendRefusal with a status that is not final")
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, http.StatusText(status)...)
	dst = append(dst, "\r\nConnection: close"...)
	if hasField(header, "Upgrade") {
		dst = append(dst, ", Upgrade"...) // RFC 9110 7.8: whoever sends Upgrade sends this too
	}
	dst = append(dst, "\r\n"...)
	for i := range header {
		dst = appendField(dst, header[i].Name, header[i].Value)
	}
	if status == http.StatusNoContent || status == http.StatusNotModified {
		return append(dst, "\r\n"...)
	}
	if !hasField(header, "Content-Type") {
		dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, body...)
}

func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	dst = append(dst, value...)
	return append(dst, "\r\n"...)
}

func hasField(header []HeaderField, name string) bool {
	for i := range header {
		if equalFold(header[i].Name, name) {
			return true
		}
	}
	return false
}

// ErrField and ErrStatus are what ValidField's and ValidStatus's errors wrap.
var (
	ErrField  = errors.New("handshake: response field not allowed")
	ErrStatus = errors.New("handshake: status does not refuse")
)

// ValidStatus checks a status with which a handler refuses a handshake: 300 to 599.
func ValidStatus(status int) error {
	if status < 300 || status > 599 {
		return fmt.Errorf("%w: %d is not in 300 to 599", ErrStatus, status)
	}
	return nil
}

// ValidField checks a field that a handler adds to a response. The name is a token and none of
// those that the response itself is made of: Upgrade, Connection, Content-Length,
// Transfer-Encoding and all that begin with Sec-WebSocket-. The value has no control character
// but HTAB, so it cannot end its line. The error wraps ErrField.
func ValidField(name, value string) error {
	switch {
	case !isToken([]byte(name)):
		return fmt.Errorf("%w: the name %q is not a token", ErrField, name)
	case isOwnField(name):
		return fmt.Errorf("%w: %s is the handshake's own", ErrField, name)
	case valueEnd([]byte(value), 0) != len(value):
		return fmt.Errorf("%w: the value of %s contains a control character", ErrField, name)
	}
	return nil
}

func isOwnField(name string) bool {
	const prefix = "Sec-WebSocket-"
	if len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix) {
		return true
	}
	for _, own := range [...]string{"Upgrade", "Connection", "Content-Length", "Transfer-Encoding"} {
		if equalFold(name, own) {
			return true
		}
	}
	return false
}
