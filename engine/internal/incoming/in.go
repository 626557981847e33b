package incoming

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/mask"
	"github.com/gannet-ws/gannet/pool"
)

// Kind says what an event is.
type Kind uint8

const (
	Nothing Kind = iota // bytes were used, and more are needed, or More is true
	Message             // a whole message
	Chunk               // a part of a message, where Begin asked for chunks
	Ping
	Pong
	Close
)

// Event is what one call of Next has found.
type Event struct {
	Kind        Kind
	First, Last bool         // of a Chunk: it starts, it ends the message
	Op          codec.Opcode // of a Message or a Chunk: OpText or OpBinary

	// Data is the message, the chunk or the control frame's payload. It is lent until the next call for any In of the
	// lane, and may be changed: it is a view of b, of the lane's room for what is inflated, or of Held.
	Data []byte
	// Held is the buffer that a message was assembled in; the caller releases it. nil: the message lies elsewhere.
	Held *pool.Buffer
	// Work is what inflation did in this call, in bytes: those it made, and wireWork for each it read.
	Work int
}

// Limits are what a peer may send. They may change from call to call.
type Limits struct {
	MaxMessageSize int64 // bytes, after inflation
	MaxFragments   int   // frames of one message
}

// Lane is what connections share whose calls never overlap: those of one loop.
type Lane struct {
	Pool    *pool.Pool
	Deflate *deflate.Extension // makes the receivers; nil where no connection inflates
	Role    codec.Role         // ours: a server's peers mask, a client's do not

	Inflated Count // the owner may set it to zero at any time

	scratch []byte // for inflated bytes; nil before the first
}

// Count counts compressed messages, their bytes on the wire, and their bytes.
type Count struct{ Messages, Wire, Bytes uint64 }

// In is what a connection needs while a frame or a message is unfinished. Between messages it keeps nothing of the
// connection, which then needs none: make it ready with Begin, and give it up when Idle.
type In struct {
	lane *Lane
	dec  codec.Decoder

	tail    [codec.MaxHeaderSize]byte // of an unfinished header
	tailLen uint8

	op        codec.Opcode // of the message under way
	begun     bool         // its first chunk was delivered
	ways      ways
	fragments int
	size      uint64       // declared by the headers of this message so far
	msg       *pool.Buffer // what was assembled of it
	text      codec.UTF8

	inflation

	control    [codec.MaxControlPayload]byte // of an unfinished control frame
	controlLen uint8
}

// ways are the reasons for Next to look closer: while there are none, and the decoder is between frames, a whole message
// is delivered at once.
type ways uint8

const (
	cutHeader  ways = 1 << iota // the tail is not empty
	midStep                     // More
	discarding                  // Discard
	chunking                    // Begin
	inControl                   // in the middle of a control frame
)

// Begin makes an idle In ready for a connection of the lane. With chunks its messages are delivered as
// they arrive, and never assembled. a is what was agreed on permessage-deflate, and r what the connection has received with, if
// it has: see Receiver.
func (in *In) Begin(lane *Lane, chunks bool, a deflate.Agreement, r *deflate.Receiver) {
	in.lane = lane
	in.dec.Reset(in.lane.Role, a != deflate.Agreement{})
	in.agreed, in.receiver = a, r
	if in.ways = 0; chunks {
		in.ways = chunking
	}
}

// Idle tells whether In is between messages.
func (in *In) Idle() bool { return in.dec.Idle() && in.ways&(cutHeader|midStep) == 0 }

// InMessage tells whether a frame or a message is under way whose header was read.
func (in *In) InMessage() bool { return !in.dec.Idle() }

// More tells whether Next has something to do without new bytes.
func (in *In) More() bool { return in.ways&midStep != 0 }

// Held is the memory that an unfinished message takes, the peer's window included, in bytes.
func (in *In) Held() (n int64) {
	if in.receiver != nil {
		n = int64(in.receiver.Held())
	}
	return n + in.Assembled()
}

// Assembled is how much of the message under way is assembled, in bytes.
func (in *In) Assembled() int64 {
	if in.msg == nil {
		return 0
	}
	return int64(len(in.msg.B))
}

// Discard has data dropped from now on: it is still checked against the protocol and the limits on sizes, and
// control frames are events, but no message or chunk is. What was kept of a message is given up.
func (in *In) Discard() {
	in.ways |= discarding
	in.drop()
}

// Release gives up what is kept; the In is as new, and Begin has to come next.
func (in *In) Release() {
	in.drop()
	*in = In{}
}

// drop gives up the message under way, which nobody will get.
func (in *In) drop() {
	if in.msg != nil {
		in.msg.Release()
		in.msg = nil
	}
	if in.receiver != nil {
		in.receiver.Abort()
	}
}

// Whole is Next for what most calls find: a whole message, not compressed, all of which lies at the start of b. data
// is a view of it. n is 0 where there may be anything else: nothing was used, and Next finds out.
func (in *In) Whole(b []byte, lim *Limits) (op codec.Opcode, data []byte, n int) {
	if in.ways != 0 {
		return 0, nil, 0
	}
	op, data, key, n := in.dec.Whole(b)
	if n == 0 || int64(len(data)) > lim.MaxMessageSize {
		return 0, nil, 0
	}
	mask.XOR(data, key)
	if op == codec.OpText && !codec.ValidUTF8(data) {
		mask.XOR(data, key) // as it was
		return 0, nil, 0
	}
	return op, data, n
}

// Next uses some of b, n bytes from its start, and fills in e. It returns an error when the peer has broken a rule: then
// e is a chunk that came before, or nothing. What it uses it may change; what it does not use has to
// be there again with the next call. It uses something of every b that is not empty, unless More was true.
func (in *In) Next(b []byte, lim *Limits, e *Event) (n int, err error) {
	e.Kind, e.Held, e.Work = Nothing, nil, 0
	if in.ways&midStep != 0 {
		return in.nextStep(b, lim, e)
	}
	var p codec.Piece
	if in.ways&cutHeader != 0 {
		n, err = in.completeHeader(b, &p)
	} else if n, err = in.dec.NextMasked(b, &p); n == 0 && err == nil {
		in.tailLen = uint8(copy(in.tail[:], b))
		in.ways |= cutHeader
		n = len(b)
	}
	if err != nil || in.ways&cutHeader != 0 {
		return n, err
	}
	err = in.piece(&p, lim, e)
	return n - in.ahead, err
}

// completeHeader adds bytes of b to the header that was kept, one by one: a header is refused as early as it can be. The
// tail is empty when p holds it.
func (in *In) completeHeader(b []byte, p *codec.Piece) (n int, err error) {
	for _, octet := range b {
		in.tail[in.tailLen] = octet
		in.tailLen++
		n++
		if used, err := in.dec.NextMasked(in.tail[:in.tailLen], p); used != 0 || err != nil {
			in.ways &^= cutHeader
			return n, err
		}
	}
	return n, nil
}

// piece takes one piece of a frame.
func (in *In) piece(p *codec.Piece, lim *Limits, e *Event) error {
	if p.Opcode.IsControl() {
		in.controlPiece(p, e)
		return nil
	}
	if p.First {
		if err := in.admit(p, lim); err != nil {
			return err
		}
	}
	if in.ways&discarding != 0 {
		return nil
	}
	last := p.Last && p.Fin
	switch {
	case in.compressed && len(p.Payload) == 0 && !last:
		return nil
	case in.compressed:
		mask.XOR(p.Payload, p.Key)
		return in.inflate(p.Payload, last, lim, e)
	case in.ways&chunking != 0:
		mask.XOR(p.Payload, p.Key)
		return in.chunk(p.Payload, last, e)
	case p.First && last && p.Opcode != codec.OpContinuation:
		mask.XOR(p.Payload, p.Key)
		return in.whole(p.Payload, e)
	}
	return in.assemble(p, last, lim, e)
}

// controlPiece takes one piece of a control frame.
func (in *In) controlPiece(p *codec.Piece, e *Event) {
	mask.XOR(p.Payload, p.Key)
	e.Data = p.Payload
	if !p.First || !p.Last {
		if p.First {
			in.controlLen = 0
		}
		in.controlLen += uint8(copy(in.control[in.controlLen:], p.Payload))
		if !p.Last {
			in.ways |= inControl
			return
		}
		in.ways &^= inControl
		e.Data = in.control[:in.controlLen]
	}
	switch p.Opcode {
	case codec.OpPing:
		e.Kind = Ping
	case codec.OpPong:
		e.Kind = Pong
	case codec.OpClose:
		e.Kind = Close
	}
}

// admit applies the limits to a data frame's header, before anything is allocated.
func (in *In) admit(p *codec.Piece, lim *Limits) error {
	if p.Opcode != codec.OpContinuation {
		in.op, in.size, in.fragments, in.begun = p.Opcode, 0, 0, false
		in.compressed, in.inflated = p.RSV1, 0
		in.text.Reset()
	}
	in.size += p.Length // both are below 2^63: no wrap
	most := uint64(lim.MaxMessageSize)
	if in.compressed {
		most = lim.MaxWire()
	}
	if in.size > most || p.Length > maxFrame {
		return ErrTooLarge
	}
	if in.fragments++; in.fragments > lim.MaxFragments {
		return ErrFragments
	}
	return nil
}
