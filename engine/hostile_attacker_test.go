package engine

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// attacker is a client that speaks bytes, so that it can say anything. What it writes is
// made here, without package codec: the two must not agree on one mistake.
type attacker struct {
	net.Conn
	r *bufio.Reader
}

const attackerKey = "dGhlIHNhbXBsZSBub25jZQ=="

// requestFor is an opening handshake for a path, with further header lines.
func requestFor(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: victim.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: " + attackerKey + "\r\nSec-WebSocket-Version: 13\r\n" +
		strings.Join(append(lines, ""), "\r\n") + "\r\n"
}

// knock connects and says nothing yet.
func knock(t testing.TB, network, addr string) *attacker {
	t.Helper()
	nc, err := connectTo(t, new(net.Dialer), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(30)))
	t.Cleanup(func() { _ = nc.Close() })
	return &attacker{nc, bufio.NewReader(nc)}
}

func newReader(nc net.Conn) *bufio.Reader { return bufio.NewReader(nc) }

// attack connects and finishes the opening handshake.
func attack(t testing.TB, s *Server) *attacker {
	t.Helper()
	return attackAt(t, s, "/echo")
}

func attackAt(t testing.TB, s *Server, path string) *attacker {
	t.Helper()
	a := knock(t, s.Addr().Network(), s.Addr().String())
	a.say(t, requestFor(path))
	a.expect101(t)
	return a
}

func (a *attacker) upgrade(t testing.TB) {
	t.Helper()
	a.say(t, requestFor("/echo"))
	a.expect101(t)
}

func (a *attacker) expect101(t testing.TB) {
	t.Helper()
	r, err := http.ReadResponse(a.r, nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal("no 101: ", r, err)
	}
}

// say writes bytes, all of which the server takes.
func (a *attacker) say(t testing.TB, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if _, err := io.WriteString(a, p); err != nil {
			t.Fatal(err)
		}
	}
}

// try writes bytes to a server that may hang up meanwhile.
func (a *attacker) try(b []byte) bool {
	_, err := a.Write(b)
	return err == nil
}

// reset ends the connection with an RST.
func (a *attacker) reset() {
	if tc := under(a.Conn); tc != nil {
		_ = tc.SetLinger(0)
		_ = tc.Close() // without a word of TLS either
	}
	_ = a.Close()
}

// halfClose ends the attacker's half of the stream.
func (a *attacker) halfClose(t testing.TB) {
	t.Helper()
	if err := endsSpeech(a.Conn); err != nil {
		t.Fatal(err)
	}
}

// heard is one frame from the server.
type heard struct {
	op      byte
	fin     bool
	payload []byte
}

// hear reads one frame, and refuses what no server may send.
func (a *attacker) hear() (heard, error) {
	var h [2]byte
	if _, err := io.ReadFull(a.r, h[:]); err != nil {
		return heard{}, err
	}
	n := uint64(h[1] & 0x7f)
	if more := map[uint64]int{126: 2, 127: 8}[n]; more != 0 {
		var b [8]byte
		if _, err := io.ReadFull(a.r, b[8-more:]); err != nil {
			return heard{}, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 || n > 1<<31 {
		return heard{}, fmt.Errorf("a server sent the header % x", h)
	}
	f := heard{h[0] & 15, h[0]&0x80 != 0, make([]byte, n)}
	_, err := io.ReadFull(a.r, f.payload)
	return f, err
}

// expectClose reads up to the Close frame, checks its code, and that the stream ends behind it.
func (a *attacker) expectClose(t testing.TB, code int) {
	t.Helper()
	for {
		f, err := a.hear()
		if err != nil {
			t.Fatalf("wanted Close %d, got %v", code, err)
		}
		if f.op != 8 {
			continue
		}
		got := 1005
		if len(f.payload) >= 2 {
			got = int(binary.BigEndian.Uint16(f.payload))
		}
		if got != code {
			t.Fatalf("Close %d %q, want %d", got, f.payload, code)
		}
		break
	}
	if n, err := a.r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("after the Close: %d bytes, %v", n, err)
	}
}

// isReset tells whether an error is the peer's RST.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// expectStatus reads an HTTP answer, and that the stream ends behind it.
func (a *attacker) expectStatus(t testing.TB, status int) *http.Response {
	t.Helper()
	r, err := http.ReadResponse(a.r, nil)
	if err != nil {
		t.Fatalf("wanted status %d, got %v", status, err)
	}
	body, err := io.ReadAll(r.Body)
	if r.StatusCode != status || err != nil {
		t.Fatalf("status %d (%q, %v), want %d", r.StatusCode, body, err, status)
	}
	if status != http.StatusSwitchingProtocols {
		if n, err := a.r.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after the answer: %d bytes, %v", n, err)
		}
	}
	return r
}

var attackerMask = [4]byte{0x9e, 0x37, 0x79, 0xb9}

// maskedFrame is a frame with the shortest length field.
func maskedFrame(first byte, payload []byte) []byte {
	return append(frameHead(first, uint64(len(payload))), masked(payload)...)
}

// frameHead is the header of a masked frame that announces n bytes.
func frameHead(first byte, n uint64) []byte {
	switch {
	case n < 126:
		return append([]byte{first, 0x80 | byte(n)}, attackerMask[:]...)
	case n < 1<<16:
		return append(binary.BigEndian.AppendUint16([]byte{first, 0xfe}, uint16(n)), attackerMask[:]...)
	}
	return longHead(first, n)
}

// longHead announces n in eight bytes, whether or not it needs them.
func longHead(first byte, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{first, 0xff}, n), attackerMask[:]...)
}

func masked(p []byte) []byte {
	out := make([]byte, len(p))
	for i := range p {
		out[i] = p[i] ^ attackerMask[i%4]
	}
	return out
}

// endings counts what became of a server's connections, by path.
type endings struct {
	mu     sync.Mutex
	opened map[string]int
	closed map[string][]CloseEvent
}

// watching returns h with its Open and Close noted as well.
func watching(h Funcs) (Funcs, *endings) {
	e := &endings{opened: map[string]int{}, closed: map[string][]CloseEvent{}}
	open, closed := h.Open, h.Close
	h.Open = func(c *Conn) {
		e.mu.Lock()
		e.opened[pathOf(c)]++
		e.mu.Unlock()
		if open != nil {
			open(c)
		}
	}
	h.Close = func(c *Conn, ev CloseEvent) {
		e.mu.Lock()
		e.closed[pathOf(c)] = append(e.closed[pathOf(c)], ev)
		e.mu.Unlock()
		if closed != nil {
			closed(c, ev)
		}
	}
	return h, e
}

func pathOf(c *Conn) string {
	_, rest, _ := strings.Cut(c.URL(), "://")
	return rest[strings.IndexByte(rest, '/'):]
}

// of is how often a path's connections opened, and how they closed.
func (e *endings) of(path string) (opened int, closed []CloseEvent) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.opened[path], append([]CloseEvent(nil), e.closed[path]...)
}

// total is how many connections of all paths opened and closed.
func (e *endings) total() (opened, closed int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, n := range e.opened {
		opened += n
	}
	for _, c := range e.closed {
		closed += len(c)
	}
	return opened, closed
}

// reset forgets what was counted, for another try of the same attack.
func (e *endings) reset() {
	e.mu.Lock()
	defer e.mu.Unlock()
	clear(e.opened)
	clear(e.closed)
}

// one is a path's only CloseEvent.
func (e *endings) one(t testing.TB, path string) CloseEvent {
	t.Helper()
	if !eventually(timeoutOf(10), func() bool { _, c := e.of(path); return len(c) > 0 }) {
		t.Errorf("no OnClose for %s", path)
		return CloseEvent{}
	}
	if n, c := e.of(path); n != 1 || len(c) != 1 {
		t.Errorf("%s: OnOpen %d times, OnClose %d times", path, n, len(c))
	}
	_, c := e.of(path)
	return c[0]
}

// quietLogger is for tests whose handlers panic on purpose.
var quietLogger = slog.New(slog.DiscardHandler)
