package codec

import (
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// headerCase is one of the 4,096: opcode x fin x rsv x masked x client x inside a message x deflate.
type headerCase struct {
	op                                  byte
	fin                                 bool
	rsv                                 byte // RSV1 is 4, RSV2 is 2, RSV3 is 1
	masked, client, inMessage, deflated bool
}

func everyHeaderCase(yield func(headerCase) bool) {
	for i := range 1 << 12 {
		bit := func(n int) bool { return i>>n&1 != 0 }
		c := headerCase{byte(i & 15), bit(4), byte(i >> 5 & 7), bit(8), bit(9), bit(10), bit(11)}
		if !yield(c) {
			return
		}
	}
}

func (c headerCase) header() Header {
	return Header{OpCode: Opcode(c.op), Fin: c.fin, Rsv: c.rsv, Masked: c.masked}
}

func (c headerCase) state() (s State) {
	if c.client {
		s |= StateClient
	}
	if c.deflated {
		s |= StateDeflate
	}
	if c.inMessage {
		s |= StateInMessage
	}
	return s
}

// firstByte puts the frame on the wire by hand, so that the test does not depend on the encoder.
func (c headerCase) firstByte() byte {
	b := c.op | c.rsv<<4
	if c.fin {
		b |= 0x80
	}
	return b
}

func (c headerCase) String() string {
	return fmt.Sprintf("opcode %x fin %v rsv %03b masked %v client %v in message %v deflate %v",
		c.op, c.fin, c.rsv, c.masked, c.client, c.inMessage, c.deflated)
}

// mayArrive is the expectation, written the other way round than the code under test: not what breaks a rule, but which
// frames exist at all. Everything that is not on this list is illegal.
func (c headerCase) mayArrive() bool {
	if c.masked == c.client { // clients send masked frames to servers, servers unmasked ones to clients
		return false
	}
	type frame struct {
		op        byte
		rsv       byte
		fin       bool
		inMessage bool
	}
	f := frame{c.op, c.rsv, c.fin, c.inMessage}
	switch f {
	case frame{1, 0, true, false}, frame{2, 0, true, false}: // a whole message
		return true
	case frame{1, 0, false, false}, frame{2, 0, false, false}: // the first fragment of one
		return true
	case frame{0, 0, false, true}, frame{0, 0, true, true}: // a middle fragment, the last one
		return true
	case frame{8, 0, true, false}, frame{9, 0, true, false}, frame{10, 0, true, false}: // control between messages
		return true
	case frame{8, 0, true, true}, frame{9, 0, true, true}, frame{10, 0, true, true}: // control between fragments
		return true
	case frame{1, 4, true, false}, frame{2, 4, true, false}: // a whole compressed message
		return c.deflated
	case frame{1, 4, false, false}, frame{2, 4, false, false}: // the first fragment of one
		return c.deflated
	}
	return false
}

func TestLegalityOfEveryHeader(t *testing.T) {
	cases, legal := 0, 0
	for c := range everyHeaderCase {
		cases++
		err := CheckHeader(c.header(), c.state())
		if (err == nil) != c.mayArrive() {
			t.Errorf("%v: %v", c, err)
		}
		if err == nil {
			legal++
		} else if e, ok := err.(Error); !ok || e.Code() != StatusProtocolError {
			t.Errorf("%v: %v owes no 1002", c, err)
		}
	}
	// Per side: 12 without deflate (6 data, 3 control in 2 places) and 4 more with it.
	if cases != 4096 || legal != 2*(12+16) {
		t.Errorf("%d cases of which %d legal; want 4096 and 56", cases, legal)
	}
}

// Each rule, broken alone, is the one that is named.
func TestLegalityNamesTheRule(t *testing.T) {
	for _, c := range []struct {
		name  string
		h     Header
		state State
		want  error
	}{
		{"reserved data opcode", Header{OpCode: 3, Fin: true, Masked: true}, 0, ErrReservedOpcode},
		{"reserved control opcode", Header{OpCode: 15, Fin: true, Masked: true}, 0, ErrReservedOpcode},
		{"an opcode no wire can hold", Header{OpCode: 17, Fin: true, Masked: true}, 0, ErrReservedOpcode},
		{"RSV2", Header{OpCode: OpText, Fin: true, Rsv: 2, Masked: true}, StateDeflate, ErrReservedBits},
		{"RSV3", Header{OpCode: OpText, Fin: true, Rsv: 1, Masked: true}, StateDeflate, ErrReservedBits},
		{"RSV1, no deflate", Header{OpCode: OpText, Fin: true, Rsv: 4, Masked: true}, 0, ErrCompressedBit},
		{"RSV1 on a ping, no deflate", Header{OpCode: OpPing, Fin: true, Rsv: 4, Masked: true}, 0, ErrCompressedBit},
		{"RSV1 on a ping", Header{OpCode: OpPing, Fin: true, Rsv: 4, Masked: true}, StateDeflate, ErrCompressedPart},
		{"RSV1 on a continuation", Header{Fin: true, Rsv: 4, Masked: true}, StateDeflate | StateInMessage, ErrCompressedPart},
		{"not masked to a server", Header{OpCode: OpText, Fin: true}, 0, ErrNotMasked},
		{"masked to a client", Header{OpCode: OpText, Fin: true, Masked: true}, StateClient, ErrMasked},
		{"top bit", Header{OpCode: OpText, Fin: true, Masked: true, Length: -1 << 63}, 0, ErrLengthRange},
		{"top bit on a ping", Header{OpCode: OpPing, Fin: true, Masked: true, Length: -1}, 0, ErrLengthRange},
		{"fragmented ping", Header{OpCode: OpPing, Masked: true}, 0, ErrControlFragment},
		{"close of 126", Header{OpCode: OpClose, Fin: true, Masked: true, Length: 126}, 0, ErrControlLength},
		{"close of 125", Header{OpCode: OpClose, Fin: true, Masked: true, Length: 125}, 0, nil},
		{"nothing to continue", Header{Fin: true, Masked: true}, 0, ErrNothingToContinue},
		{"message inside", Header{OpCode: OpBinary, Fin: true, Masked: true}, StateInMessage, ErrMessageInside},
		{"the longest message", Header{OpCode: OpBinary, Fin: true, Masked: true, Length: MaxPayload}, 0, nil},
	} {
		if err := CheckHeader(c.h, c.state); err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// gobwas/ws as oracle. It differs in two ways, both of one origin: its StateExtended turns the check of all reserved
// bits off, and it has no notion of which extension is in use.
func TestLegalityAgainstGobwas(t *testing.T) {
	const (
		otherBits   = "gobwas lets RSV2 and RSV3 through under any extension"
		wrongPlaces = "gobwas lets RSV1 through on control frames and continuations under any extension"
	)
	differences := map[string]int{}
	for c := range everyHeaderCase {
		ours, theirs := CheckHeader(c.header(), c.state()), ws.CheckHeader(c.header(), c.gobwasState())
		switch {
		case (ours == nil) == (theirs == nil):
		case theirs == nil && c.deflated && c.rsv&3 != 0:
			differences[otherBits]++
		case theirs == nil && c.deflated && c.rsv == 4 && (c.op == 0 || c.op >= 8):
			differences[wrongPlaces]++
		default:
			t.Errorf("%v: we say %v, gobwas says %v", c, ours, theirs)
		}
	}
	// Per side 12 frames that would be legal: with 6 values of RSV that have RSV2 or RSV3; 8 of them with RSV1 alone.
	if differences[otherBits] != 2*12*6 || differences[wrongPlaces] != 2*8 {
		t.Errorf("differences: %v; want 144 and 16", differences)
	}
}

func (c headerCase) gobwasState() ws.State {
	s := ws.StateServerSide
	if c.client {
		s = ws.StateClientSide
	}
	if c.deflated {
		s = s.Set(ws.StateExtended)
	}
	if c.inMessage {
		s = s.Set(ws.StateFragmented)
	}
	return s
}

func TestControlLengthAgainstGobwas(t *testing.T) {
	for _, op := range []Opcode{OpClose, OpPing, OpPong} {
		for n := range int64(300) {
			h := Header{OpCode: op, Fin: true, Masked: true, Length: n}
			if ours, theirs := CheckHeader(h, 0), ws.CheckHeader(h, ws.StateServerSide); (ours == nil) != (theirs == nil) {
				t.Errorf("opcode %x of %d bytes: we say %v, gobwas says %v", op, n, ours, theirs)
			}
		}
	}
}

// The table of the fast path says for every case and every 7-bit length field what the function says.
func TestLegalLengthsEqualTheFunction(t *testing.T) {
	seen := map[uint]bool{}
	for c := range everyHeaderCase {
		b1 := byte(0)
		if c.masked {
			b1 = 0x80
		}
		i := legalIndex(c.firstByte(), b1|0x7f, c.state())
		if i > legalIndexMask || seen[i] {
			t.Fatalf("%v: row %d is outside the table or taken", c, i)
		}
		seen[i] = true
		for field := range uint8(length64) {
			h := c.header()
			h.Length = int64(field)
			if fast, legal := field < legalLengths[i], CheckHeader(h, c.state()) == nil; fast != legal {
				t.Errorf("%v, length field %d: table %v, function %v", c, field, fast, legal)
			}
		}
		if legalLengths[i] > length64 {
			t.Errorf("%v: the fast path would take a 64-bit length", c)
		}
	}
	if len(seen) != len(legalLengths) {
		t.Errorf("%d rows of %d seen", len(seen), len(legalLengths))
	}
}
