package deflate

import (
	"unsafe"

	"github.com/gannet-ws/gannet/pool"
)

const (
	// minWindow is the smallest ring: the smallest agreed window, and the pool's smallest class.
	minWindow = 256
	// packFrom is the smallest ring worth packing: below, a bucket of headers weighs more.
	packFrom = 2 << 10

	inflaterBytes = int(unsafe.Sizeof(inflater{}))
)

// pack replaces the ring by its content compressed, where that halves it.
func (w *window) pack(from *pool.Pool) {
	if w.buf == nil || w.packed || len(w.buf.B) < packFrom {
		return
	}
	plain := from.Get(int(w.have))
	defer plain.Release()
	plain.B = plain.B[:w.have]
	w.read(plain.B, int(w.have))

	room := len(w.buf.B) / 2
	scratch := from.Get(room)
	defer scratch.Release()
	out, ok := deflateOnce(scratch.B, plain.B, room)
	if !ok {
		return
	}
	b := from.Get(len(out))
	b.B = append(b.B, out...)
	w.buf.Release()
	w.buf, w.packed = b, true
}

// deflateOnce appends p as a DEFLATE stream to dst, in at most room bytes.
func deflateOnce(dst, p []byte, room int) ([]byte, bool) {
	e := takeEncoder(encoderKind{level: 1}, 0)
	defer e.release()
	e.begin(dst, room, nil)
	e.write(p)
	return e.flush()
}

// unpack restores the ring.
func (w *window) unpack(from *pool.Pool) {
	if !w.packed {
		return
	}
	packed, have := w.buf, w.have
	w.buf, w.packed = nil, false
	w.next, w.have = 0, 0

	plain := from.Get(int(have))
	plain.B = plain.B[:have]
	f := inflaters.Get().(*inflater)
	f.begin()
	none := newWindow(maxWindowBits)
	p := passage{src: packed.B, dst: plain.B, window: &none}
	if _, err := f.run(&p); err != 0 || p.out != int(have) {
		panic(msgPacked)
	}
	inflaters.Put(f)
	w.write(from, plain.B)
	plain.Release()
	packed.Release()
}
