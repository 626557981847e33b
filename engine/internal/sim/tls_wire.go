package sim

import (
	"net"
	"time"
)

// tlsWire is the transport of a TLSPeer's crypto/tls: memory.
type tlsWire struct {
	in, out []byte
	park    func() (goOn bool) // waits for more, in a handshake; nil behind it
}

// Read implements net.Conn.
func (w *tlsWire) Read(p []byte) (int, error) {
	for len(w.in) == 0 {
		if w.park == nil {
			return 0, errDry
		}
		if !w.park() {
			return 0, ErrParked
		}
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

// Write implements net.Conn.
func (w *tlsWire) Write(p []byte) (int, error) {
	w.out = append(w.out, p...)
	return len(p), nil
}

// Close implements net.Conn.
func (w *tlsWire) Close() error { return nil }

// LocalAddr implements net.Conn.
func (w *tlsWire) LocalAddr() net.Addr { return nil }

// RemoteAddr implements net.Conn.
func (w *tlsWire) RemoteAddr() net.Addr { return nil }

// SetDeadline implements net.Conn.
func (w *tlsWire) SetDeadline(time.Time) error { return nil }

// SetReadDeadline implements net.Conn.
func (w *tlsWire) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline implements net.Conn.
func (w *tlsWire) SetWriteDeadline(time.Time) error { return nil }

// dry is what an empty transport answers behind the handshake. crypto/tls does not latch a temporary net.Error.
type dry struct{}

var errDry net.Error = dry{}

func (dry) Error() string   { return "sim: no more ciphertext yet" }
func (dry) Timeout() bool   { return false }
func (dry) Temporary() bool { return true }
