package engine

import "github.com/gannet-ws/gannet/codec"

// Opcode is a frame's opcode (RFC 6455 5.2), gobwas/ws's type.
type Opcode = codec.Opcode

// The opcodes of messages and control frames.
const (
	OpText   = codec.OpText
	OpBinary = codec.OpBinary
	OpClose  = codec.OpClose
	OpPing   = codec.OpPing
	OpPong   = codec.OpPong
)

// Handler receives a server's connections. Callbacks of one connection never
// overlap; they run on its loop (or on a worker) and must not block: one that holds its loop for more than 100 ms is counted
// (Stats.SlowCallbacks) and, once a minute, logged at Warn with its stack. One that panics, or ends its goroutine
// (runtime.Goexit, which t.FailNow calls), closes its connection with 1011: ErrHandlerPanic, ErrHandlerExit. The order is
// OnOpen, OnMessage*, at most one OnError, exactly one OnClose, and nothing after it.
//
// A Handler may also implement any of the optional interfaces of this package. They
// are looked for once, when the server is made, or for a route of a Mux, when Mux.Handle is called. What a handler embeds counts as Go's
// rules of promotion say, and a Funcs that it embeds counts as if its fields were methods.
// NewServer answers an error for a handler of which something would never be called; see there.
type Handler interface {
	// OnOpen: the opening handshake is done; the state is OPEN.
	OnOpen(c *Conn)
	// OnMessage: one whole message. m.Data is lent until return; m.Retain keeps it.
	OnMessage(c *Conn, m Message)
	// OnClose: the connection is CLOSED.
	OnClose(c *Conn, e CloseEvent)
}

// CloseEvent tells how a connection ended (WHATWG CloseEvent).
type CloseEvent struct {
	Code     int    // the peer's code; 1005 when its Close had none, 1006 without a Close frame
	Reason   string // the peer's reason
	WasClean bool   // both Close frames were seen
	Err      error  // why it was not clean; nil when it was
}

// UpgradeHandler decides about opening handshakes. OnUpgrade runs on the loop and
// must not block: to ask something slow, call u.Later and decide from elsewhere.
// Without it every request that passes the origin check is accepted, without a sub-protocol.
type UpgradeHandler interface{ OnUpgrade(u *Upgrade) }

// ErrorHandler hears of a failed connection just before OnClose; the state is CLOSED.
type ErrorHandler interface{ OnError(c *Conn, err error) }

// HighWaterHandler hears that more than HighWater bytes are queued. OnDrain follows, unless the
// connection closes first: neither is called once the state has left OPEN.
type HighWaterHandler interface{ OnHighWater(c *Conn) }

// DrainHandler hears that what is queued has fallen to LowWater after it had passed HighWater.
type DrainHandler interface{ OnDrain(c *Conn) }

// PingHandler hears of pings, which are answered without it. The payload is lent until return.
type PingHandler interface{ OnPing(c *Conn, payload []byte) }

// PongHandler hears of pongs. The payload is lent until return.
type PongHandler interface{ OnPong(c *Conn, payload []byte) }

// ChunkHandler receives messages as they arrive, for messages that should never be
// assembled: OnMessage is then not called, whoever has it. Chunks of one message come in order.
type ChunkHandler interface{ OnChunk(c *Conn, k Chunk) }

// Chunk is a part of a message. Data is lent until return. A text message is checked
// as it arrives: bytes are delivered only up to the first that breaks UTF-8, and a
// chunk may end inside a code point.
type Chunk struct {
	Op    Opcode // OpText or OpBinary
	Data  []byte
	First bool // it starts a message
	Last  bool // it ends the message
}

// Funcs is a Handler made of functions; nil ones are not called. The fields are read once, when the
// server is made, or Mux.Handle is called. A struct that embeds a Funcs, or a pointer to one, has all of its functions; a
// method of the struct's own comes before the field of the same purpose.
type Funcs struct {
	Open      func(c *Conn)
	Message   func(c *Conn, m Message)
	Close     func(c *Conn, e CloseEvent)
	Upgrade   func(u *Upgrade)
	Error     func(c *Conn, err error)
	HighWater func(c *Conn)
	Drain     func(c *Conn)
	Ping      func(c *Conn, payload []byte)
	Pong      func(c *Conn, payload []byte)
	Chunk     func(c *Conn, k Chunk)
}

// OnOpen calls f.Open.
func (f Funcs) OnOpen(c *Conn) {
	if f.Open != nil {
		f.Open(c)
	}
}

// OnMessage calls f.Message.
func (f Funcs) OnMessage(c *Conn, m Message) {
	if f.Message != nil {
		f.Message(c, m)
	}
}

// OnClose calls f.Close.
func (f Funcs) OnClose(c *Conn, e CloseEvent) {
	if f.Close != nil {
		f.Close(c, e)
	}
}
