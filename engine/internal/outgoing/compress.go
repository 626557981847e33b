package outgoing

import "github.com/gannet-ws/gannet/deflate"

// The compress stage (RFC 7692 7.2.1): between the limits and the frame, so that the order of its history is the order
// on the wire. What is dropped, or sent as it is, never gets here.

const (
	// SliceBytes is how much of a message is compressed in one turn: about half a
	// millisecond, up to level 6. A longer message takes several (long.go).
	SliceBytes = 128 << 10
	// compressSlack is by how much a message that does not shrink may grow at most, and
	// what klauspost/compress keeps back of earlier slices.
	compressSlack = 64
	heldBack      = 80 << 10
)

// lazyBatch: unflushed, klauspost's levels 7 to 9 compress nothing before they have as much, and
// then all of it.
const lazyBatch = 32 << 10

// SliceAt is SliceBytes for the levels that are slower: 128 KiB took 6 ms at level 7, 11 at
// 8 and 30 at 9.
func SliceAt(level int) int {
	return SliceBytes >> [...]int{7: 2, 8: 3, 9: 5}[level]
}

// uncompressed is the agreement of a message that is not to be compressed.
var uncompressed deflate.Agreement

// sender is the connection's, made with the first message that needs it.
func (b *busy) sender(a deflate.Agreement) *deflate.Sender {
	o := b.out
	if o.sender == nil {
		s := b.Lane.Deflate.Sender(a, b.Lane.Pool)
		o.sender = &s
	}
	o.due |= Used
	return o.sender
}

// message sends a whole message.
func (b *busy) message(m *Message) {
	switch {
	case m.Compress == uncompressed:
		b.plain(m)
	case m.Prepared != nil && b.prepared(m):
	case len(m.P) > b.Lane.Slice:
		b.beginLong(m)
	default:
		b.compress(m)
	}
}

// plain sends a whole message as it is.
func (b *busy) plain(m *Message) {
	f := &piece{op: m.Op, p: m.P, owned: m.Owned, from: m.from, lent: m.Lent, payload: uint64(len(m.P)), first: true, fin: true}
	if m.Prepared != nil {
		f.made = m.Prepared.plain.bytes
	}
	b.frame(f)
}

// compress sends a message compressed, if that makes it shorter.
func (b *busy) compress(m *Message) {
	buf := b.Lane.Pool.Get(len(m.P) + compressSlack)
	var ok bool
	if buf.B, ok = b.sender(m.Compress).Compress(buf.B, m.P); ok {
		b.compressed(&piece{op: m.Op, payload: uint64(len(m.P)), first: true, fin: true}, buf.B, len(m.P))
	} else {
		b.plain(m)
	}
	buf.Release()
}

// compressed sends p, which was made of n bytes, as f.
func (b *busy) compressed(f *piece, p []byte, n int) {
	b.Lane.Counts.deflated(len(p), n, f.fin)
	f.p, f.rsv1 = p, f.first
	b.frame(f)
}

// prepared sends a prepared message in the form that all connections with this kind of
// window share. It reports false where that can not be: for a connection with its own
// compressor, which would not know what the peer's window holds, and for a long message that
// nobody has compressed yet.
func (b *busy) prepared(m *Message) bool {
	l, bits := b.Lane, m.Compress.Send.WindowBits
	if l.ownCompressor(m.Compress) || len(m.P) > l.Slice && !m.Prepared.isCompressed(l.Deflate, bits) {
		return false
	}
	f := m.Prepared.Compress(l.Deflate, bits)
	if f == nil {
		b.plain(m)
		return true
	}
	if s := b.out.sender; s != nil {
		s.Sent(m.P)
		b.out.due |= Used
	}
	l.Counts.deflated(len(f.payload()), len(m.P), true)
	b.frame(&piece{op: m.Op, p: f.payload(), made: f.bytes, payload: uint64(len(m.P)), rsv1: true, first: true, fin: true})
	return true
}

// OwnCompressor tells whether connections with this agreement keep a compressor, which does not forget what it
// has read.
func OwnCompressor(x *deflate.Extension, a deflate.Agreement) bool {
	return x.Policy().Takeover == deflate.OwnCompressor && a.Send.Takeover
}

func (l *Lane) ownCompressor(a deflate.Agreement) bool { return OwnCompressor(l.Deflate, a) }

// Rest drops what the next compressed message can do without: the connection has been still for a while.
func (o *Out) Rest() {
	if o.sender != nil {
		o.sender.Rest()
	}
}

// HoldsCompressor tells whether a message under way holds a compressor.
func (o *Out) HoldsCompressor() bool { return o.sender != nil && o.sender.HoldsCompressor() }
