package goclients

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// gobwasConn is a connection upgraded by gobwas/ws whose frames the test writes.
type gobwasConn struct {
	net.Conn
	r io.Reader
}

func gobwasDial(t *testing.T) gobwasConn {
	t.Helper()
	c, _ := gobwasDialWith(t, ws.DefaultDialer)
	return c
}

func gobwasDialWith(t *testing.T, d ws.Dialer) (gobwasConn, ws.Handshake) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testLimit)
	defer cancel()
	conn, early, hs, err := d.Dial(ctx, socketURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(testLimit)); err != nil {
		t.Fatal(err)
	}
	if early == nil { // nothing came with the 101
		early = bufio.NewReader(conn)
	}
	return gobwasConn{conn, early}, hs
}

func (c gobwasConn) send(t *testing.T, f ws.Frame) {
	t.Helper()
	if err := ws.WriteFrame(c, ws.MaskFrame(f)); err != nil {
		t.Fatal(err)
	}
}

// frame reads one frame; none that these tests cause is longer than four mebibytes.
func (c gobwasConn) frame() (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(c.r); err != nil {
		return f, err
	}
	if f.Header.Length > 4<<20 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(c.r, f.Payload)
	return f, err
}

// want reads one frame, which must be whole, unmasked and exactly this.
func (c gobwasConn) want(t *testing.T, op ws.OpCode, payload []byte) {
	t.Helper()
	f, err := c.frame()
	if err != nil {
		t.Fatal(err)
	}
	if !f.Header.Fin || f.Header.Masked || f.Header.Rsv != 0 || f.Header.OpCode != op || !bytes.Equal(f.Payload, payload) {
		t.Fatalf("got %+v with %d bytes, want one unmasked frame of opcode %#x with %d bytes", f.Header, len(f.Payload), op, len(payload))
	}
}

// wantClose reads the Close frame with this code and then the end of the stream: the
// server is the one to close the TCP connection (RFC 6455 7.1.1).
func (c gobwasConn) wantClose(t *testing.T, code ws.StatusCode) {
	t.Helper()
	f, err := c.frame()
	if err != nil {
		t.Fatalf("instead of a Close with %d: %v", code, err)
	}
	got, reason := ws.ParseCloseFrameData(f.Payload)
	if f.Header.OpCode != ws.OpClose || got != code {
		t.Fatalf("opcode %#x, code %d %q; want a Close with %d", f.Header.OpCode, got, reason, code)
	}
	if _, err := c.r.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Fatalf("after the Close: %v, want the end of the stream", err)
	}
}

func TestGobwasEcho(t *testing.T) {
	c := gobwasDial(t)
	for _, size := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
		payload := bytes.Repeat([]byte{0xA5}, size)
		c.send(t, ws.NewBinaryFrame(append([]byte(nil), payload...)))
		c.want(t, ws.OpBinary, payload)
	}
	c.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(3000, "bye")))
	c.wantClose(t, 3000)
}

func TestGobwasControlFramesBetweenFragments(t *testing.T) {
	c := gobwasDial(t)
	c.send(t, ws.NewFrame(ws.OpText, false, []byte("one ")))
	c.send(t, ws.NewPingFrame([]byte("first")))
	c.want(t, ws.OpPong, []byte("first"))
	c.send(t, ws.NewFrame(ws.OpContinuation, false, nil))
	c.send(t, ws.NewPongFrame([]byte("nobody asked")))
	c.send(t, ws.NewFrame(ws.OpContinuation, true, []byte("two")))
	c.want(t, ws.OpText, []byte("one two"))
}

func TestGobwasByteByByte(t *testing.T) {
	c := gobwasDial(t)
	wire := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("¥€🐦"))))
	for i := range wire {
		if _, err := c.Write(wire[i : i+1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	c.want(t, ws.OpText, []byte("¥€🐦"))
}

func TestGobwasHalfCloseAfterCloseIsAnswered(t *testing.T) {
	c := gobwasDial(t)
	c.send(t, ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	c.wantClose(t, 1000)
}

func TestGobwasViolationsGetTheirCode(t *testing.T) {
	rsv := func(r byte) ws.Frame {
		f := ws.NewTextFrame([]byte("hi"))
		f.Header.Rsv = r
		return f
	}
	const protocol, data, tooBig = ws.StatusProtocolError, ws.StatusInvalidFramePayloadData, ws.StatusMessageTooBig
	cases := []struct {
		name   string
		frames []ws.Frame
		code   ws.StatusCode
	}{
		{"RSV1 without deflate", []ws.Frame{rsv(ws.Rsv(true, false, false))}, protocol},
		{"RSV2", []ws.Frame{rsv(ws.Rsv(false, true, false))}, protocol},
		{"RSV3", []ws.Frame{rsv(ws.Rsv(false, false, true))}, protocol},
		{"opcode 3", []ws.Frame{ws.NewFrame(3, true, nil)}, protocol},
		{"opcode 11", []ws.Frame{ws.NewFrame(11, true, nil)}, protocol},
		{"fragmented ping", []ws.Frame{ws.NewFrame(ws.OpPing, false, nil)}, protocol},
		{"ping of 126 bytes", []ws.Frame{ws.NewPingFrame(make([]byte, 126))}, protocol},
		{"continuation of nothing", []ws.Frame{ws.NewFrame(ws.OpContinuation, true, nil)}, protocol},
		{"a message inside a message", []ws.Frame{ws.NewFrame(ws.OpText, false, nil), ws.NewTextFrame(nil)}, protocol},
		{"Close of one byte", []ws.Frame{ws.NewCloseFrame([]byte{3})}, protocol},
		{"Close with 999", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(999, ""))}, protocol},
		{"Close with 1006", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1006, ""))}, protocol},
		{"Close with 5000", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(5000, ""))}, protocol},
		{"invalid UTF-8", []ws.Frame{ws.NewTextFrame([]byte("\xff"))}, data},
		{"a rune cut by the end", []ws.Frame{ws.NewTextFrame([]byte("\xe2\x82"))}, data},
		{"invalid UTF-8 in an unfinished message", []ws.Frame{ws.NewFrame(ws.OpText, false, []byte("a\xc0"))}, data},
		{"a Close reason that is not UTF-8", []ws.Frame{ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "\xff"))}, data},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			c := gobwasDial(t)
			for _, f := range test.frames {
				c.send(t, f)
			}
			c.wantClose(t, test.code)
		})
	}
	raw := []struct {
		name  string
		bytes []byte
		code  ws.StatusCode
	}{
		{"unmasked", []byte{0x81, 0x02, 'h', 'i'}, protocol},
		{"16-bit length of 125", []byte{0x82, 0xFE, 0, 125, 1, 2, 3, 4}, protocol},
		{"64-bit length of 65535", []byte{0x82, 0xFF, 0, 0, 0, 0, 0, 0, 255, 255, 1, 2, 3, 4}, protocol},
		{"64-bit length with the top bit", []byte{0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4}, protocol},
		{"2^31 bytes announced", []byte{0x82, 0xFF, 0, 0, 0, 0, 0x80, 0, 0, 0, 1, 2, 3, 4}, tooBig},
		{"2^62 bytes announced", []byte{0x82, 0xFF, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, tooBig},
	}
	for _, test := range raw {
		t.Run(test.name, func(t *testing.T) {
			c := gobwasDial(t)
			if _, err := c.Write(test.bytes); err != nil {
				t.Fatal(err)
			}
			c.wantClose(t, test.code)
		})
	}
}
