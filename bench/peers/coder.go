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
//
// It compresses at compress/flate's level 1 and with windows of 15 bits, neither of which can be chosen; a client that asks
// for less gets no compression. Its read and write buffers are net/http's, of 4,096 bytes each.
func newCoder(s settings) (http.Handler, error) {
	if s.level != 1 || s.windowBits != 15 || s.readBufSize != 4096 {
		return nil, errors.New("coder has no choice of level, window or read buffer")
	}
	options := &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: coderMode(s.deflate), CompressionThreshold: 1}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, options)
		if err != nil {
			return // coder has answered the client
		}
		conn.SetReadLimit(-1)
		go coderEcho(conn)
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

func coderEcho(conn *websocket.Conn) {
	defer conn.CloseNow()
	for coderEchoOnce(conn) == nil {
	}
}

func coderEchoOnce(conn *websocket.Conn) error {
	ctx := context.Background()
	kind, r, err := conn.Reader(ctx)
	if err != nil {
		return err
	}
	buf := coderBuffers.Get().(*[]byte)
	defer coderBuffers.Put(buf)
	if *buf, err = appendAll((*buf)[:0], r); err != nil {
		return err
	}
	return conn.Write(ctx, kind, *buf)
}
