package netio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// dropBuffers gives back the memory of a tls.Conn's buffers in which nothing lies: what its handshake needed. Under mu.
func (k *session) dropBuffers() {
	at := k.loop.fields
	if !at.proved {
		return
	}
	raw, hand, input := at.of(k.tls)
	if input.Len() == 0 && raw.Len() == 0 && hand.Len() == 0 {
		*raw, *hand, *input = bytes.Buffer{}, bytes.Buffer{}, bytes.Reader{}
	}
}

// takeStock finds out what a tls.Conn holds that others have used. Under mu.
func (k *session) takeStock() {
	at := k.loop.fields
	if !at.proved {
		k.plain, k.records = true, max(k.transport.whole, 1) // Read finds out
		return
	}
	raw, _, input := at.of(k.tls)
	k.plain, k.records = input.Len() > 0, 0
	if raw.Len() > k.transport.partial() || k.transport.strange() {
		k.records = max(k.transport.whole, 1)
	}
}

// fields is where a tls.Conn has what it reads: rawInput, the records that have arrived; hand, the handshake's messages; and input, a record's
// plaintext, which lies in rawInput's memory. They grow to the longest that came, and stay.
type fields struct {
	raw, hand, input uintptr
	proved           bool
}

func (f fields) of(t *tls.Conn) (raw, hand *bytes.Buffer, input *bytes.Reader) {
	p := unsafe.Pointer(t)
	return (*bytes.Buffer)(unsafe.Add(p, f.raw)), (*bytes.Buffer)(unsafe.Add(p, f.hand)), (*bytes.Reader)(unsafe.Add(p, f.input))
}

// tlsFields finds the fields, which crypto/tls does not export. To read them by their names and types is a guess about another's package, so it
// is believed only when a tls.Conn was seen to use them so; otherwise crypto/tls reads into its own buffers, and keeps them.
var tlsFields = sync.OnceValue(func() (f fields) {
	if !f.find(reflect.TypeFor[tls.Conn]()) {
		return fields{}
	}
	f.proved = f.prove()
	return f
})

// ioFields are the last fields of a tls.Conn: all that it reads and writes with. Where there are others, what is known of these is nothing worth.
var ioFields = [...]string{"in", "out", "rawInput", "input", "hand", "buffering", "sendBuf", "bytesSent", "packetsSent", "retryCount", "activeCall", "tmp"}

// find looks for the fields in conn, which is tls.Conn but in tests.
func (f *fields) find(conn reflect.Type) bool {
	for i, name := range ioFields {
		at := conn.NumField() - len(ioFields) + i
		if at < 0 || conn.Field(at).Name != name {
			return false
		}
	}
	for _, want := range [...]struct {
		name string
		kind reflect.Type
		at   *uintptr
	}{
		{"rawInput", reflect.TypeFor[bytes.Buffer](), &f.raw},
		{"hand", reflect.TypeFor[bytes.Buffer](), &f.hand},
		{"input", reflect.TypeFor[bytes.Reader](), &f.input},
	} {
		field, _ := conn.FieldByName(want.name)
		if field.Type != want.kind {
			return false
		}
		*want.at = field.Offset
	}
	return true
}

// prove has a server read a whole record with the beginning of a message, and the beginning of a record: the message has to lie in
// hand, the record in rawInput. input is a reader in which nothing lies, and is replaced only while that is so.
func (f *fields) prove() bool {
	message := []byte{1, 0, 1, 0, 3, 3} // a ClientHello of 256 bytes
	partial := []byte{recordHandshake, 3, 1, 0, 9, 7}
	stream := append([]byte{recordHandshake, 3, 1, 0, byte(len(message))}, message...)
	t := tls.Server(&tape{bytes.NewReader(append(stream, partial...))}, &tls.Config{})
	if err := t.Handshake(); !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	raw, hand, input := f.of(t)
	return bytes.Equal(hand.Bytes(), message) && bytes.Equal(raw.Bytes(), partial) && input.Len() == 0
}

// tape is a net.Conn that brings a few bytes.
type tape struct{ *bytes.Reader }

func (*tape) Write(p []byte) (int, error)      { return len(p), nil }
func (*tape) Close() error                     { return nil }
func (*tape) LocalAddr() net.Addr              { return nil }
func (*tape) RemoteAddr() net.Addr             { return nil }
func (*tape) SetDeadline(time.Time) error      { return nil }
func (*tape) SetReadDeadline(time.Time) error  { return nil }
func (*tape) SetWriteDeadline(time.Time) error { return nil }
