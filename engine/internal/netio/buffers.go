package netio

import "net"

// Buffers are the sizes of a socket's buffers in the kernel, in bytes, as SO_SNDBUF and SO_RCVBUF take them; 0 is the system's own.
// They are wishes: the system rounds them and has bounds of its own, so nobody fails for them.
type Buffers struct{ Send, Receive int }

// SetOn sets them on a net.Conn: on the socket beneath, where there is one, also inside a *tls.Conn.
func (b Buffers) SetOn(c net.Conn) {
	if b == (Buffers{}) {
		return
	}
	for t, ok := c.(interface{ NetConn() net.Conn }); ok; t, ok = c.(interface{ NetConn() net.Conn }) {
		c = t.NetConn()
	}
	if s, ok := c.(interface{ SetWriteBuffer(int) error }); ok && b.Send > 0 {
		_ = s.SetWriteBuffer(b.Send)
	}
	if s, ok := c.(interface{ SetReadBuffer(int) error }); ok && b.Receive > 0 {
		_ = s.SetReadBuffer(b.Receive)
	}
}
