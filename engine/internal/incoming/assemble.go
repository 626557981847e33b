package incoming

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/mask"
)

// A message is delivered as a view of what was read when it lies there whole; else it is assembled here, or, where Begin
// asked for chunks, delivered in parts.

const (
	// smallRest is what is too little of a frame to be left for another read.
	smallRest = 32 << 10
	// firstBytes is what a message's buffer starts with at least: memory follows the bytes received, never a length
	// declared.
	firstBytes = 4 << 10
)

// whole takes a message that lies in one place as a whole.
func (in *In) whole(data []byte, e *Event) error {
	if in.op == codec.OpText && !codec.ValidUTF8(data) {
		return ErrText
	}
	e.Kind, e.Op, e.Data = Message, in.op, data
	return nil
}

// assemble takes a piece of a message that does not lie in one place.
func (in *In) assemble(p *codec.Piece, last bool, lim *Limits, e *Event) error {
	if in.msg == nil {
		in.msg = in.lane.Pool.Get(int(min(p.Length, max(firstBytes, 2*uint64(len(p.Payload))))))
	}
	in.makeRoom(len(p.Payload), lim)
	from := len(in.msg.B)
	in.msg.B = in.msg.B[:from+len(p.Payload)]
	mask.Copy(in.msg.B[from:], p.Payload, p.Key)
	return in.assembled(in.msg.B[from:], last, e)
}

// makeRoom makes room for n more bytes: capacity doubles, up to what was declared, or to the limit where more may follow.
func (in *In) makeRoom(n int, lim *Limits) {
	have := len(in.msg.B)
	if have+n <= cap(in.msg.B) {
		return
	}
	want, most := min(in.size, max(firstBytes, 2*uint64(have+n))), int(lim.MaxMessageSize)
	if in.fragments == 1 {
		most = int(in.size)
	}
	in.msg.GrowWithin(max(int(want)-have, n), most)
}

// assembled checks what was just added to a message, which is the event when it is whole.
func (in *In) assembled(added []byte, last bool, e *Event) error {
	if in.op == codec.OpText {
		if _, ok := in.text.Write(added); !ok || last && !in.text.Complete() {
			return ErrText
		}
	}
	if last {
		e.Kind, e.Op, e.Data, e.Held = Message, in.op, in.msg.B, in.msg
		in.msg = nil
	}
	return nil
}

// chunk delivers a part of a message as it arrives. Of text that breaks off, what is before it comes with the error.
func (in *In) chunk(data []byte, last bool, e *Event) (err error) {
	if in.op == codec.OpText {
		at, ok := in.text.Write(data)
		if !ok || last && !in.text.Complete() {
			data, last, err = data[:at], false, ErrText
		}
	}
	if len(data) > 0 || last {
		e.Kind, e.Op, e.Data, e.First, e.Last = Chunk, in.op, data, !in.begun, last
		in.begun = true
	}
	return err
}

// Direct is how much of the frame under way may be read to where Room says; 0 while what comes next belongs elsewhere.
func (in *In) Direct() uint64 {
	if in.msg == nil || in.compressed || in.ways != 0 {
		return 0
	}
	return in.dec.Remaining()
}

// Room is where the next bytes of the frame under way belong: about so many at most, since a small rest would cost a
// read of its own, and wait for it. Direct must not be 0. When the bytes are there, Filled comes instead of Next.
func (in *In) Room(most int, lim *Limits) []byte {
	left := in.dec.Remaining()
	if left >= uint64(most)+smallRest {
		left = uint64(most)
	}
	in.makeRoom(1, lim)
	from := len(in.msg.B)
	return in.msg.B[from:min(uint64(cap(in.msg.B)), uint64(from)+left)]
}

// Filled takes n bytes that were read to where Room said.
func (in *In) Filled(n int, e *Event) error {
	e.Kind, e.Held, e.Work = Nothing, nil, 0
	from := len(in.msg.B)
	in.msg.B = in.msg.B[:from+n]
	var p codec.Piece
	if _, err := in.dec.Next(in.msg.B[from:], &p); err != nil {
		return err
	}
	return in.assembled(p.Payload, p.Last && p.Fin, e)
}
