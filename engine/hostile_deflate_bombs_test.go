package engine

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// fragmentsOf is a compressed message in frames of at most n bytes of payload.
func fragmentsOf(first byte, payload []byte, n int) []byte {
	var all []byte
	op := first &^ 0x80
	for len(payload) > n {
		all = append(all, maskedFrame(op, payload[:n])...)
		payload, op = payload[n:], 0
	}
	return append(all, maskedFrame(op|0x80, payload)...)
}

// shapes are the ways in which one compressed message may come.
func shapes(first byte, payload []byte) map[string][]byte {
	return map[string][]byte{
		"one frame":              maskedFrame(first, payload),
		"two fragments":          fragmentsOf(first, payload, len(payload)/2+1),
		"fragments of 7 bytes":   fragmentsOf(first, payload, 7),
		"an empty last fragment": append(maskedFrame(first&^0x80, payload), maskedFrame(0x80, nil)...),
	}
}

// counting is a handler that counts messages and bytes, in messages or in chunks.
func counting(chunks bool, messages *int, got *int64) Funcs {
	if chunks {
		return Funcs{Chunk: func(_ *Conn, k Chunk) {
			*got += int64(len(k.Data))
			if k.Last {
				*messages++
			}
		}}
	}
	return Funcs{Message: func(_ *Conn, m Message) {
		*messages++
		*got += int64(len(m.Data))
	}}
}

// TestDeflateLimitExactly: what inflates to MaxMessageSize is accepted, one byte more is not (1009), in one frame, in
// fragments and in chunks; and nothing is inflated beyond it.
func TestDeflateLimitExactly(t *testing.T) {
	const limit = 100_000
	for _, chunks := range []bool{false, true} {
		messages, got := 0, int64(0)
		r := newTapeRig(t, counting(chunks, &messages, &got), Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: limit}})
		for _, n := range []int{limit - 1, limit, limit + 1, limit + 64<<10, 64 << 20} {
			for shape, say := range shapes(0xc1, bomb(n)) {
				messages, got = 0, 0
				before := r.s.Stats().Deflate.BytesIn
				r.openDeflate(anyDeflate)
				r.feed(say, maskedFrame(0x82, []byte("behind")))
				wantCode, wantMessages := 0, 2
				if n > limit {
					wantCode, wantMessages = 1009, 0
				}
				if code := r.closeCode(); code != wantCode || messages != wantMessages || n <= limit && got != int64(n+6) || got > limit+6 {
					t.Errorf("chunks %v, %d bytes in %s: Close %d, %d messages of %d bytes", chunks, n, shape, code, messages, got)
				}
				if chunks && n > limit && got != limit {
					t.Errorf("%d bytes in %s: %d were delivered in chunks", n, shape, got)
				}
				if in := r.s.Stats().Deflate.BytesIn - before; in > limit {
					t.Errorf("%d bytes in %s: %d were inflated", n, shape, in)
				}
				r.end()
			}
		}
	}
}

// TestDeflateLimitOfZeroRoom: a message may end, in blocks without content, after it has filled the limit.
func TestDeflateLimitOfZeroRoom(t *testing.T) {
	messages, got := 0, int64(0)
	r := newTapeRig(t, counting(false, &messages, &got), Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: 64 << 10}})
	r.openDeflate(anyDeflate)
	end := append(bytes.Repeat(append([]byte{0, 0, 0, 0xff, 0xff}, leastBlock()...), 500), 0)
	full := append(bomb(64<<10), 0, 0, 0xff, 0xff)
	r.feed(maskedFrame(0xc2, append(bytes.Clone(full), end...)))
	if code := r.closeCode(); code != 0 || messages != 1 || got != 64<<10 {
		t.Errorf("Close %d, %d messages of %d bytes", code, messages, got)
	}
	r.feed(maskedFrame(0xc2, append(append(bytes.Clone(full), end[:len(end)-1]...), append(stored("x"), 0)...)))
	if code := r.closeCode(); code != 1009 || messages != 1 {
		t.Errorf("Close %d, %d messages", code, messages)
	}
	r.end()
}

// TestDeflateBombMemory: whatever is inflated, in however many turns, the buffers that are out never take more than
// MaxMessageSize and 64 KiB, besides the bytes received (and, while a small buffer grows, the smaller one). With a limit
// between the steps of the pool's classes the window is besides, too.
func TestDeflateBombMemory(t *testing.T) {
	for _, limit := range []int64{1 << 10, 64 << 10, 100_000, 256 << 10, 270_000, 700_000, 1 << 20} {
		for _, chunks := range []bool{false, true} {
			messages, got := 0, int64(0)
			r := newTapeRig(t, counting(chunks, &messages, &got), Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: limit}})
			r.openDeflate(anyDeflate)
			m := r.meter(400 * time.Microsecond)
			say := maskedFrame(0xc2, bomb(8<<20))
			r.feed(say)
			if code := r.closeCode(); code != 1009 || messages != 0 || got > limit {
				t.Errorf("limit %d: Close %d, %d messages, %d bytes", limit, code, messages, got)
			}
			const window, step = 32 << 10, 64 << 10
			most := limit + 64<<10 + int64(len(say))*2
			if limit > step && limit%step != 0 {
				most += window
			}
			if chunks {
				most = window + int64(len(say))*2
			}
			t.Logf("limit %d, chunks %v: %d bytes of buffers", limit, chunks, m.outBytes)
			if m.outBytes > most {
				t.Errorf("limit %d, chunks %v: %d bytes of buffers, more than %d", limit, chunks, m.outBytes, most)
			}
			r.end()
		}
	}
}

// TestDeflateMaxRatio: a message may be refused (1009) for what it grows, long before it passes MaxMessageSize.
func TestDeflateMaxRatio(t *testing.T) {
	var ended CloseEvent
	messages, got := 0, int64(0)
	h := counting(true, &messages, &got)
	h.Close = func(_ *Conn, e CloseEvent) { ended = e }
	r := newTapeRig(t, h, Options{Deflate: &deflate.Policy{MaxRatio: 100}})
	for n, want := range map[int]int{64 << 10: 0, 1 << 20: 1009, 1 << 30: 1009} {
		for shape, say := range shapes(0xc2, bomb(n)) {
			messages, got = 0, 0
			r.openDeflate(anyDeflate)
			r.feed(say)
			if code := r.closeCode(); code != want || want != 0 && (messages != 0 || got > 64<<10) {
				t.Errorf("%d bytes in %s: Close %d, %d bytes in %d messages", n, shape, code, got, messages)
			}
			r.end()
			if want != 0 && !errors.Is(ended.Err, deflate.ErrRatio) {
				t.Errorf("%+v", ended)
			}
		}
	}
}

// innocentPayload is what an innocent sends.
const innocentPayload = "an innocent's thirty-two bytes.."

// swallowing answers the innocent's messages, and only counts the others and their bytes.
func swallowing(messages, got *atomic.Int64) Funcs {
	return Funcs{Message: func(c *Conn, m Message) {
		if string(m.Data) == innocentPayload {
			_ = c.Send(m.Op, m.Data)
			return
		}
		messages.Add(1)
		got.Add(int64(len(m.Data)))
	}}
}

// each runs f for n attackers at once.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { f(i) })
	}
	all.Wait()
}

// TestDeflateWorkWithoutOutput: hundreds of thousands of blocks that say nothing, in messages, in fragments, or in one
// message. They are work although nothing comes of them, and may not keep the loop from the innocent.
func TestDeflateWorkWithoutOutput(t *testing.T) {
	for name, block := range map[string][]byte{
		"costly": costlyBlock(), "least": leastBlock(), "stored": {0, 0, 0, 0xff, 0xff}, "fixed": {3, 0},
	} {
		var messages, got atomic.Int64
		s := startServer(t, swallowing(&messages, &got), Options{Deflate: deflateOn()})
		some := append(bytes.Repeat(block, 200), 0)
		perSlab := slabBytes / len(some)
		for shape, say := range map[string][]byte{
			"messages":    bytes.Repeat(maskedFrame(0xc2, some), perSlab),
			"fragments":   bytes.Join([][]byte{maskedFrame(0x42, nil), bytes.Repeat(maskedFrame(0, some[:len(some)-1]), perSlab), maskedFrame(0x80, []byte{0})}, nil),
			"one message": maskedFrame(0xc2, append(bytes.Repeat(block, slabBytes/len(block)), 0)),
		} {
			t.Run(name+" in "+shape, func(t *testing.T) {
				conns := crowd(10)
				besideInnocent(t, s, func() {
					before := s.Stats().Deflate.WireBytesIn
					each(conns, func(i int) {
						a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
						if !a.try(say) {
							t.Error("the server hung up")
						}
						within(t, timeoutOf(20), "all was inflated", func() bool {
							return s.Stats().Deflate.WireBytesIn-before > uint64(conns*(len(say)-perSlab*14))
						})
						a.reset()
					})
				})
				if got.Load() != 0 {
					t.Error(got.Load(), "bytes came of nothing")
				}
			})
		}
	}
}

// TestDeflateBombsPipelined: eight bombs of 64 MiB in 65 KB each, behind one another on each of ten connections. Over
// the limit the first ends its connection, and no other is looked at. Within it all are inflated, a turn at a time.
func TestDeflateBombsPipelined(t *testing.T) {
	const conns, bombs, size = 10, 8, 64 << 20
	say := bytes.Repeat(maskedFrame(0xc2, bomb(size)), bombs)
	for name, o := range map[string]Options{
		"over the limit":               {Limits: Limits{MaxMessageSize: 1 << 20}},
		"over a large limit":           {Limits: Limits{MaxMessageSize: 32 << 20}, InboundBudget: 8 << 30},
		"over the limit, with workers": {Limits: Limits{MaxMessageSize: 1 << 20}, Workers: 4},
	} {
		t.Run(name, func(t *testing.T) {
			var messages, got atomic.Int64
			o.Deflate = deflateOn()
			h, ends := watching(swallowing(&messages, &got))
			s := startServer(t, h, o)
			besideInnocent(t, s, func() {
				ends.reset()
				before := s.Stats().Deflate.BytesIn
				each(conns, func(i int) {
					a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
					a.try(say)
					a.expectFailure(t, 1009)
					if e := ends.one(t, fmt.Sprint("/", i)); closeCodeOf(e.Err) != 1009 {
						t.Errorf("%+v", e)
					}
				})
				if n := s.Stats().Deflate.BytesIn - before; n > conns*uint64(o.Limits.MaxMessageSize) {
					t.Errorf("%d bytes were inflated", n)
				}
			})
			if messages.Load() != 0 {
				t.Error(messages.Load(), "messages over the limit were delivered")
			}
		})
	}
}

// TestDeflateBombsPipelinedWithinTheLimit: the same bombs, all of which are delivered: 5 GiB, whole or by the chunk.
func TestDeflateBombsPipelinedWithinTheLimit(t *testing.T) {
	size := 64 << 20
	if raceEnabled || testing.Short() {
		size = 2 << 20
	}
	const conns, bombs = 10, 8
	say := bytes.Repeat(maskedFrame(0xc2, bomb(size)), bombs)
	for _, chunks := range []bool{false, true} {
		t.Run(fmt.Sprint("by the chunk: ", chunks), func(t *testing.T) {
			var messages, got atomic.Int64
			h := swallowing(&messages, &got)
			if chunks {
				h = swallowingChunks(&messages, &got)
			}
			s := startServer(t, h, Options{Deflate: deflateOn(), InboundBudget: 8 << 30})
			besideInnocent(t, s, func() {
				messages.Store(0)
				got.Store(0)
				each(conns, func(i int) {
					a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
					_ = a.SetDeadline(time.Now().Add(timeoutOf(60)))
					a.say(t, string(say), string(maskedFrame(0x89, []byte("all of it?"))))
					if f, err := a.hear(); err != nil || f.op != 10 {
						t.Errorf("%+v, %v", f, err)
					}
					a.reset()
				})
				if want := int64(conns * bombs); messages.Load() != want || got.Load() != want*int64(size) {
					t.Errorf("%d messages, %d bytes", messages.Load(), got.Load())
				}
			})
		})
	}
}

// swallowingChunks is swallowing, by the chunk.
func swallowingChunks(messages, got *atomic.Int64) Funcs {
	return Funcs{Chunk: func(c *Conn, k Chunk) {
		if string(k.Data) == innocentPayload {
			_ = c.Send(k.Op, k.Data)
			return
		}
		got.Add(int64(len(k.Data)))
		if k.Last {
			messages.Add(1)
		}
	}}
}

// TestDeflateManyBombs: forty connections have unfinished turns on one loop, and the innocent waits for one of them, not
// for all.
func TestDeflateManyBombs(t *testing.T) {
	conns := crowd(40)
	var messages, got atomic.Int64
	s := startServer(t, swallowingChunks(&messages, &got), Options{Deflate: deflateOn(), Loops: 1})
	say := maskedFrame(0xc2, bomb(32<<20))
	besideInnocent(t, s, func() {
		messages.Store(0)
		each(conns, func(i int) {
			a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
			a.say(t, string(say))
		})
		within(t, timeoutOf(20), "all are inflated", func() bool { return messages.Load() == int64(conns) })
	})
}
