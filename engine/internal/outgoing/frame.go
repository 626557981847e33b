package outgoing

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/pool"
)

// piece is what one frame is made of.
type piece struct {
	op         codec.Opcode
	p          []byte       // the frame's payload
	owned      *pool.Buffer // p's buffer, if the queue may keep it
	from       int          // where in it p begins
	made       []byte       // p's frame, if it is made already
	payload    uint64       // of the whole message as the user sees it
	rsv1       bool         // p is compressed, and begins its message
	lent       bool         // see Message.Lent
	first, fin bool         // of its message
}

// frame frames, masks and places one frame of a message.
func (b *busy) frame(f *piece) {
	op := f.op
	if !f.first {
		op = codec.OpContinuation
	}
	direct := b.place(op, f)
	if f.fin {
		b.marks = append(b.marks, mark{b.placed, f.payload})
		b.payload += f.payload
	}
	b.placedFrame(direct)
}

// placedFrame writes unless a callback's end will. A payload that is lent leaves now, behind what is corked.
func (b *busy) placedFrame(direct []byte) {
	switch {
	case b.blocked && direct == nil:
		b.settle()
	case direct == nil && b.Corked && b.queued() < CorkBytes:
		if b.Lane.Timed {
			b.out.due |= Corked
		}
	default:
		b.flush(direct)
	}
}

// place places a frame, and returns what of it is lent to be written at once.
func (b *busy) place(op codec.Opcode, f *piece) (direct []byte) {
	p := f.p
	if b.Lane.Mask != nil {
		b.placeMasked(op, f)
		return nil
	}
	keeps := len(p) >= KeptBytes && (f.owned != nil || f.made != nil)
	if !keeps && (len(p) < DirectBytes || b.blocked) {
		dst := b.room(len(p)+codec.MaxHeaderSize, TailBytes)
		n := len(*dst)
		*dst = append(codec.AppendHeader(*dst, op, f.fin, f.rsv1, uint64(len(p))), p...)
		b.placed += uint64(len(*dst) - n)
		return nil
	}
	if f.made != nil {
		return b.placeMade(f.made)
	}
	dst := b.room(codec.MaxHeaderSize, codec.MaxHeaderSize)
	n := len(*dst)
	*dst = codec.AppendHeader(*dst, op, f.fin, f.rsv1, uint64(len(p)))
	b.placed += uint64(len(*dst)-n) + uint64(len(p))
	if f.owned != nil {
		f.owned.Retain()
		b.push(segment{buf: f.owned, off: f.from, end: f.from + len(p)})
		return nil
	}
	if b.direct = directCopied; f.lent {
		b.direct = directLent
	}
	return p
}

// placeMade places a prepared frame.
func (b *busy) placeMade(frame []byte) (direct []byte) {
	b.placed += uint64(len(frame))
	if b.blocked {
		b.push(segment{raw: frame})
		return nil
	}
	b.direct = directStable
	return frame
}

// placeMasked places a client's frame: payload and key are mixed while copying, so the caller's slice is never
// masked. Each frame has a key of its own (RFC 6455 5.3).
func (b *busy) placeMasked(op codec.Opcode, f *piece) {
	dst := b.room(len(f.p)+codec.MaxHeaderSize, TailBytes)
	n := len(*dst)
	*dst = codec.AppendMaskedFrame(*dst, op, f.fin, f.rsv1, b.Lane.Mask(), f.p)
	b.placed += uint64(len(*dst) - n)
}
