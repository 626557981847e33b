package engine

import (
	"bytes"

	"github.com/gannet-ws/gannet/pool"
)

// Message is one whole message. Data is lent until the callback returns: it may be
// changed, but not kept: Clone and Retain are how to keep it. A build with the tag gannetdebug writes over it
// when the callback returns (0xDB in each byte), and over all else that is lent, so that whoever kept it sees that at once.
type Message struct {
	Op   Opcode // OpText (Data is valid UTF-8) or OpBinary
	Data []byte

	pool *pool.Pool
	held *pool.Buffer // Data's buffer; nil when Data is a view of the loop's slab, or of its room for what is inflated
}

// Clone is a copy of the message that may be kept as long as one likes; the garbage collector takes it. It is called
// in the callback, before another goroutine gets to see the message.
func (m Message) Clone() Message {
	return Message{Op: m.Op, Data: bytes.Clone(m.Data), pool: m.pool}
}

// Retain keeps the message beyond the callback without garbage, and often without a copy: it returns a buffer whose B is Data,
// which the caller releases, or hands on with Conn.SendOwned. A message that was
// assembled is not copied; one that arrived in one piece is.
func (m Message) Retain() *pool.Buffer {
	if m.held != nil {
		m.held.Retain()
		return m.held
	}
	if m.pool == nil { // it is no engine's: a test of a handler made it
		m.pool = pool.Default
	}
	b := m.pool.Get(len(m.Data))
	b.B = append(b.B, m.Data...)
	return b
}
