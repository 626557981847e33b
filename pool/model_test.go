package pool

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// A model of the pool: buffers are slices that are copied, references a number.
type modelled struct {
	buffer  *Buffer
	content []byte
	refs    int32
}

// model drives a Pool and its obvious twin with the same steps.
type model struct {
	t    *testing.T
	pool *Pool
	live []*modelled
	fill byte
}

const modelLimit = 12 << 20 // bytes that one modelled buffer may hold

// step does one thing that op chooses, to a buffer that which chooses, with a size.
func (m *model) step(op, which byte, size int) {
	if len(m.live) == 0 || op%8 == 0 && len(m.live) < 16 {
		m.get(size)
		return
	}
	b := m.live[int(which)%len(m.live)]
	switch op % 8 {
	case 1, 2:
		m.append(b, size)
	case 3:
		m.grow(b, size)
	case 4:
		b.buffer.Retain()
		b.refs++
	case 5:
		m.truncate(b, size)
	case 0, 6, 7:
		m.release(b)
	}
}

func (m *model) get(size int) {
	b := m.pool.Get(size)
	if len(b.B) != 0 || cap(b.B) < size || b.Refs() != 1 {
		m.t.Fatalf("Get(%d): len %d, cap %d, refs %d", size, len(b.B), cap(b.B), b.Refs())
	}
	m.live = append(m.live, &modelled{buffer: b, refs: 1})
}

func (m *model) append(b *modelled, size int) {
	if b.refs != 1 || len(b.content)+size > modelLimit {
		return
	}
	m.fill++
	p := bytes.Repeat([]byte{m.fill}, size)
	b.buffer.Append(p)
	b.content = append(b.content, p...)
}

func (m *model) grow(b *modelled, size int) {
	if b.refs != 1 || len(b.content)+size > modelLimit {
		return
	}
	b.buffer.Grow(size)
	if cap(b.buffer.B)-len(b.buffer.B) < size {
		m.t.Fatalf("Grow(%d): len %d, cap %d", size, len(b.buffer.B), cap(b.buffer.B))
	}
}

func (m *model) truncate(b *modelled, size int) {
	if b.refs != 1 {
		return
	}
	n := min(size, len(b.content))
	b.content, b.buffer.B = b.content[:n], b.buffer.B[:n]
}

func (m *model) release(b *modelled) {
	m.check(b)
	b.buffer.Release()
	if b.refs--; b.refs > 0 {
		return
	}
	for i := range m.live {
		if m.live[i] == b {
			m.live = append(m.live[:i], m.live[i+1:]...)
			return
		}
	}
}

func (m *model) check(b *modelled) {
	if !bytes.Equal(b.buffer.B, b.content) || b.buffer.Refs() != b.refs || b.buffer.Exclusive() != (b.refs == 1) {
		m.t.Fatalf("content or count differ: len %d and %d, refs %d and %d",
			len(b.buffer.B), len(b.content), b.buffer.Refs(), b.refs)
	}
}

// checkStats compares the pool's figures with what the model holds.
func (m *model) checkStats() {
	var want Stats
	for _, b := range m.live {
		size := int64(len(b.buffer.memory()))
		want.Out++
		want.OutBytes += size
		if size > SmallMax {
			want.LargeOut++
			want.LargeBytes += size
		}
	}
	got := m.pool.Stats()
	got.Gets, got.Grows, got.Misses = 0, 0, 0
	if got != want {
		m.t.Fatalf("%+v, want %+v", got, want)
	}
}

func (m *model) finish() {
	for len(m.live) > 0 {
		m.release(m.live[len(m.live)-1])
	}
	mustBeHome(m.t, m.pool)
}

// sizeFrom spreads sizes over the classes: scale picks a class, fine a place near its edge or inside.
func sizeFrom(scale, fine byte) int {
	edge := 1 << (scale % 23)
	switch fine % 4 {
	case 0:
		return edge - 1
	case 1:
		return edge
	case 2:
		return edge + 1
	}
	return edge + edge*int(fine)/256
}

func TestAgainstModel(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 2))
		m := &model{t: t, pool: New()}
		for range 2000 {
			scale := r.IntN(20)
			if r.IntN(30) == 0 {
				scale = r.IntN(23)
			}
			m.step(byte(r.Uint32()), byte(r.Uint32()), sizeFrom(byte(scale), byte(r.Uint32())))
			m.checkStats()
		}
		m.finish()
	}
}

// Few, large buffers, so that mappings grow, move, are kept and come back.
func TestLargeAgainstModel(t *testing.T) {
	for seed := range uint64(3) {
		r := rand.New(rand.NewPCG(seed, 3))
		m := &model{t: t, pool: New()}
		for range 150 {
			m.step(byte(r.Uint32()), byte(r.IntN(4)), sizeFrom(byte(19+r.IntN(4)), byte(r.Uint32())))
			m.checkStats()
		}
		m.finish()
	}
	Trim()
}

func FuzzBuffer(f *testing.F) {
	f.Add([]byte{0, 0, 8, 0, 1, 0, 20, 3, 4, 0, 0, 0, 6, 0, 0, 0, 6, 0, 0, 0})
	f.Add([]byte{0, 0, 21, 2, 1, 0, 21, 1, 3, 0, 22, 0, 6, 0, 0, 0, 0, 0, 1, 1})
	f.Fuzz(func(t *testing.T, script []byte) {
		m := &model{t: t, pool: New()}
		for ; len(script) >= 4; script = script[4:] {
			m.step(script[0], script[1], sizeFrom(script[2], script[3]))
			m.checkStats()
		}
		m.finish()
	})
}
