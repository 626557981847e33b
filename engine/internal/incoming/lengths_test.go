package incoming

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// announced is the header of a frame that announces n bytes in eight, whether or not it needs them.
func announced(first byte, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{first, 0xff}, n), 1, 2, 3, 4)
}

// TestLengths: each lie about a length is answered at the header that tells it, wherever that is cut, and without a buffer.
func TestLengths(t *testing.T) {
	const limit, some = 100_000, 60_000
	part := func(first byte) []byte { return frame(first, bytes.Repeat([]byte("x"), some)) }
	for name, k := range map[string]struct {
		before, head []byte // what is fine, and the header that is not
		code         int
	}{
		"top bit set":                     {nil, announced(0x82, 1<<63), 1002},
		"all bits set":                    {nil, announced(0x82, 1<<64-1), 1002},
		"2^63-1":                          {nil, announced(0x82, 1<<63-1), 1009},
		"2^62":                            {nil, announced(0x82, 1<<62), 1009},
		"2^32+5: wraps to 5 in 32 bits":   {nil, announced(0x82, 1<<32+5), 1009},
		"2^31":                            {nil, announced(0x82, 1<<31), 1009},
		"limit + 1":                       {nil, announced(0x82, limit+1), 1009},
		"sum of fragments over the limit": {part(0x02), announced(0x80, 1<<16), 1009},
		"the same, not the last":          {part(0x01), announced(0x00, limit), 1009},
		"sum of fragments over int64":     {part(0x02), announced(0x80, 1<<63-some), 1009},
		"over int64 by one byte":          {frame(0x02, []byte("x")), announced(0x80, 1<<63-1), 1009},
		"125 in 16 bits":                  {nil, []byte{0x82, 0xfe, 0, 125}, 1002},
		"0 in 16 bits":                    {nil, []byte{0x82, 0xfe, 0, 0}, 1002},
		"65535 in 64 bits":                {nil, announced(0x82, 65535), 1002},
		"125 in 64 bits":                  {nil, announced(0x82, 125), 1002},
		"0 in 64 bits":                    {nil, announced(0x82, 0), 1002},
	} {
		for cut := range k.head {
			r := newRig(t, false, false)
			r.lim.MaxMessageSize = limit
			r.feed(k.before)
			gets := r.lane.Pool.Stats().Gets
			r.feed(k.head[:cut])
			r.feed(k.head[cut:])
			if r.code != k.code {
				t.Errorf("%s, cut at %d: code %d", name, cut, r.code)
			}
			if n := r.lane.Pool.Stats().Gets - gets; n != 0 {
				t.Errorf("%s, cut at %d: %d buffers were taken for it", name, cut, n)
			}
		}
	}
}

// TestLimitExactly: a message of MaxMessageSize bytes is one, in one frame and in many.
func TestLimitExactly(t *testing.T) {
	const limit = 100_000
	p := bytes.Repeat([]byte("0123456789"), limit/10)
	for name, say := range map[string][]byte{
		"one frame":                   frame(0x82, p),
		"fragments":                   bytes.Join([][]byte{frame(0x02, p[:1]), frame(0x00, p[1:70_000]), frame(0x80, p[70_000:])}, nil),
		"an empty fragment behind it": append(frame(0x02, p), frame(0x80, nil)...),
	} {
		r := newRig(t, false, false)
		r.lim.MaxMessageSize = limit
		r.feed(say)
		if len(r.got) != 1 || r.got[0].data != string(p) {
			t.Errorf("%s: %d messages, code %d", name, len(r.got), r.code)
		}
	}
}

// TestCompressedLengths: of a compressed message no frame is longer than 2147483647 bytes, whatever MaxMessageSize is, and its
// frames together take no more than MaxWire.
func TestCompressedLengths(t *testing.T) {
	const most = 1<<31 - 1
	part := frame(0x42, []byte{2})
	for name, k := range map[string]struct {
		limit        int64
		before, head []byte
		code         int
	}{
		"the longest frame":                    {most, nil, announced(0xc2, most), 0},
		"one byte more":                        {most, nil, announced(0xc2, most+1), 1009},
		"one byte more, of text, not the last": {most, nil, announced(0x41, most+1), 1009},
		"2^32":                                 {most, nil, announced(0xc2, 1<<32), 1009},
		"what MaxWire is":                      {most, nil, announced(0xc2, most*16+1024), 1009},
		"2^62":                                 {most, nil, announced(0xc2, 1<<62), 1009},
		"a continuation":                       {most, part, announced(0x80, most+1), 1009},
		"a continuation, not the last":         {most, part, announced(0x00, 1<<35), 1009},
		"a sum over it: what is stored needs that": {most, part, announced(0x80, most), 0},
		"a frame of MaxWire":                       {1 << 20, nil, announced(0xc2, 16<<20+1024), 0},
		"a frame over MaxWire":                     {1 << 20, nil, announced(0xc2, 16<<20+1025), 1009},
		"a sum over MaxWire":                       {1 << 20, part, announced(0x80, 16<<20+1024), 1009},
		"a lower limit, with a MaxWire over it":    {1 << 28, nil, announced(0xc2, most+1), 1009},
		"the same, at it":                          {1 << 28, nil, announced(0xc2, most), 0},
	} {
		for cut := range k.head {
			r := newRig(t, true, false)
			r.lim.MaxMessageSize = k.limit
			stream := append(bytes.Clone(k.before), k.head...)
			w := verdict(r, stream)
			r.feed(k.before)
			gets := r.lane.Pool.Stats().Gets
			r.feed(k.head[:cut])
			r.feed(k.head[cut:])
			if r.code != k.code || w.code != k.code {
				t.Errorf("%s, cut at %d: code %d, the twin says %d, want %d", name, cut, r.code, w.code, k.code)
			}
			if n := r.lane.Pool.Stats().Gets - gets; n != 0 {
				t.Errorf("%s, cut at %d: %d buffers were taken for it", name, cut, n)
			}
		}
	}
}
