package dom

import (
	"bytes"
	"sort"
	"strings"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/pool"
)

// smallMessage is the longest message, in bytes, that is kept in a block of its own size, which the garbage collector takes. A longer one is
// kept in pooled pieces.
const smallMessage = 4 << 10

// The pieces' sizes: the first one, which each next one doubles, and the longest, which package pool keeps on the heap: what is never
// released is garbage, and not lost.
const (
	firstPiece = 16 << 10
	mostPiece  = pool.SmallMax
)

// message is what a message task holds: one of the three.
type message struct {
	text    string // a small text
	data    []byte // a small binary message
	content *content
}

// smallMessageOf copies a message that came as one chunk.
func smallMessageOf(k engine.Chunk) message {
	if k.Op == engine.OpText {
		return message{text: string(k.Data)}
	}
	return message{data: bytes.Clone(k.Data)}
}

// asMessage is a message that came in several chunks; c is its own. A small one gets a block of its size, or one of ten bytes in two
// fragments would take a piece for as long as its Blob is kept.
func (c *content) asMessage(op engine.Opcode) message {
	if c.size > smallMessage {
		return message{content: c}
	}
	defer c.release()
	if op == engine.OpText {
		return message{text: c.text(0, c.size)}
	}
	return message{data: c.bytes(0, c.size)}
}

func (m *message) memory() int64 {
	if m.content != nil {
		return m.content.memory
	}
	return int64(len(m.text) + len(m.data))
}

func (m *message) takeText() string {
	if m.content == nil {
		return m.text
	}
	defer m.release()
	return m.content.text(0, m.content.size)
}

func (m *message) takeBytes() []byte {
	if m.content == nil {
		return append([]byte{}, m.data...)
	}
	defer m.release()
	return m.content.bytes(0, m.content.size)
}

func (m *message) takeBlob() *Blob {
	if m.content == nil {
		return blobOver(m.data)
	}
	return newBlob(m.content, 0, m.content.size)
}

func (m *message) release() {
	if m.content != nil {
		m.content.release()
		m.content = nil
	}
}

// content is bytes in pieces, which several Blobs may share. Once it is whole nobody changes it.
type content struct {
	refs   atomic.Int32
	size   int64
	memory int64 // what the pieces take
	pieces []piece
}

// piece is a part of a content.
type piece struct {
	at  int64 // where it begins
	b   []byte
	buf *pool.Buffer // b's; nil: b is the garbage collector's
}

// newContent has one reference.
func newContent() *content {
	c := new(content)
	c.refs.Store(1)
	return c
}

// append adds a copy of p.
func (c *content) append(p []byte) {
	for len(p) > 0 {
		last := len(c.pieces) - 1
		if last < 0 || len(c.pieces[last].b) == cap(c.pieces[last].b) {
			c.addPiece(len(p))
			last++
		}
		k := &c.pieces[last]
		n := min(len(p), cap(k.b)-len(k.b))
		k.b = append(k.b, p[:n]...)
		k.buf.B = k.b
		c.size += int64(n)
		p = p[n:]
	}
}

// addPiece makes room for some of n bytes more: as much as there is already.
func (c *content) addPiece(n int) {
	size := max(min(int64(n), mostPiece), min(c.size, mostPiece), firstPiece)
	buf := pool.Get(int(size))
	c.memory += int64(cap(buf.B))
	c.pieces = append(c.pieces, piece{at: c.size, b: buf.B, buf: buf})
}

// release gives up a reference. The last one gives the pieces back.
func (c *content) release() {
	if c.refs.Add(-1) > 0 {
		return
	}
	for _, k := range c.pieces {
		if k.buf != nil {
			k.buf.Release()
		}
	}
}

// pooled tells whether pieces are the pool's.
func (c *content) pooled() bool { return len(c.pieces) > 0 && c.pieces[0].buf != nil }

// each calls f with the bytes of [from, to), a piece at a time, until f answers an error.
func (c *content) each(from, to int64, f func([]byte) error) error {
	first := sort.Search(len(c.pieces), func(i int) bool { return c.pieces[i].at > from }) - 1
	for i := max(first, 0); i < len(c.pieces) && from < to; i++ {
		k := &c.pieces[i]
		b := k.b[from-k.at:]
		b = b[:min(int64(len(b)), to-from)]
		if err := f(b); err != nil {
			return err
		}
		from += int64(len(b))
	}
	return nil
}

// bytes is a copy of [from, to), in one block.
func (c *content) bytes(from, to int64) []byte {
	out := make([]byte, 0, to-from)
	_ = c.each(from, to, func(b []byte) error {
		out = append(out, b...)
		return nil
	})
	return out
}

// text is a copy of [from, to) as a string.
func (c *content) text(from, to int64) string {
	var out strings.Builder
	out.Grow(int(to - from))
	_ = c.each(from, to, func(b []byte) error {
		out.Write(b)
		return nil
	})
	return out.String()
}
