package main

import (
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// newGorilla sets gorilla up for many connections, as its package documentation advises:
//   - A WriteBufferPool, so that an idle connection holds no write buffer.
//   - Each connection reads into a slice that it keeps. ReadMessage would allocate for every message, and
//     the slice lets long payloads go from the socket to it without passing through the read buffer.
//   - WriteMessage, its fast path: without compression it writes one frame and allocates nothing.
//   - The upgraded connection runs in a goroutine of its own, so that net/http's request can be collected.
//   - Compression: level 1 is gorilla's default. It has no context takeover and no choice of window (15 bits).
func newGorilla(s settings) (http.Handler, error) {
	if s.deflate == deflateTakeover || s.deflate == deflateBoth {
		return nil, errors.New("gorilla has no context takeover: use -deflate nct")
	}
	if s.windowBits != 15 {
		return nil, errors.New("gorilla has no choice of window")
	}
	upgrader := &websocket.Upgrader{
		ReadBufferSize:    s.readBufSize,
		WriteBufferSize:   4096,
		WriteBufferPool:   &sync.Pool{},
		EnableCompression: s.deflate == deflateNCT,
		CheckOrigin:       func(*http.Request) bool { return true },
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // gorilla has answered the client
		}
		if s.deflate == deflateNCT {
			_ = conn.SetCompressionLevel(s.level) // settings.check has made sure of the range
		}
		go gorillaEcho(conn)
	}), nil
}

func gorillaEcho(conn *websocket.Conn) {
	defer conn.Close()
	var buf []byte
	for {
		op, r, err := conn.NextReader()
		if err != nil {
			return
		}
		if buf, err = appendAll(buf[:0], r); err != nil {
			return
		}
		if err := conn.WriteMessage(op, buf); err != nil {
			return
		}
	}
}

// appendAll reads r to its end into dst's spare room, growing dst as append does.
func appendAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}
