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
// one), and so does an empty date (RFC 9110 6.6.1). The caller has made sure that protocol is
// one that was offered, and that extra passes ValidField; of extra, what describes content is
// left out. Nothing is allocated if dst has room.
func AppendSwitching(dst, key []byte, protocol, extensions, date string, extra []HeaderField) []byte {
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
	dst = appendDate(dst, date, extra)
	for i := range extra {
		if !DescribesContent(extra[i].Name) {
			dst = appendField(dst, extra[i].Name, extra[i].Value)
		}
	}
	return append(dst, "\r\n"...)
}

// Append appends the whole response, which ends the connection: status, header, the body and
// its length. An answer to a HEAD request, and a 304, have none (RFC 9110
// 9.3.2, 15.4.5). date is for the field of that name; "" leaves it out, and one in Header comes
// before it.
//
// The status is 300 to 599; anything else is a mistake of the caller's and panics.
func (r *Refusal) Append(dst []byte, date string, head bool) []byte {
	if ValidStatus(r.Status) != nil {
		panic("handshake: a refusal with a status that does not refuse")
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(r.Status), 10)
	dst = append(dst, ' ')
	dst = append(dst, statusText(r.Status)...)
	dst = append(dst, "\r\n"...)
	dst = appendDate(dst, date, r.Header)
	for name, value := range r.Fields {
		dst = appendField(dst, name, value)
	}
	if !r.HasBody() {
		return append(dst, "\r\n"...)
	}
	dst = append(dst, "Content-Length: "...)
	dst = strconv.AppendInt(dst, int64(r.bodyLen()), 10)
	dst = append(dst, "\r\n\r\n"...)
	if head {
		return dst
	}
	return r.AppendBody(dst)
}

// AppendBody appends the content of the answer: a handler's own as it is, else our sentence.
func (r *Refusal) AppendBody(dst []byte) []byte {
	dst = append(dst, r.Detail...)
	if !r.Given {
		dst = append(dst, sentenceEnd...)
	}
	return dst
}

const sentenceEnd = ".\n"

func (r *Refusal) bodyLen() int {
	if r.Given {
		return len(r.Detail)
	}
	return len(r.Detail) + len(sentenceEnd)
}

// HasBody tells whether the status allows for content: a 304 has none (RFC 9110 15.4.5).
func (r *Refusal) HasBody() bool { return r.Status != http.StatusNotModified }

// Fields are all fields of the answer but Date and Content-Length: those of Header, in order, and what else is due. The last
// Content-Type counts; without one the body is text/plain in UTF-8, and no browser may guess that it is something else,
// because a handler's sentence often repeats what the request said.
func (r *Refusal) Fields(yield func(name, value string) bool) {
	if !yield("Connection", "close") {
		return
	}
	// RFC 9110 7.8: whoever sends Upgrade sends this too. It is a line of its own because net/http looks for "close" in one alone.
	if hasField(r.Header, "Upgrade") && !yield("Connection", "Upgrade") {
		return
	}
	kind := ""
	for i := range r.Header {
		if f := &r.Header[i]; equalFold(f.Name, "Content-Type") {
			kind = f.Value
		} else if !yield(f.Name, f.Value) {
			return
		}
	}
	switch {
	case !r.HasBody():
	case kind != "":
		yield("Content-Type", kind)
	case yield("Content-Type", "text/plain; charset=utf-8") && !hasField(r.Header, "X-Content-Type-Options"):
		yield("X-Content-Type-Options", "nosniff")
	}
}

// statusText is what net/http writes behind the status.
func statusText(status int) string {
	if text := http.StatusText(status); text != "" {
		return text
	}
	return "status code " + strconv.Itoa(status)
}

func appendDate(dst []byte, date string, header []HeaderField) []byte {
	if date == "" || hasField(header, "Date") {
		return dst
	}
	return appendField(dst, "Date", date)
}

// DescribesContent tells whether a field is about the content of a response (RFC 9110 8). A 101 has
// none, so a handler that means it for its refusals may add it before it knows how it decides.
func DescribesContent(name string) bool {
	for _, n := range [...]string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Content-Range", "Content-Disposition"} {
		if equalFold(name, n) {
			return true
		}
	}
	return false
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

// ErrField and ErrStatus are what the errors of ValidField, ValidAskField and ValidStatus wrap.
var (
	ErrField  = errors.New("handshake: field not allowed")
	ErrStatus = errors.New("handshake: status does not refuse")
)

// givenError is what is wrong with something that the user gave. Its text is that alone: the caller says where it was given.
type givenError struct {
	kind error
	text string
}

func given(kind error, format string, args ...any) error {
	return &givenError{kind, fmt.Sprintf(format, args...)}
}

func (e *givenError) Error() string { return e.text }
func (e *givenError) Unwrap() error { return e.kind }

// ValidStatus checks a status with which a handler refuses a handshake: 300 to 599.
func ValidStatus(status int) error {
	if status < 300 || status > 599 {
		return given(ErrStatus, "%d is not in 300 to 599", status)
	}
	return nil
}

// ValidField checks a field that a handler adds to a response. The name is a token and none of
// those that the response itself is made of, or that say where it ends and what becomes of the
// connection: Upgrade, Connection, Keep-Alive, Proxy-Connection, Content-Length,
// Transfer-Encoding, TE, Trailer and all that begin with Sec-WebSocket-. The value has no control character
// but HTAB, so it cannot end its line. The error wraps ErrField.
func ValidField(name, value string) error {
	switch {
	case !isToken([]byte(name)):
		return given(ErrField, "the name %q is not a token", name)
	case isOwnField(name):
		return given(ErrField, "%s is the server's own", name)
	case valueEnd([]byte(value), 0) != len(value):
		return given(ErrField, "the value of %s contains a control character", name)
	}
	return nil
}

// MayBeSet tells whether somebody else than the server may set a field of a response: ValidField's own rule.
func MayBeSet(name string) bool { return !isOwnField(name) }

func isOwnField(name string) bool {
	const prefix = "Sec-WebSocket-"
	if len(name) >= len(prefix) && equalFold(name[:len(prefix)], prefix) {
		return true
	}
	for _, own := range [...]string{
		"Upgrade", "Connection", "Keep-Alive", "Proxy-Connection", "Content-Length", "Transfer-Encoding", "TE", "Trailer",
	} {
		if equalFold(name, own) {
			return true
		}
	}
	return false
}
