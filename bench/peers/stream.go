package main

import (
	"bytes"
	"io"

	"github.com/gobwas/ws"
)

// stream is the WebSocket in the bytes of a connection that a poller reads: the opening handshake, then frames.
type stream struct {
	framer
	open    bool
	request []byte // the handshake's, so far
}

// outbox gathers what one event makes a connection send, so that it leaves in one write.
type outbox struct{ bytes.Buffer }

// maxRequest bounds the opening handshake, in bytes.
const maxRequest = 16 << 10

var endOfRequest = []byte("\r\n\r\n")

// take uses the bytes p, which came, and appends what answers them to out. After an error, or when it says so, the
// connection is to be closed once out has left.
func (s *stream) take(p []byte, k *scratch, out *outbox, message func(opcode byte, p []byte)) (ended bool) {
	if !s.open {
		var ok bool
		if p, ok = s.upgrade(p, out); !ok {
			return true
		}
	}
	err := s.feed(p, k, func(opcode ws.OpCode, p []byte) {
		switch {
		case ended:
		case opcode == ws.OpPing:
			out.frame(byte(ws.OpPong), p)
		case opcode == ws.OpClose:
			out.frame(byte(ws.OpClose), p[:min(2, len(p))])
			ended = true
		case opcode != ws.OpPong:
			message(byte(opcode), p)
		}
	})
	return ended || err != nil
}

// upgrade answers a whole request, and returns what followed it.
func (s *stream) upgrade(p []byte, out *outbox) (rest []byte, ok bool) {
	s.request = append(s.request, p...)
	end := bytes.Index(s.request, endOfRequest)
	if end < 0 {
		return nil, len(s.request) <= maxRequest
	}
	end += len(endOfRequest)
	_, err := ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(s.request[:end]), out})
	rest = s.request[end:]
	s.request, s.open, s.state = nil, err == nil, ws.StateServerSide
	return rest, s.open
}

// frame appends a whole, unmasked frame.
func (o *outbox) frame(opcode byte, p []byte) {
	o.header(opcode, len(p))
	o.Write(p)
}

func (o *outbox) header(opcode byte, length int) {
	var scratch [ws.MaxHeaderSize]byte
	_ = ws.WriteHeaderBuffer(o, ws.Header{Fin: true, OpCode: ws.OpCode(opcode), Length: int64(length)}, scratch[:]) // a buffer takes all
}

// compiled is a frame for several receivers, or for later.
func compiled(opcode byte, p []byte) []byte {
	return ws.MustCompileFrame(ws.NewFrame(ws.OpCode(opcode), true, p))
}
