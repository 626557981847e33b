package enginetest

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine"
)

// Raw is the end of a connection as bytes: a peer that does what no well-made one would. Whatever fails, or takes longer than Patience,
// fails the test. What it does not read the other end cannot send. One goroutine at a time.
type Raw struct {
	conn net.Conn
	r    *bufio.Reader
	mask bool // it is a client
}

// Frame is a frame as it came.
type Frame struct {
	Op   engine.Opcode
	Fin  bool
	RSV1 bool
	Data []byte
}

// Raw connects to the server, and sends nothing: neither a request.
func (s *Server) Raw(t testing.TB) *Raw {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patienceOf(t))
	defer cancel()
	c, err := s.pipes.dial(ctx, "", "")
	if err != nil {
		t.Fatal("enginetest:", err)
	}
	return newRaw(t, c, true)
}

func newRaw(t testing.TB, c net.Conn, client bool) *Raw {
	w := &Raw{conn: c, r: bufio.NewReader(c), mask: client}
	t.Cleanup(func() { _ = c.Close() })
	return w
}

// Handshake asks a server for a WebSocket at a path, and fails the test unless that answers 101. header may be nil.
func (w *Raw) Handshake(t testing.TB, target string, header http.Header) *http.Response {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: enginetest.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", target)
	_ = header.Write(&b)
	w.Write(t, []byte(b.String()+"\r\n"))
	answer := w.Response(t)
	if answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("enginetest: the handshake was answered %s", answer.Status)
	}
	return answer
}

// Response reads what a server answers to a request, the body included.
func (w *Raw) Response(t testing.TB) *http.Response {
	t.Helper()
	w.soon(t)
	answer, err := http.ReadResponse(w.r, nil)
	if err != nil {
		t.Fatal("enginetest: reading the answer:", err)
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal("enginetest: reading the answer's body:", err)
		}
		answer.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return answer
}

// Write sends bytes as they are.
func (w *Raw) Write(t testing.TB, p []byte) {
	t.Helper()
	w.soon(t)
	if _, err := w.conn.Write(p); err != nil {
		t.Fatal("enginetest: writing:", err)
	}
}

// Frame sends one frame, masked if this is a client.
func (w *Raw) Frame(t testing.TB, op engine.Opcode, fin bool, p []byte) {
	t.Helper()
	if w.mask {
		w.Write(t, codec.AppendMaskedFrame(nil, op, fin, false, [4]byte{1, 2, 3, 4}, p))
		return
	}
	w.Write(t, codec.AppendFrame(nil, op, fin, false, p))
}

// Text sends a text message in one frame.
func (w *Raw) Text(t testing.TB, text string) {
	t.Helper()
	w.Frame(t, engine.OpText, true, []byte(text))
}

// Close sends a Close frame; code 1005 is one without a body. The transport stays.
func (w *Raw) Close(t testing.TB, code int, reason string) {
	t.Helper()
	var body []byte
	if code != engine.StatusNoStatusRcvd {
		body = append([]byte{byte(code >> 8), byte(code)}, reason...)
	}
	w.Frame(t, engine.OpClose, true, body)
}

// Hang ends the transport, without a Close frame.
func (w *Raw) Hang() { _ = w.conn.Close() }

// ReadFrame reads the next frame, unmasked.
func (w *Raw) ReadFrame(t testing.TB) Frame {
	t.Helper()
	w.soon(t)
	f, err := w.readFrame()
	if err != nil {
		t.Fatal("enginetest: reading a frame:", err)
	}
	return f
}

// ReadClose reads frames up to a Close, and answers its code and reason; 1005 if it has none. When the transport ends first it
// answers 1006.
func (w *Raw) ReadClose(t testing.TB) (code int, reason string) {
	t.Helper()
	w.soon(t)
	for {
		f, err := w.readFrame()
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF || err == io.ErrClosedPipe:
			return engine.StatusAbnormalClosure, ""
		case err != nil:
			t.Fatal("enginetest: reading a Close frame:", err)
		case f.Op != engine.OpClose:
		case len(f.Data) < 2:
			return engine.StatusNoStatusRcvd, ""
		default:
			return int(f.Data[0])<<8 | int(f.Data[1]), string(f.Data[2:])
		}
	}
}

// Read reads bytes as they are.
func (w *Raw) Read(t testing.TB, n int) []byte {
	t.Helper()
	w.soon(t)
	p := make([]byte, n)
	if _, err := io.ReadFull(w.r, p); err != nil {
		t.Fatal("enginetest: reading:", err)
	}
	return p
}

func (w *Raw) soon(t testing.TB) { _ = w.conn.SetDeadline(time.Now().Add(patienceOf(t))) }

func (w *Raw) readFrame() (f Frame, err error) {
	var head [2]byte
	if _, err := io.ReadFull(w.r, head[:]); err != nil {
		return f, err
	}
	f.Fin, f.RSV1, f.Op = head[0]&0x80 != 0, head[0]&0x40 != 0, engine.Opcode(head[0]&0x0F)
	n := uint64(head[1] & 0x7F)
	if long := map[uint64]int{126: 2, 127: 8}[n]; long > 0 {
		var b [8]byte
		if _, err := io.ReadFull(w.r, b[:long]); err != nil {
			return f, err
		}
		n = 0
		for _, x := range b[:long] {
			n = n<<8 | uint64(x)
		}
	}
	var key [4]byte
	if masked := head[1]&0x80 != 0; masked {
		if _, err := io.ReadFull(w.r, key[:]); err != nil {
			return f, err
		}
	}
	f.Data = make([]byte, n)
	_, err = io.ReadFull(w.r, f.Data)
	for i := range f.Data {
		f.Data[i] ^= key[i%4]
	}
	return f, err
}

// Listener is a server as bytes, for what a client does with what no well-made server sends.
type Listener struct{ pipes *pipes }

// Listen makes one, which ends with the test.
func Listen(t testing.TB) *Listener {
	l := &Listener{pipes: newPipes()}
	t.Cleanup(func() { _ = l.pipes.Close() })
	return l
}

// DialContext is for engine.ClientOptions: it connects to the Listener, whatever the address.
func (l *Listener) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return l.pipes.dial(ctx, network, addr)
}

// Accept is the next connection that a client makes.
func (l *Listener) Accept(t testing.TB) *Raw {
	t.Helper()
	select {
	case c := <-l.pipes.conns:
		return newRaw(t, c, false)
	case <-time.After(patienceOf(t)):
		t.Fatal("enginetest: no client came")
		return nil
	}
}

// Request reads a client's handshake.
func (w *Raw) Request(t testing.TB) *http.Request {
	t.Helper()
	w.soon(t)
	r, err := http.ReadRequest(w.r)
	if err != nil {
		t.Fatal("enginetest: reading the request:", err)
	}
	return r
}

// Answer reads a client's handshake and answers 101, with fields of the test's own; header may be nil.
func (w *Raw) Answer(t testing.TB, header http.Header) *http.Request {
	t.Helper()
	r := w.Request(t)
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 4.2.2
	var b strings.Builder
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]) + "\r\n")
	_ = header.Write(&b)
	w.Write(t, []byte(b.String()+"\r\n"))
	return r
}
