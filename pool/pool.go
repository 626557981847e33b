// Package pool hands out reference-counted byte buffers in size classes, and
// takes them back for the next connection.
//
// Memory is shared by the whole process; a Pool only counts what was taken
// through it, so that an engine can show that it gave everything back. What a
// Get does depends on the size:
//
//   - up to 1 MiB ([SmallMax]): a power of two from 256 bytes to 64 KiB, then a
//     multiple of 64 KiB, on the Go heap, recycled per CPU. Idle ones go with the
//     garbage collector.
//   - above: on Linux a private mapping whose pages cost nothing until they are
//     written, which grows by moving page tables and never by copying; elsewhere
//     a slice on the Go heap. The last Release gives it back to the system.
//
// Buffers hold what earlier users left in them. Nobody may read or send bytes of
// a Buffer beyond len(B): that is how one peer's bytes would reach another.
//
// Built with the tag gannetdebug the package watches its users: released memory
// is poisoned and checked before it is used again, a released large mapping
// faults when touched, a second Release and a Retain after the last Release
// panic with the stacks involved, and [Pool.Leaks] lists what is still out.
package pool

// MaxSize is the most one Buffer holds: 2147483647 bytes (2 GiB - 1), the longest
// message Gannet takes in either direction.
const MaxSize = 1<<31 - 1

// Panic messages. Each is a mistake of the caller; nothing a peer sends causes one.
const (
	msgSize     = "pool: size is negative or above MaxSize"
	msgShared   = "pool: growing a buffer that has more than one reference"
	msgReleased = "pool: growing a buffer after its last release"
	msgTwice    = "pool: Release of a buffer that has no reference left"
	msgRetain   = "pool: Retain of a buffer that has no reference left"
)

// Pool counts the buffers taken through it. An engine makes one of its own and
// finds it at zero when it has closed. The zero Pool is not ready: use New. All
// methods are safe from any goroutine.
type Pool struct {
	shards     [shardCount]shard
	largeBytes counter
	watch      poolWatch // gannetdebug: the buffers that are out
}

// Default is the pool behind the function Get, for code that belongs to no engine.
var Default = New()

// New returns a Pool with nothing out. It costs about 4 KiB and needs no closing.
func New() *Pool { return new(Pool) }

// Get takes a Buffer from Default.
func Get(n int) *Buffer { return Default.Get(n) }

// Get returns a Buffer with len(B) == 0, cap(B) >= n and one reference, which is
// the caller's to release. n is 0 to MaxSize bytes; another n panics.
//
// Up to 64 KiB the capacity is the next power of two, at least 256; up to 1 MiB the
// next multiple of 64 KiB. Above, it is the next multiple of 2 MiB (at most
// MaxSize), of which only what is written takes memory on Linux; a recycled mapping
// may be larger still, up to 8 MiB.
// It does not allocate when a buffer of the class has come back before.
//
// When the system has no memory or address space left, the program ends, as for
// any Go allocation. Where addresses have 32 bits that happens far below MaxSize
// once a few large buffers are out: bound the message size there.
func (p *Pool) Get(n int) *Buffer {
	if uint(n) > MaxSize {
		panic(msgSize)
	}
	class := classOf(n)
	b := takeReady(class)
	b.pool = p
	b.class = class
	b.refs = 1 // plain: nobody else has b, and the list it came from ordered us after its last holder
	s := p.shardOf(b)
	if class == classLarge {
		b.fillLarge(n, s)
	} else if b.small == nil {
		b.small = takeMemory(class, s)
	}
	s.takes[class].Add(1)
	b.B = b.memory()[:0]
	if watching {
		b.watchTaken()
	}
	return b
}
