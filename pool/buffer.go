package pool

import (
	"errors"
	"sync/atomic"

	"github.com/valyala/bytebufferpool"
)

// ErrTooLarge is Write's answer when the content would pass MaxSize.
var ErrTooLarge = errors.New("pool: content would pass MaxSize")

// Buffer is a byte buffer with a reference count. Whoever holds a reference may
// read B; only the holder of the sole reference may write it, reslice it or grow
// it. Handing a reference to another goroutine needs the usual synchronisation
// (a channel, a lock); the count itself is atomic.
//
// A Buffer comes from Get only and must not be copied.
type Buffer struct {
	// B is the content: len(B) is what was written, cap(B) what fits. The holder
	// of the sole reference may write to it and set its length. After Release it
	// must not be touched, and neither may any slice of it: the memory may belong
	// to another connection, or to nobody (a large one is unmapped, and the
	// garbage collector, which does not know it, keeps it for no one).
	B []byte

	pool   *Pool
	small  *bytebufferpool.ByteBuffer // memory of a class, its B full length; nil in a large buffer
	large  region                     // memory above SmallMax; zero in a small one
	refs   int32                      // by sync/atomic, but for Get's plain store
	class  uint8                      // of the memory
	home   uint8                      // whose ready list it came from and returns to
	shard  uint8
	record bufferRecord // gannetdebug: who took, kept and released it
	_      [48]byte     // to 128 bytes, see TestBufferFillsCacheLines
}

// Retain adds a reference, to be given up by another Release. The caller must
// hold one. Any goroutine; a call after the last Release panics.
func (b *Buffer) Retain() {
	if atomic.AddInt32(&b.refs, 1) <= 1 {
		b.record.misused(msgRetain)
	}
	if watching {
		b.watchRetained()
	}
}

// Release gives up a reference. The last one returns the buffer to the pool; a
// call beyond it panics (without the tag gannetdebug only until the buffer has
// been handed out again: then it takes away the new holder's reference). Any
// goroutine. A mapping of more than 8 MiB is unmapped by a goroutine of the
// package, because giving 1 GiB of pages back takes 30 ms.
func (b *Buffer) Release() {
	refs := atomic.AddInt32(&b.refs, -1)
	if refs > 0 {
		return
	}
	if refs < 0 {
		b.record.misused(msgTwice)
	}
	b.free()
}

// Refs is the number of references at some moment during the call.
func (b *Buffer) Refs() int32 { return atomic.LoadInt32(&b.refs) }

// Exclusive reports whether the caller, who must hold a reference, holds the only
// one. True stays true until the caller calls Retain; false may turn true at any
// time.
func (b *Buffer) Exclusive() bool { return atomic.LoadInt32(&b.refs) == 1 }

// Grow makes room for n more bytes: afterwards cap(B)-len(B) >= n and B's content
// is the same. Every earlier slice of B is invalid when B had to move. It needs
// the sole reference and len(B)+n <= MaxSize, and panics otherwise.
//
// Capacity at least doubles, so appending is linear in all. Up to 1 MiB growing
// copies into the class that fits. Above, on Linux, it remaps: never a copy
// but the one from the last class (at most 1 MiB), and no memory until it is
// written. Elsewhere it copies: doubling up to 64 MiB, then by a quarter.
func (b *Buffer) Grow(n int) { b.GrowWithin(n, MaxSize) }

// GrowWithin is Grow for a buffer that is to hold most bytes in all at most: up to
// 1 MiB its capacity doubles no further than they need.
func (b *Buffer) GrowWithin(n, most int) {
	b.mustBeExclusive()
	if uint(n) <= uint(cap(b.B)-len(b.B)) {
		return
	}
	if n < 0 || n > MaxSize-len(b.B) {
		panic(msgSize)
	}
	b.enlarge(len(b.B)+n, most)
}

// Append adds p to B, growing it as Grow does. p must not be part of b.
func (b *Buffer) Append(p []byte) {
	b.Grow(len(p))
	b.B = append(b.B, p...)
}

// Write is Append for an io.Writer. It returns ErrTooLarge, and writes nothing,
// if the content would pass MaxSize.
func (b *Buffer) Write(p []byte) (int, error) {
	if len(p) > MaxSize-len(b.B) {
		return 0, ErrTooLarge
	}
	b.Append(p)
	return len(p), nil
}

func (b *Buffer) mustBeExclusive() {
	switch refs := atomic.LoadInt32(&b.refs); {
	case refs > 1:
		panic(msgShared)
	case refs < 1:
		b.record.misused(msgReleased)
	}
}

// memory is all of b's memory, whatever was made of B.
func (b *Buffer) memory() []byte {
	if b.class == classLarge {
		return b.large.mem
	}
	return b.small.B
}

// enlarge moves b to memory that holds need bytes, which is more than fits now, or
// to twice as much as it has, if that is not above most.
func (b *Buffer) enlarge(need, most int) {
	s := b.pool.shardOf(b)
	s.grows.Add(1)
	if b.class == classLarge {
		b.growLarge(need, s)
	} else {
		b.changeClass(max(need, min(2*len(b.small.B), most, SmallMax)), s)
	}
	if watching {
		b.watchGrown()
	}
}

// changeClass moves a small buffer to a class that holds need bytes, or to large memory.
func (b *Buffer) changeClass(need int, s *shard) {
	oldClass, oldSmall := b.class, b.small
	class := classOf(need)
	if class == classLarge {
		b.fillLarge(need, s)
		b.small = nil
	} else {
		b.small = takeMemory(class, s)
	}
	b.class = class
	s.takes[class].Add(1)
	s.moves.Add(1)
	b.B = b.memory()[:copy(b.memory(), b.B)]
	s.puts[oldClass].Add(1)
	b.dropMemory(oldClass, oldSmall)
}

// free takes back a buffer whose last reference is gone.
func (b *Buffer) free() {
	p := b.pool
	p.shardOf(b).puts[b.class].Add(1)
	if watching {
		b.watchReleased(p)
	}
	b.B, b.pool = nil, nil
	if b.class == classLarge {
		p.largeBytes.Add(-int64(len(b.large.mem)))
		b.large.release()
		b.large = region{}
	} else if watching || b.class != b.home {
		m := b.small
		b.small = nil
		b.dropMemory(b.class, m)
	}
	if watching {
		return // a buffer is never used twice, so that a stale pointer to it stays stale
	}
	ready[b.home].Put(b)
}

// dropMemory gives up memory of a class that b leaves.
func (b *Buffer) dropMemory(class uint8, m *bytebufferpool.ByteBuffer) {
	if watching {
		bury(class, m, b)
		return
	}
	putMemory(class, m)
}
