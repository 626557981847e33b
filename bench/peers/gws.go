package main

import (
	"net/http"

	"github.com/lxzan/gws"
)

// newGws follows the "Best Practice" section of gws's README, and deviates from it only where that makes
// gws faster:
//   - ParallelEnabled stays off: it starts a goroutine per message, which an echo does not need.
//   - Recovery stays off: it adds a deferred recover to each message.
//   - No SetDeadline: a deadline is a timer per connection and ping.
//   - ReadLoop gets a goroutine of its own, so that net/http's request and buffers can be collected.
//   - Broadcasts are its Broadcaster's, which frames once and writes from a goroutine of each connection.
//   - Compression: level 1 is gws's default; the threshold is 1, so that every message is compressed, and
//     the windows are what -window says (gws's own choice under takeover would be 12), so that all servers do equal work.
func newGws(s settings) (http.Handler, error) {
	handler := &gwsHandler{room: newRoom(s.mode, sender[*gws.Conn]{send: gwsSend, prepare: gwsPrepare})}
	upgrader := gws.NewUpgrader(handler, &gws.ServerOption{
		ReadBufferSize: s.readBufSize,
		PermessageDeflate: gws.PermessageDeflate{
			Enabled:               s.deflate != deflateNone,
			Level:                 s.level,
			Threshold:             1,
			ServerContextTakeover: s.deflate == deflateTakeover || s.deflate == deflateBoth,
			ClientContextTakeover: s.deflate == deflateBoth,
			ServerMaxWindowBits:   s.windowBits,
			ClientMaxWindowBits:   s.windowBits,
		},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r)
		if err != nil {
			return // gws has answered the client
		}
		go conn.ReadLoop()
	}), nil
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	room *room[*gws.Conn]
}

func (h *gwsHandler) OnOpen(c *gws.Conn)           { h.room.enter(c) }
func (h *gwsHandler) OnClose(c *gws.Conn, _ error) { h.room.leave(c) }

func (h *gwsHandler) OnPing(c *gws.Conn, p []byte) { _ = c.WritePong(p) }

// OnMessage lends gws's pooled buffer: nothing is copied that gws does not copy itself.
func (h *gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	h.room.message(c, byte(m.Opcode), m.Bytes())
}

func gwsSend(c *gws.Conn, opcode byte, p []byte) {
	_ = c.WriteMessage(gws.Opcode(opcode), p) // on an error gws closes the connection and ends ReadLoop
}

// gwsPrepare copies: the Broadcaster frames on first use and writes later.
func gwsPrepare(opcode byte, p []byte) func(*gws.Conn) {
	b := gws.NewBroadcaster(gws.Opcode(opcode), append([]byte(nil), p...))
	return func(c *gws.Conn) { _ = b.Broadcast(c) }
}
