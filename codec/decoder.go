package codec

import (
	"encoding/binary"
	"math"

	"github.com/gannet-ws/gannet/mask"
)

// Piece is what one call of Next found: a frame, or as much of one as was there.
//
// A frame comes as one Piece with First and Last set, or as a First one, any number between, and a Last one. Every
// Piece of a frame repeats its Opcode, Fin, RSV1 and Length. The First one comes as soon as the header is complete, with
// whatever payload follows it, maybe none: a receiver can refuse a declared length before it has arrived.
type Piece struct {
	// Payload is a view into the slice given to Next, valid as long as that slice is; its capacity ends where it does.
	Payload []byte
	// Length is the payload length that the frame's header declares, 0 to MaxPayload.
	Length uint64
	// Key is the masking key turned so that it starts at Payload[0], as package mask takes it. 0 when Payload is plain.
	Key uint32

	Opcode Opcode // as on the wire: OpContinuation for all but the first frame of a message
	Fin    bool   // the frame ends its message
	RSV1   bool   // the message is compressed; only on its first frame, only with permessage-deflate
	First  bool   // Payload starts the frame
	Last   bool   // Payload ends the frame
}

// Decoder cuts a connection's inbound bytes into frames and holds each to the protocol's rules. It keeps no bytes and
// no pointer, only where it stands: 24 bytes that may be copied. Its zero value is a server's without
// permessage-deflate; [Decoder.Reset] makes any other.
//
// The caller's loop is: read bytes behind what was left over, call Next until it returns 0, keep the at most
// MaxHeaderTail bytes that remain, and present them again in front of the following ones.
type Decoder struct {
	// remaining is how much payload of the current frame is still to come; 0 between frames. A decoder that has failed
	// holds failedRemaining, so that the fast path needs no second test to turn it away.
	remaining uint64
	length    uint64 // of the current frame
	key       uint32 // turned to the first byte still to come
	lead      byte   // first header byte of the current frame
	state     State
	failure   Error // what every further call returns; 0 while all is well
}

const failedRemaining = math.MaxUint64 // more than any header can declare

// Reset makes d the decoder of a new connection: for the side that reads, and with RSV1 legal if deflate is set.
func (d *Decoder) Reset(role Role, deflate bool) {
	*d = Decoder{state: State(role) & StateClient}
	if deflate {
		d.state |= StateDeflate
	}
}

// Remaining is the number of payload bytes of the current frame that are still to come; 0 between frames. That many
// bytes can be read to where they are wanted and given to Next there: it will return them as one Piece.
func (d *Decoder) Remaining() uint64 {
	if d.failure != 0 {
		return 0
	}
	return d.remaining
}

// InMessage reports whether the last data frame had no FIN, so that the next one must be a continuation.
func (d *Decoder) InMessage() bool { return d.state&StateInMessage != 0 }

// Idle reports whether d is between messages: not inside a frame, not inside a fragmented message, not failed.
// A header that has only begun is with the caller and does not count.
func (d *Decoder) Idle() bool { return d.remaining == 0 && d.state&StateInMessage == 0 }

// Next takes the next piece of a frame from the start of b, unmasks it in place, describes it in p, and returns how many
// bytes of b it used. 0 without an error means that more are needed: at most MaxHeaderTail bytes are left in b, and they
// are to be presented again. p is written only when something was used.
//
// An error is an [Error] with the close code that the peer is owed. Illegal headers are refused as early as their second
// byte, a length with the last byte of its field. After an error d stays failed: every call returns that error.
//
// Bytes already returned must not be presented again, since unmasking twice masks.
func (d *Decoder) Next(b []byte, p *Piece) (int, error) {
	return d.next(b, p, true)
}

// NextMasked is [Decoder.Next] without the unmasking: p.Payload is as it arrived and p.Key unmasks it, for callers that
// move the payload anyway and unmask on the way with mask.Copy.
func (d *Decoder) NextMasked(b []byte, p *Piece) (int, error) {
	return d.next(b, p, false)
}

// Whole is NextMasked for what most frames are: a message of its own, not compressed, all of which is at the start of b.
// key unmasks the payload, and n is how much of b the frame takes. 0 means that it may be anything else, or too near
// to the end of b: nothing was used, and Next finds out.
func (d *Decoder) Whole(b []byte) (op Opcode, payload []byte, key uint32, n int) {
	if d.remaining != 0 || len(b) < 8 {
		return 0, nil, 0, 0
	}
	head := binary.LittleEndian.Uint64(b)
	b0, b1 := byte(head), byte(head>>8)
	field := b1 &^ maskBit
	if b0 != finBit|byte(OpBinary) && b0 != finBit|byte(OpText) || field >= legalLengths[legalIndex(b0, b1, d.state)&legalIndexMask] {
		return 0, nil, 0, 0
	}
	at, size := 2, int(field)
	key = uint32(head >> 16)
	if field == length16 {
		at, size, key = 4, int(head>>8&0xff00|head>>24&0xff), uint32(head>>32)
		if size <= maxLength7 {
			return 0, nil, 0, 0
		}
	}
	if b1&maskBit == 0 {
		key = 0
	} else {
		at += keySize
	}
	if n = at + size; n > len(b) {
		return 0, nil, 0, 0
	}
	return Opcode(b0 & 0x0f), b[at:n:n], key, n
}

// next is the fast path: a whole frame with a length of at most 16 bits is in b. Eight bytes hold all of such a header,
// so one load fetches it. Nothing is refused here: what does not fit goes to the slow path, which finds out why.
func (d *Decoder) next(b []byte, p *Piece, unmask bool) (int, error) {
	if d.remaining != 0 {
		return d.nextSlow(b, p, unmask)
	}
	var head uint64
	if len(b) >= 8 {
		head = binary.LittleEndian.Uint64(b)
	} else {
		head = shortHead(b)
	}
	b0, b1 := byte(head), byte(head>>8)
	field := b1 &^ maskBit
	if field >= legalLengths[legalIndex(b0, b1, d.state)&legalIndexMask] {
		return d.nextSlow(b, p, unmask)
	}
	at, n, key := 2, int(field), uint32(head>>16)
	if field == length16 {
		at, n, key = 4, int(head>>8&0xff00|head>>24&0xff), uint32(head>>32)
		if n <= maxLength7 {
			return d.nextSlow(b, p, unmask)
		}
	}
	if b1&maskBit == 0 {
		key = 0
	} else {
		at += keySize
	}
	end := at + n
	if end > len(b) {
		return d.nextSlow(b, p, unmask)
	}
	d.state = d.state.after(Opcode(b0&0x0f), b0&finBit != 0)
	payload := b[at:end:end]
	p.Payload = payload
	p.Length = uint64(n)
	p.setLead(b0)
	p.First, p.Last = true, true
	if unmask && key != 0 {
		mask.XOR(payload, key)
		key = 0
	}
	p.Key = key
	return end, nil
}

// shortHead is the load of eight bytes where fewer are left. It reads the missing ones as 0, whatever that means: a frame
// that would need one of them ends behind b, and so does not pass for whole.
func shortHead(b []byte) (head uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		head = head<<8 | uint64(b[i])
	}
	return head
}

// nextSlow is next for every case: inside a frame, failed, a header that is long, illegal or unfinished, a payload that
// is not all there.
func (d *Decoder) nextSlow(b []byte, p *Piece, unmask bool) (int, error) {
	switch {
	case d.failure != 0:
		return 0, d.failure
	case d.remaining != 0 && len(b) != 0:
		return d.take(b, p, unmask), nil
	case len(b) < 2:
		return 0, nil
	}
	// Everything but the length is known from two bytes. Judging it before the rest has arrived refuses, for one, a
	// control frame that announces 2^63 bytes with the rule that it breaks.
	if e := violation(leadingHeader(b[0], b[1]), d.state); e != 0 {
		return 0, d.fail(e)
	}
	h, size, err := ParseHeader(b)
	if err != nil {
		return 0, d.fail(err.(Error))
	}
	if size == 0 {
		return 0, nil
	}
	d.lead = b[0]
	d.length = uint64(h.Length)
	d.remaining = d.length
	d.key = mask.Key(h.Mask)
	d.state = d.state.after(h.OpCode, h.Fin)
	n := d.take(b[size:], p, unmask)
	p.First = true
	return size + n, nil
}

// take makes a Piece of as much of the current frame's payload as b holds. All but the first Piece of a frame are made
// here alone; a frame without payload gets its only one.
func (d *Decoder) take(b []byte, p *Piece, unmask bool) int {
	n := len(b)
	if uint64(n) > d.remaining {
		n = int(d.remaining)
	}
	p.Payload = b[:n:n]
	p.Length = d.length
	p.Key = d.key
	p.setLead(d.lead)
	p.First, p.Last = false, uint64(n) == d.remaining
	d.remaining -= uint64(n)
	d.key = mask.Rotate(d.key, n)
	if unmask && p.Key != 0 {
		mask.XOR(p.Payload, p.Key)
		p.Key = 0
	}
	return n
}

// fail makes e the answer to this and every later call.
func (d *Decoder) fail(e Error) error {
	d.failure = e
	d.remaining = failedRemaining
	return e
}

// setLead sets what the first header byte says.
func (p *Piece) setLead(b0 byte) {
	p.Opcode = Opcode(b0 & 0x0f)
	p.Fin = b0&finBit != 0
	p.RSV1 = b0&rsv1Bit != 0
}
