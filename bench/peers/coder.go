package main

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// newCoder sets coder up as its documentation advises:
//   - Reader and a buffer from a pool instead of Read, which allocates for every message. The buffer is taken when a
//     message has begun, so that an idle connection holds none.
//   - The threshold is 1, so that every message is compressed.
//   - The origin is not checked and the length of messages not limited, as with the other peers.
//   - The upgraded connection runs in a goroutine of its own, so that net/http's request can be collected.
//   - A broadcast is a Write to each: it has no way to frame once.
//
// It compresses at compress/flate's level 1 and with windows of 15 bits, neither of which can be chosen; a client that asks
// for less gets no compression. Its read and write buffers are net/http's, of 4,096 bytes each.
func newCoder(s settings) (http.Handler, error) {
	if s.level != 1 || s.windowBits != 15 || s.readBufSize != 4096 {
		return nil, errors.New("coder has no choice of level, window or read buffer")
	}
	options := &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: coderMode(s.deflate), CompressionThreshold: 1}
	in := newRoom(s.mode, sender[*websocket.Conn]{send: coderSend, prepare: func(opcode byte, p []byte) func(*websocket.Conn) {
		return func(c *websocket.Conn) { coderSend(c, opcode, p) }
	}})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, options)
		if err != nil {
			return // coder has answered the client
		}
		conn.SetReadLimit(-1)
		in.enter(conn)
		go coderRead(in, conn)
	}), nil
}

// coderMode: under takeover each side keeps its context unless the client asks it not to.
func coderMode(mode deflateMode) websocket.CompressionMode {
	switch mode {
	case deflateTakeover, deflateBoth:
		return websocket.CompressionContextTakeover
	case deflateNCT:
		return websocket.CompressionNoContextTakeover
	}
	return websocket.CompressionDisabled
}

var coderBuffers = sync.Pool{New: func() any { return new([]byte) }}

// coderSend: coder closes a connection that cannot be written to, and its Reader then fails.
func coderSend(c *websocket.Conn, opcode byte, p []byte) {
	_ = c.Write(context.Background(), websocket.MessageType(opcode), p)
}

func coderRead(in *room[*websocket.Conn], conn *websocket.Conn) {
	defer conn.CloseNow()
	defer in.leave(conn)
	for coderReadOnce(in, conn) == nil {
	}
}

func coderReadOnce(in *room[*websocket.Conn], conn *websocket.Conn) error {
	kind, r, err := conn.Reader(context.Background())
	if err != nil {
		return err
	}
	buf := coderBuffers.Get().(*[]byte)
	defer coderBuffers.Put(buf)
	if *buf, err = appendAll((*buf)[:0], r); err != nil {
		return err
	}
	in.message(conn, byte(kind), *buf)
	return nil
}
