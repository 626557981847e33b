package codec

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// The types of gobwas/ws, so that a program can use both packages on one connection.
type (
	// Opcode is the 4-bit frame type of RFC 6455 section 5.2.
	Opcode = ws.OpCode
	// Header is a frame header. Rsv holds RSV1 in bit 2, RSV2 in bit 1, RSV3 in bit 0.
	Header = ws.Header
)

// The opcodes of RFC 6455 section 5.2. All others are reserved and refused.
const (
	OpContinuation = ws.OpContinuation
	OpText         = ws.OpText
	OpBinary       = ws.OpBinary
	OpClose        = ws.OpClose
	OpPing         = ws.OpPing
	OpPong         = ws.OpPong
)

// Sizes in bytes, all of them consequences of RFC 6455 section 5.2.
const (
	// MaxHeaderSize is the longest header: 2 bytes, an 8-byte length, a 4-byte masking key.
	MaxHeaderSize = 14
	// MaxHeaderTail is the most a decoder can leave unread: a longest header short of its last byte.
	MaxHeaderTail = MaxHeaderSize - 1
	// MaxControlPayload is the longest payload of a control frame (section 5.5).
	MaxControlPayload = 125
	// MaxPayload is the longest payload a header can declare.
	MaxPayload = 1<<63 - 1
)

const (
	finBit  = 0x80 // first byte
	rsv1Bit = 0x40 // first byte
	maskBit = 0x80 // second byte

	// The 7-bit length field holds the length up to maxLength7, or says how wide the field after it is.
	maxLength7  = 125
	length16    = 126
	length64    = 127
	maxLength16 = 1<<16 - 1

	keySize = 4
)

// HeaderSize is the number of bytes, 2 to 14, that the header of an n-byte frame takes.
func HeaderSize(n uint64, masked bool) int {
	size := 2
	switch {
	case n > maxLength16:
		size += 8
	case n > maxLength7:
		size += 2
	}
	if masked {
		size += keySize
	}
	return size
}

// ParseHeader reads the header at the start of b and returns it with its size. A size of 0 without an error means that
// b ends inside the header.
//
// It refuses only what a [Header] cannot express: ErrLengthNotMinimal and ErrLengthRange. Whether the header is legal
// where it stands is [CheckHeader]'s question.
func ParseHeader(b []byte) (h Header, size int, err error) {
	if len(b) < 2 {
		return Header{}, 0, nil
	}
	h = leadingHeader(b[0], b[1])
	n, size, e := parseLength(b)
	if e != 0 {
		return Header{}, 0, e
	}
	if size == 0 {
		return Header{}, 0, nil
	}
	h.Length = int64(n)
	if h.Masked {
		if len(b) < size+keySize {
			return Header{}, 0, nil
		}
		h.Mask = [keySize]byte(b[size:])
		size += keySize
	}
	return h, size, nil
}

// leadingHeader is what the first two bytes tell. Its Length is the 7-bit field: the length itself, or, as 126 and 127,
// a lower bound of it, which is all that the rule about control frames needs.
func leadingHeader(b0, b1 byte) Header {
	return Header{
		Fin:    b0&finBit != 0,
		Rsv:    b0 >> 4 & 7,
		OpCode: Opcode(b0 & 0x0f),
		Masked: b1&maskBit != 0,
		Length: int64(b1 &^ maskBit),
	}
}

// parseLength reads the payload length of the header that b starts with; b has at least two bytes. It returns where
// the length field ends, or 0 if b ends inside it.
//
// RFC 6455 5.2: the length is written in the fewest bytes that hold it, and a 64-bit one has its top bit clear.
func parseLength(b []byte) (n uint64, end int, e Error) {
	switch field := b[1] &^ maskBit; {
	case field == length16 && len(b) >= 4:
		n = uint64(binary.BigEndian.Uint16(b[2:]))
		if n <= maxLength7 {
			return 0, 0, ErrLengthNotMinimal
		}
		return n, 4, 0
	case field == length64 && len(b) >= 10:
		n = binary.BigEndian.Uint64(b[2:])
		if n > MaxPayload {
			return 0, 0, ErrLengthRange
		}
		if n <= maxLength16 {
			return 0, 0, ErrLengthNotMinimal
		}
		return n, 10, 0
	case field <= maxLength7:
		return uint64(field), 2, 0
	}
	return 0, 0, 0
}
