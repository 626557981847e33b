package dom

import (
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/gannet-ws/gannet/engine"
)

// StreamHandler is a Handler that serves each connection in a goroutine of its own, with a Stream: give it to engine.NewServer, to
// Mux.Handle, or embed it in a struct that has the optional methods (OnUpgrade, say). When serve returns the stream is closed
// (1000), unless it is already; when it panics, or ends its goroutine, with 1011, and a panic is logged and counted as that of a callback.
// One that comes when the connection is over already is logged by slog.Default(), and not counted.
func StreamHandler(serve func(*Stream)) engine.Handler { return streamHandler{serve} }

type streamHandler struct{ serve func(*Stream) }

// OnOpen makes the connection a stream; what comes of it is the stream's then.
func (h streamHandler) OnOpen(c *engine.Conn) { go h.run(StreamOf(c)) }

func (h streamHandler) run(s *Stream) {
	returned := false
	defer func() {
		if returned {
			_ = s.Close()
			return
		}
		if r := recover(); r != nil {
			s.blame(fmt.Sprintf("%v, in StreamHandler's function:\n%s", r, debug.Stack()))
			return
		}
		_ = s.CloseWith(engine.StatusInternalServerError, "")
	}()
	h.serve(s)
	returned = true
}

// blame panics in the connection's sequence: there the engine logs it, counts it and closes. When the connection is over, or ends before that,
// the engine does not.
func (s *Stream) blame(panicked string) {
	heard := make(chan struct{})
	err := s.conn.Post(func(*engine.Conn) { close(heard); panic(panicked) })
	s.CloseRead() // nobody will read
	if err == nil {
		<-s.over // which comes behind what was posted
	}
	select {
	case <-heard:
	default:
		slog.Error("gannet: a handler panicked; its connection is over", "panic", panicked)
	}
}

// OnMessage is not called: the stream has the connection's events.
func (h streamHandler) OnMessage(*engine.Conn, engine.Message) {}

// OnClose is not called either.
func (h streamHandler) OnClose(*engine.Conn, engine.CloseEvent) {}
