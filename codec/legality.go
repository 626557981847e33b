package codec

import "github.com/gobwas/ws"

// Role says which side of the connection is reading, and so which mask to expect.
type Role uint8

// The two sides. A server reads masked frames, a client unmasked ones (RFC 6455 section 5.1).
const (
	RoleServer Role = 0
	RoleClient Role = 1
)

// State is what the legality of a header depends on besides the header: a set of the bits below. Its zero value is a
// server, without permessage-deflate, between messages.
type State uint8

const (
	// StateClient: the reader is the client.
	StateClient State = 1 << iota
	// StateDeflate: the handshake agreed on permessage-deflate.
	StateDeflate
	// StateInMessage: the last data frame had no FIN, so the message it belongs to goes on.
	StateInMessage

	stateCount = 1 << iota
)

// CheckHeader says whether a reader in state s may accept a frame with header h; the answer is nil or an [Error] that
// owes the peer a 1002. It looks at everything but the length's encoding, which a Header does not show (see
// [ParseHeader]), and the receiver's own limits, which are not the protocol's.
func CheckHeader(h Header, s State) error {
	if e := violation(h, s); e != 0 {
		return e
	}
	return nil
}

// violation is the only place where the protocol's rules about headers are written: the first rule that h breaks, or 0.
func violation(h Header, s State) Error {
	rsv1, rsv2, rsv3 := ws.RsvBits(h.Rsv)
	control := h.OpCode.IsControl()
	switch {
	// RFC 6455 5.2: whoever receives an opcode that nobody has defined fails the connection.
	case h.OpCode.IsReserved() || h.OpCode > 0xf:
		return ErrReservedOpcode

	// RFC 6455 5.2: a reserved bit is 0 unless an extension in use gives it a meaning. None of ours uses these two, with
	// permessage-deflate or without.
	case rsv2 || rsv3:
		return ErrReservedBits
	// The same rule for RSV1, to which RFC 7692 gives a meaning once it is agreed on.
	case rsv1 && s&StateDeflate == 0:
		return ErrCompressedBit
	// RFC 7692 6: the bit speaks for a whole message and stands on its first frame, so never on a continuation and never
	// on a control frame; a receiver of such a frame fails the connection.
	case rsv1 && (control || h.OpCode == OpContinuation):
		return ErrCompressedPart

	// RFC 6455 5.1: a client masks every frame, and a server closes on one that is not masked.
	case s&StateClient == 0 && !h.Masked:
		return ErrNotMasked
	// RFC 6455 5.1: a server masks none, and a client closes on one that is.
	case s&StateClient != 0 && h.Masked:
		return ErrMasked

	// RFC 6455 5.2: the top bit of a 64-bit length is 0. In a Header that bit is the sign.
	case h.Length < 0:
		return ErrLengthRange

	// RFC 6455 5.5: a control frame is never fragmented.
	case control && !h.Fin:
		return ErrControlFragment
	// RFC 6455 5.5: and carries at most 125 bytes.
	case control && h.Length > MaxControlPayload:
		return ErrControlLength
	// RFC 6455 5.4: it may stand between the fragments of a message, so the rules below do not concern it.
	case control:
		return 0

	// RFC 6455 5.4: a continuation follows a first frame without FIN.
	case h.OpCode == OpContinuation && s&StateInMessage == 0:
		return ErrNothingToContinue
	// RFC 6455 5.4: the fragments of one message are not interleaved with another message's.
	case h.OpCode != OpContinuation && s&StateInMessage != 0:
		return ErrMessageInside
	}
	return 0
}

// after is the state in which the frame that follows h is judged. Control frames leave it as it is (RFC 6455 5.4).
func (s State) after(op Opcode, fin bool) State {
	switch {
	case op.IsControl():
		return s
	case fin:
		return s &^ StateInMessage
	}
	return s | StateInMessage
}

// The table is violation, asked in advance about every combination of a header's first byte, its mask bit and the
// state: the 4,096 cases. The decoder's fast path makes one comparison with it; what fails that comparison goes to the
// slow path, where violation itself decides and names the rule. So the table can cost time by being wrong, but a test
// holds it to violation case by case, because it could also let something through.
const (
	legalIndexMask  = legalStateStep*stateCount - 1
	legalMaskShift  = 1 // the second byte's mask bit, 0x80, becomes 0x100
	legalStateStep  = 1 << 9
	legalStateShift = 9
)

// legalLengths holds for each case the first value of the 7-bit length field that the fast path does not take:
// 0 where the header is illegal, 126 for control frames (longer ones are illegal), 127 for data frames (a 64-bit length
// is rare and left to the slow path).
var legalLengths = makeLegalLengths()

func makeLegalLengths() (t [legalIndexMask + 1]uint8) {
	for i := range t {
		s := State(i >> legalStateShift)
		h := leadingHeader(byte(i), byte(i>>legalMaskShift)&maskBit)
		switch {
		case !legal(h, 0, s):
			t[i] = 0
		case !legal(h, length16, s):
			t[i] = length16
		default:
			t[i] = length64
		}
	}
	return t
}

func legal(h Header, n int64, s State) bool {
	h.Length = n
	return violation(h, s) == 0
}

// legalIndex is the table's row for a header's first two bytes in state s.
func legalIndex(b0, b1 byte, s State) uint {
	return uint(s)<<legalStateShift | uint(b1&maskBit)<<legalMaskShift | uint(b0)
}
