package netio

import (
	"crypto/tls"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// Transport is the net.Conn beneath a *tls.Conn that can move between blocking I/O and a loop (Secure.Adopt, Secure.Detach). On a
// loop it does not block: reading answers a temporary error, which crypto/tls forgets, and writing takes all.
type Transport struct {
	on    atomic.Pointer[session] // nil: conn carries
	conn  net.Conn                // nil on a loop
	shake *shake                  // on a loop: the handshake that is under way; from phaseOpen on nil
	owed  []byte                  // what the loop has sealed and not sent, for conn before all else
	left  []byte                  // ciphertext that the loop has read, for the first reads of conn
	follower
}

// NewTransport is for c, over which a tls.Conn then blocks.
func NewTransport(c net.Conn) *Transport { return &Transport{conn: c} }

// TransportOf is the transport of a connection that a loop can adopt: a *tls.Conn over a Transport over what has a socket.
func TransportOf(c net.Conn) (t *tls.Conn, over net.Conn, ok bool) {
	if t, ok = c.(*tls.Conn); !ok {
		return nil, nil, false
	}
	transport, ok := t.NetConn().(*Transport)
	if !ok || transport.on.Load() != nil {
		return nil, nil, false
	}
	return t, transport.conn, true
}

// drySocket is what reading an empty socket answers.
type drySocket struct{}

func (drySocket) Error() string   { return "netio: nothing to read yet" }
func (drySocket) Timeout() bool   { return true }
func (drySocket) Temporary() bool { return true }

var errDry net.Error = drySocket{}

// errOnLoop: somebody else uses a connection that a loop carries.
var errOnLoop = errors.New("netio: a loop carries this connection")

// Read is crypto/tls's.
func (t *Transport) Read(p []byte) (n int, err error) {
	switch k := t.on.Load(); {
	case t.shake != nil:
		n, err = t.shake.read(p)
	case k != nil:
		n, err = k.fetch(p)
	case len(t.left) > 0:
		n = copy(p, t.left)
		if t.left = t.left[n:]; len(t.left) == 0 {
			t.left = nil
		}
	default:
		n, err = t.conn.Read(p)
	}
	t.follow(p[:n])
	return n, err
}

// Write is crypto/tls's.
func (t *Transport) Write(p []byte) (int, error) {
	switch k := t.on.Load(); {
	case k == nil && t.owed != nil:
		return t.writeOwed(p)
	case k == nil:
		return t.conn.Write(p)
	case t.shake != nil:
		return t.shake.write(p)
	default:
		k.place(p)
		return len(p), nil
	}
}

func (t *Transport) writeOwed(p []byte) (int, error) {
	if _, err := t.conn.Write(t.owed); err != nil {
		return 0, err
	}
	t.owed = nil
	return t.conn.Write(p)
}

// Close is net.Conn's. On a loop nobody calls it: the engine closes the descriptor.
func (t *Transport) Close() error {
	if t.on.Load() != nil {
		return errOnLoop
	}
	return t.conn.Close()
}

// LocalAddr is net.Conn's.
func (t *Transport) LocalAddr() net.Addr { return t.addr(LocalAddr, net.Conn.LocalAddr) }

// RemoteAddr is net.Conn's.
func (t *Transport) RemoteAddr() net.Addr { return t.addr(PeerAddr, net.Conn.RemoteAddr) }

func (t *Transport) addr(ofSocket func(int) net.Addr, ofConn func(net.Conn) net.Addr) net.Addr {
	k := t.on.Load()
	if k == nil {
		return ofConn(t.conn)
	}
	if _, kernels := k.loop.sys.(*Native); kernels {
		if a := ofSocket(int(k.fd)); a != nil {
			return a
		}
	}
	return &net.TCPAddr{} // a callback of the user's may ask for its text
}

// SetDeadline is net.Conn's. On a loop nothing blocks.
func (t *Transport) SetDeadline(at time.Time) error { return t.set(at, net.Conn.SetDeadline) }

// SetReadDeadline is net.Conn's.
func (t *Transport) SetReadDeadline(at time.Time) error { return t.set(at, net.Conn.SetReadDeadline) }

// SetWriteDeadline is net.Conn's.
func (t *Transport) SetWriteDeadline(at time.Time) error { return t.set(at, net.Conn.SetWriteDeadline) }

func (t *Transport) set(at time.Time, how func(net.Conn, time.Time) error) error {
	if t.on.Load() != nil {
		return nil
	}
	return how(t.conn, at)
}

// NetConn is the connection beneath; nil on a loop.
func (t *Transport) NetConn() net.Conn { return t.conn }

// follower knows where the records of a stream end (RFC 8446 5.1, RFC 5246 6.2.1): each begins with its type, its version and the
// length of what follows.
type follower struct {
	header [recordHeader]byte
	have   uint8 // bytes of the header
	body   int32 // bytes of the record that are missing behind its header
	whole  int32 // records that have come to their end since this was set to 0
}

const recordHeader = 5

// follow looks at bytes that go to crypto/tls. crypto/tls asks for some only when it has opened every whole record that it has.
func (f *follower) follow(p []byte) {
	f.whole = 0
	for len(p) > 0 {
		if f.have < recordHeader {
			n := copy(f.header[f.have:], p)
			p = p[n:]
			if f.have += uint8(n); f.have < recordHeader {
				return
			}
			f.body = int32(f.header[3])<<8 | int32(f.header[4])
		}
		n := min(len(p), int(f.body))
		p = p[n:]
		if f.body -= int32(n); f.body > 0 {
			return
		}
		f.have = 0
		f.whole++
	}
}

// partial is how many bytes of a record there are that has not come to its end.
func (f *follower) partial() int {
	if f.have < recordHeader {
		return int(f.have)
	}
	return recordHeader + int(f.header[3])<<8 + int(f.header[4]) - int(f.body)
}

// strange tells whether crypto/tls refuses the record that is under way by its header: it would wait for nothing more.
func (f *follower) strange() bool {
	const mostExpansion = 2048 // of TLS 1.2 (RFC 5246 6.2.3)
	return f.have == recordHeader && (f.header[1] != 3 || int(f.header[3])<<8|int(f.header[4]) > recordPlain+mostExpansion)
}
