package dom

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// peer is a server's end of one connection that says what a test tells it to: also what no server should.
type peer struct {
	t    testing.TB
	conn net.Conn
	r    *bufio.Reader
	req  *http.Request
}

// peers serves each connection with the script, in a goroutine of its own, and answers the URL. The request is read before.
func peers(t testing.TB, script func(p *peer)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience()))
				p := &peer{t: t, conn: c, r: bufio.NewReader(c)}
				if p.req, err = http.ReadRequest(p.r); err == nil {
					script(p)
				}
			})
		}
	})
	return "ws://" + ln.Addr().String()
}

func (p *peer) write(s string) { _, _ = io.WriteString(p.conn, s) }

// accept answers 101, with lines of the test's own.
func (p *peer) accept(lines ...string) { p.write(p.switching(lines...)) }

func (p *peer) switching(lines ...string) string {
	sum := sha1.Sum([]byte(p.req.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n"
	for _, l := range lines {
		answer += l + "\r\n"
	}
	return answer + "\r\n"
}

func frame(f ws.Frame) string {
	var b strings.Builder
	_ = ws.WriteFrame(&b, f)
	return b.String()
}

func (p *peer) text(s string)   { p.write(frame(ws.NewTextFrame([]byte(s)))) }
func (p *peer) binary(b []byte) { p.write(frame(ws.NewBinaryFrame(b))) }
func (p *peer) close(body string) {
	p.write(frame(ws.NewCloseFrame([]byte(body))))
}

// body is a Close frame's.
func body(code int, reason string) string {
	return string([]byte{byte(code >> 8), byte(code)}) + reason
}

// read reads a frame. At the end it answers "end".
func (p *peer) read() string {
	h, err := ws.ReadHeader(p.r)
	if err != nil || h.Length > 64<<20 {
		return "end"
	}
	if !h.Masked {
		return "unmasked"
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(p.r, payload); err != nil {
		return "end"
	}
	ws.Cipher(payload, h.Mask, 0)
	switch h.OpCode {
	case ws.OpClose:
		if len(payload) < 2 {
			return "close"
		}
		return fmt.Sprintf("close %d %s", int(payload[0])<<8|int(payload[1]), payload[2:])
	case ws.OpText:
		return "text " + string(payload)
	}
	return fmt.Sprintf("%v %x", h.OpCode, payload)
}

// untilEnd reads to the end.
func (p *peer) untilEnd() { _, _ = io.Copy(io.Discard, p.r) }

// reset ends the connection without a Close frame.
func (p *peer) reset() {
	if c, ok := p.conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	p.conn.Close()
}
