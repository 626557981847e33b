package pool

import (
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/valyala/bytebufferpool"
)

// Size classes: each power of two from 256 B to 64 KiB, then each multiple of 64
// KiB to 1 MiB. So of a buffer above 256 B less than half is ever unused, and never
// more than 64 KiB: what a limit on messages bounds is not rounded up to twice as
// much. (Multiples of 32 KiB are 39 classes: too many to fill anew after each garbage
// collection, TestSteadyStateDoesNotAllocate.) Growth doubles, which takes at most 12 steps.
// 256 is the floor because the smallest thing that waits in a buffer, a control
// frame, needs up to 139 bytes and the bookkeeping of a Buffer itself about 100:
// smaller classes would save less than they cost. 1 MiB is the ceiling because
// above it the garbage collector's zeroing and the copies of growing hold a loop
// for longer than the page faults of a mapping.
const (
	minClassBits = 8
	stepBits     = 16                      // above 1<<stepBits classes are its multiples
	lastDoubled  = stepBits - minClassBits // the class of 1<<stepBits
	classCount   = lastDoubled + SmallMax>>stepBits
	classLarge   = classCount // the pseudo class of everything above SmallMax

	// SmallMax is the largest capacity kept on the Go heap in size classes, in bytes.
	SmallMax = 1 << 20
)

// classOf is the smallest class that holds n bytes, 0 <= n <= MaxSize.
func classOf(n int) uint8 {
	switch {
	case n <= 1<<minClassBits:
		return 0
	case n <= 1<<stepBits:
		return uint8(bits.Len(uint(n-1)) - minClassBits)
	}
	return uint8(min(lastDoubled+uint(n-1)>>stepBits, classLarge))
}

func classSize(class uint8) int {
	if class <= lastDoubled {
		return 1 << (minClassBits + class)
	}
	return int(class-lastDoubled+1) << stepBits
}

// A buffer at rest keeps its memory and waits in the ready list of its home
// class, so that the common Get and Release touch nothing that another CPU
// writes. Memory that a growing buffer changes for larger goes through the
// class's bytebufferpool, and so does a grown buffer's memory at its release:
// the buffer goes home without any. That keeps both in balance: a stream of
// messages that all grow from 4 KiB to 64 KiB finds a buffer in ready[4 KiB] and
// memory of each class in memories, and allocates nothing.
var (
	ready    [classCount + 1]sync.Pool
	memories [classCount]memoryPool
	nextMade atomic.Uint32
)

// memoryPool aligns a bytebufferpool to 8 bytes, which its 64-bit counters need
// and do not ask for: where a word has 4, the second of an array would panic.
type memoryPool struct {
	_ [0]atomic.Uint64
	bytebufferpool.Pool
}

// takeReady returns a buffer whose home is class, with or without memory.
func takeReady(class uint8) *Buffer {
	if b, ok := ready[class].Get().(*Buffer); ok {
		return b
	}
	return &Buffer{home: class, shard: uint8(nextMade.Add(1) % shardCount)}
}

// recycled marks memory that came back, because bytebufferpool does not tell
// whether what it returns is new, and Stats counts what is. New memory is zero.
const recycled = 0x6761_6e6e_6574_7631

// takeMemory returns memory of exactly the class's size, its B full length.
//
// bytebufferpool calibrates itself: a new ByteBuffer has no capacity at first
// and later that of the length most often put back. putMemory always puts the
// full class size, so that it settles there; but until then, and when two
// calibrations race, the capacity is another and is replaced.
func takeMemory(class uint8, s *shard) *bytebufferpool.ByteBuffer {
	if watching {
		if m := exhume(class); m != nil {
			return m
		}
	}
	m, size := memories[class].Get(), classSize(class)
	if cap(m.B) == size {
		m.B = m.B[:size]
		if binary.LittleEndian.Uint64(m.B) == recycled {
			return m
		}
	} else {
		m.B = make([]byte, size)
	}
	if watching {
		poison(m.B) // so that nobody comes to rely on zeros
	}
	s.misses.Add(1)
	return m
}

// putMemory gives back what takeMemory returned.
func putMemory(class uint8, m *bytebufferpool.ByteBuffer) {
	m.B = m.B[:classSize(class)]
	binary.LittleEndian.PutUint64(m.B, recycled)
	memories[class].Put(m)
}
