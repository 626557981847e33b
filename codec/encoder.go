package codec

import (
	"encoding/binary"
	"slices"

	"github.com/gannet-ws/gannet/mask"
)

// The encoders write what they are told, also what [CheckHeader] would refuse: a header belongs to a sequence that only
// the caller knows. What no header can express (a length over MaxPayload, an opcode over 15) is a mistake of the caller
// and panics.

// AppendHeader appends the header of an unmasked frame with n bytes of payload, as a server sends it, and returns the
// extended slice. It adds HeaderSize(n, false) bytes.
func AppendHeader(dst []byte, op Opcode, fin, rsv1 bool, n uint64) []byte {
	return appendLead(dst, leadByte(op, fin, rsv1), 0, n)
}

// AppendMaskedHeader appends the header of a frame whose payload is masked with key, as a client sends it, and returns
// the extended slice. It adds HeaderSize(n, true) bytes. RFC 6455 section 5.3 wants an unpredictable key for each frame.
func AppendMaskedHeader(dst []byte, op Opcode, fin, rsv1 bool, n uint64, key [4]byte) []byte {
	dst = appendLead(dst, leadByte(op, fin, rsv1), maskBit, n)
	return append(dst, key[0], key[1], key[2], key[3])
}

// PutHeaderBefore writes the header of an unmasked frame with n bytes of payload so that it ends where the payload
// starts, at b[at], and returns where it starts. It panics if fewer than HeaderSize(n, false) bytes are in front of at;
// MaxHeaderSize of them are always enough.
func PutHeaderBefore(b []byte, at int, op Opcode, fin, rsv1 bool, n uint64) (start int) {
	start = headerStart(b, at, HeaderSize(n, false))
	AppendHeader(b[start:start:at], op, fin, rsv1, n)
	return start
}

// PutMaskedHeaderBefore is PutHeaderBefore for a frame whose payload is masked with key. It leaves the payload alone.
func PutMaskedHeaderBefore(b []byte, at int, op Opcode, fin, rsv1 bool, n uint64, key [4]byte) (start int) {
	start = headerStart(b, at, HeaderSize(n, true))
	AppendMaskedHeader(b[start:start:at], op, fin, rsv1, n, key)
	return start
}

// AppendFrame appends a whole unmasked frame and returns the extended slice. It allocates only if dst lacks the room,
// and then once. payload is copied.
func AppendFrame(dst []byte, op Opcode, fin, rsv1 bool, payload []byte) []byte {
	n := uint64(len(payload))
	dst = slices.Grow(dst, HeaderSize(n, false)+len(payload))
	dst = AppendHeader(dst, op, fin, rsv1, n)
	return append(dst, payload...)
}

// AppendMaskedFrame appends a whole frame masked with key and returns the extended slice. payload is masked on its way
// into dst and not changed; the two must not overlap.
func AppendMaskedFrame(dst []byte, op Opcode, fin, rsv1 bool, key [4]byte, payload []byte) []byte {
	n := uint64(len(payload))
	dst = slices.Grow(dst, HeaderSize(n, true)+len(payload))
	dst = AppendMaskedHeader(dst, op, fin, rsv1, n, key)
	at := len(dst)
	dst = dst[:at+len(payload)]
	mask.Copy(dst[at:], payload, mask.Key(key))
	return dst
}

// appendLead appends the part of a header in front of the key. RFC 6455 5.2: the length in the fewest bytes that hold it.
func appendLead(dst []byte, lead, masked byte, n uint64) []byte {
	switch {
	case n <= maxLength7:
		return append(dst, lead, masked|byte(n))
	case n <= maxLength16:
		return append(dst, lead, masked|length16, byte(n>>8), byte(n))
	case n > MaxPayload:
		panic("codec: payload length over MaxPayload")
	}
	return binary.BigEndian.AppendUint64(append(dst, lead, masked|length64), n)
}

func leadByte(op Opcode, fin, rsv1 bool) byte {
	if op > 0x0f {
		panic("codec: opcode over 15")
	}
	b := byte(op)
	if fin {
		b |= finBit
	}
	if rsv1 {
		b |= rsv1Bit
	}
	return b
}

func headerStart(b []byte, at, size int) int {
	if at < size || at > len(b) {
		panic("codec: no room for a header in front of the payload")
	}
	return at - size
}
