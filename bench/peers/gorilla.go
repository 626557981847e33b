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
//   - Broadcasts are a PreparedMessage, written to each connection where the message came. That lets a receiver which
//     reads nothing hold up all others; a goroutine for each, as in gorilla's chat example, would cost two switches more.
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
	in := newRoom(s.mode, sender[*turned[*websocket.Conn]]{send: turnedSend[*websocket.Conn], prepare: gorillaPrepare})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // gorilla has answered the client
		}
		if s.deflate == deflateNCT {
			_ = conn.SetCompressionLevel(s.level) // settings.check has made sure of the range
		}
		go turnedRead(in, conn)
	}), nil
}

func gorillaPrepare(opcode byte, p []byte) func(*turned[*websocket.Conn]) {
	prepared, err := websocket.NewPreparedMessage(int(opcode), append([]byte(nil), p...))
	return func(c *turned[*websocket.Conn]) {
		if err != nil {
			return // it was received, so it can be sent: the next read fails where it cannot
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = c.conn.WritePreparedMessage(prepared)
	}
}

// gorillaLike is what gorilla's connection has, and that of fasthttp/websocket, which descends from it.
type gorillaLike interface {
	NextReader() (int, io.Reader, error)
	WriteMessage(kind int, p []byte) error
	Close() error
}

// turned is a connection with the turns that its writers take: gorilla allows one at a time.
type turned[C gorillaLike] struct {
	conn C
	mu   sync.Mutex // for broadcasts, which come from the goroutines of all connections
}

// turnedSend needs no turns: one goroutine alone writes, the connection's own or the one that sends replies.
func turnedSend[C gorillaLike](c *turned[C], opcode byte, p []byte) {
	if c.conn.WriteMessage(int(opcode), p) != nil {
		_ = c.conn.Close() // NextReader fails then
	}
}

// turnedRead reads until the connection ends.
func turnedRead[C gorillaLike](in *room[*turned[C]], conn C) {
	defer conn.Close()
	c := &turned[C]{conn: conn}
	in.enter(c)
	defer in.leave(c)
	var buf []byte
	for {
		kind, r, err := conn.NextReader()
		if err != nil {
			return
		}
		if buf, err = appendAll(buf[:0], r); err != nil {
			return
		}
		in.message(c, byte(kind), buf)
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
