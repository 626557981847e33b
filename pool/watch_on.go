//go:build gannetdebug

package pool

import (
	"cmp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// watching says whether this build has the tag gannetdebug.
const watching = true

// watchLock guards all of the bookkeeping here and in graves_on.go.
var watchLock sync.Mutex

// poolWatch are the buffers out of one Pool.
type poolWatch struct {
	out   map[*Buffer]struct{}
	taken uint64 // buffers so far, to list leaks in the order they were taken
}

// bufferRecord is who did what to a buffer.
type bufferRecord struct {
	number                   uint64
	bytes                    int // its capacity
	taken, retained, dropped stack
}

// stack is a call stack, by its return addresses.
type stack struct {
	pcs   [32]uintptr
	depth int
}

// record takes the stack of its caller's caller.
func (s *stack) record() { s.depth = runtime.Callers(3, s.pcs[:]) }

func (s *stack) String() string {
	if s.depth == 0 {
		return "  (nobody)\n"
	}
	var text strings.Builder
	frames := runtime.CallersFrames(s.pcs[:s.depth])
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		text.WriteString("  " + f.Function + "\n      " + f.File + ":" + strconv.Itoa(f.Line) + "\n")
	}
	return text.String()
}

// String names everybody who held the buffer.
func (r *bufferRecord) String() string {
	return "taken by:\n" + r.taken.String() +
		"retained last by:\n" + r.retained.String() +
		"given up by:\n" + r.dropped.String()
}

func (b *Buffer) watchTaken() {
	watchLock.Lock()
	defer watchLock.Unlock()
	w := &b.pool.watch
	if w.out == nil {
		w.out = make(map[*Buffer]struct{})
	}
	w.out[b] = struct{}{}
	w.taken++
	b.record = bufferRecord{number: w.taken, bytes: len(b.memory())}
	b.record.taken.record()
}

func (b *Buffer) watchGrown() {
	watchLock.Lock()
	defer watchLock.Unlock()
	b.record.bytes = len(b.memory())
}

func (b *Buffer) watchRetained() {
	watchLock.Lock()
	defer watchLock.Unlock()
	b.record.retained.record()
}

func (b *Buffer) watchReleased(p *Pool) {
	watchLock.Lock()
	defer watchLock.Unlock()
	delete(p.watch.out, b)
	b.record.dropped.record()
}

// misused panics with the message, then this stack and those of the record.
func (r *bufferRecord) misused(message string) {
	watchLock.Lock()
	defer watchLock.Unlock()
	var here stack
	here.record()
	panic(message + "\n\nthis call:\n" + here.String() + r.String())
}

// leaks lists what is out and inspects the graves, as Leaks says.
func (w *poolWatch) leaks() []Leak {
	watchLock.Lock()
	defer watchLock.Unlock()
	inspectGravesLocked()
	var out []*Buffer
	for b := range w.out {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b *Buffer) int { return cmp.Compare(a.record.number, b.record.number) })
	var leaks []Leak
	for _, b := range out {
		leaks = append(leaks, Leak{
			Bytes: b.record.bytes, // not cap(b.B), which its holder may be changing
			Refs:  b.Refs(),
			Stack: "taken by:\n" + b.record.taken.String() + "retained last by:\n" + b.record.retained.String(),
		})
	}
	return leaks
}
