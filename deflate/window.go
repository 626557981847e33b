package deflate

import (
	"math/bits"

	"github.com/gannet-ws/gannet/pool"
)

// window is the last bytes of a stream, at most limit of them: what a distance may reach back to (RFC 1951 2). It is a
// ring in a pooled buffer that grows with what it holds, so that a connection of few bytes keeps few.
type window struct {
	buf   *pool.Buffer // nil while nothing is kept; its size is a power of two
	next  uint32       // where the next byte goes: next&(size-1)
	have  uint32       // how many bytes it holds: at most limit
	limit uint32       // the agreed window: 256 to 32768

	packed bool // buf holds the content compressed: see pack
}

func newWindow(windowBits uint8) window { return window{limit: 1 << windowBits} }

// write adds p at the end.
func (w *window) write(from *pool.Pool, p []byte) {
	if len(p) == 0 {
		return
	}
	if uint(len(p)) > uint(w.limit) {
		p = p[uint(len(p))-uint(w.limit):]
	}
	want := min(w.have+uint32(len(p)), w.limit)
	if w.buf == nil || int(want) > len(w.buf.B) {
		w.resize(from, want)
	}
	ring := w.buf.B
	at := int(w.next) & (len(ring) - 1)
	if k := copy(ring[at:], p); k < len(p) {
		copy(ring, p[k:])
	}
	w.next += uint32(len(p))
	w.have = want
}

// resize moves the content to a ring for at least want bytes: four times as many as before, because what is outgrown
// waits for the garbage collector, or for a connection that grows later.
func (w *window) resize(from *pool.Pool, want uint32) {
	size := max(minWindow, 1<<bits.Len32(want-1))
	if w.buf != nil {
		size = max(size, min(4*len(w.buf.B), int(w.limit)))
	}
	b := from.Get(size)
	b.B = b.B[:size]
	w.read(b.B[:w.have], int(w.have))
	if w.buf != nil {
		w.buf.Release()
	}
	w.buf, w.next = b, w.have
}

// read fills p with the bytes that begin back bytes before the end; len(p) <= back <= have.
func (w *window) read(p []byte, back int) {
	if len(p) == 0 {
		return
	}
	ring := w.buf.B
	at := (int(w.next) - back) & (len(ring) - 1)
	if k := copy(p, ring[at:]); k < len(p) {
		copy(p[k:], ring)
	}
}

// forget drops the content and gives the memory back.
func (w *window) forget() {
	if w.buf != nil {
		w.buf.Release()
	}
	*w = window{limit: w.limit}
}

// held is the memory that the window takes, in bytes.
func (w *window) held() int {
	if w.buf == nil {
		return 0
	}
	return cap(w.buf.B)
}
