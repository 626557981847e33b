package main

import (
	"net"
	"sync"

	"github.com/fasthttp/websocket"
	"github.com/valyala/fasthttp"
)

// serveFasthttp sets fasthttp/websocket up like gorilla, from which it descends, behind a fasthttp server with its
// defaults. The connection stays in the goroutine that fasthttp hands it over in: that one is a worker which fasthttp uses again.
func serveFasthttp(s settings, addr string, up func(net.Addr)) error {
	if s.deflate != deflateNone {
		return s.plain("fasthttp")
	}
	upgrader := &websocket.FastHTTPUpgrader{
		ReadBufferSize:  s.readBufSize,
		WriteBufferSize: 4096,
		WriteBufferPool: &sync.Pool{},
		CheckOrigin:     func(*fasthttp.RequestCtx) bool { return true },
	}
	in := newRoom(s.mode, sender[*turned[*websocket.Conn]]{send: turnedSend[*websocket.Conn], prepare: fasthttpPrepare})
	server := &fasthttp.Server{Handler: func(ctx *fasthttp.RequestCtx) {
		_ = upgrader.Upgrade(ctx, func(conn *websocket.Conn) { turnedRead(in, conn) }) // an error has been answered
	}}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	up(listener.Addr())
	if s.cert != "" {
		return server.ServeTLS(listener, s.cert, s.key)
	}
	return server.Serve(listener)
}

func fasthttpPrepare(opcode byte, p []byte) func(*turned[*websocket.Conn]) {
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
