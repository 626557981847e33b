package outgoing

import (
	"bytes"
	"math/rand/v2"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// What the trials of the ledger send, and within which limits.

// sizes are those at which a header or a way changes, and some of no meaning.
var sizes = []int{
	0, 1, 2, 60, 125, 126, 127, 500, 1000, KeptBytes - 1, KeptBytes, KeptBytes + 1, 9000, TailBytes, DirectBytes - 1, DirectBytes, DirectBytes + 1,
	CorkBytes - 15, CorkBytes - 14, CorkBytes - 13, CorkBytes - 10, CorkBytes - 9, CorkBytes - 4, CorkBytes, 40_000, 65_535, 65_536, CopyBytes + 1, 90_000,
}

func (k *booked) payload() []byte {
	n := sizes[k.rng.IntN(len(sizes))]
	switch k.rng.IntN(7) {
	case 0, 1:
		n = k.rng.IntN(200)
	case 6: // some slices, or nearly so
		n = min(k.lane.Slice*(1+k.rng.IntN(5))+k.rng.IntN(3)-1, 200_000)
	case 2: // the room of the cork, or nearly so
		n = max(0, CorkBytes-k.led.cork-k.rng.IntN(24))
	case 3:
		if m := k.limits.MaxBuffered; m >= 0 {
			n = max(0, min(int(m-int64(k.led.cost()))-12+k.rng.IntN(24), 100_000))
		}
	}
	if k.rng.IntN(1500) == 0 {
		n = FlushBytes + k.rng.IntN(FlushBytes)
	}
	p := bytes.Repeat([]byte{byte('a' + k.rng.IntN(26))}, n)
	from, each := 0, 97
	switch k.rng.IntN(6) {
	case 0:
		each = 1 // it does not shrink
	case 1:
		from, each = k.rng.IntN(1<<(4+k.rng.IntN(12))), 1 // its beginning does
	}
	for i := from; i < n; i += each {
		p[i] = byte(k.rng.Uint32())
	}
	return p
}

// pack is what was agreed on, for half of the messages.
func (k *booked) pack() (a deflate.Agreement) {
	if k.lane.Deflate != nil && k.rng.IntN(2) == 0 {
		return k.agreed
	}
	return a
}

// prepare makes a prepared message, which may have been compressed for somebody else.
func (k *booked) prepare(p []byte) *Message {
	one := new(Prepared)
	one.Make(codec.OpBinary, p)
	m := &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: one, Compress: k.pack()}
	if m.Compress != uncompressed && k.rng.IntN(2) == 0 {
		one.Compress(k.lane.Deflate, m.Compress.Send.WindowBits)
		k.led.formed[one] = true
	}
	return m
}

func someLimits(rng *rand.Rand) *Limits {
	l := &Limits{MaxBuffered: -1, High: 1 << 40, Low: 1 << 20, Drop: rng.IntN(2) == 0}
	if rng.IntN(3) > 0 {
		l.High = 1 + rng.Int64N(1<<(4+rng.IntN(14)))
		l.Low = rng.Int64N(l.High)
	}
	if rng.IntN(2) == 0 {
		l.MaxBuffered = rng.Int64N(1 << rng.IntN(20))
	}
	return l
}
