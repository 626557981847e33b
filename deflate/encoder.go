package deflate

import (
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/klauspost/compress/flate"
)

// encoder is a klauspost/compress writer and where its output goes. Encoders that are shared come from takeEncoder and
// begin every message with ResetDict, never with Reset: that one would prime the writer with the dictionary of the
// connection that had it last.
type encoder struct {
	writer *flate.Writer
	sink   sink
	kind   encoderKind
	lane   uint8 // where it is given back first
}

// encoderKind is what makes two encoders interchangeable.
type encoderKind struct {
	level      uint8 // 1 to 9; 0: windowBits counts
	windowBits uint8 // 8 to 14; a level's own window is 32 KiB, as its distances
}

// encoders are the shared ones of each kind. An encoder is 0.8 to 1.4 MiB and made seldom.
var encoders struct {
	ofLevel  [maxLevel + 1]shelf
	ofWindow [maxWindowBits]shelf
}

// shelf has the idle encoders of one kind. Those in the places stay: at most one for each processor, and as many as
// were ever used at the same time. A sync.Pool alone would have one made anew whenever a goroutine comes to another
// processor after a collection of garbage, which that megabyte brings nearer: 0.001 allocations a message at level 6.
// What has no place goes to the pool, and is freed if nobody uses it for two collections.
type shelf struct {
	places [16]place
	pool   sync.Pool
}

// place has a cache line of its own.
type place struct {
	atomic.Pointer[encoder]
	_ [64 - unsafe.Sizeof(uintptr(0))]byte
}

// lanes is how many places are in use. Who takes an encoder looks in that of its lane first, so that processors do not
// meet in one.
var lanes = min(uint32(runtime.GOMAXPROCS(0)), uint32(len(shelf{}.places)))

// nextLane spreads the senders over the lanes.
var nextLane atomic.Uint32

func (k encoderKind) shelf() *shelf {
	if k.level != 0 {
		return &encoders.ofLevel[k.level]
	}
	return &encoders.ofWindow[k.windowBits]
}

// takeEncoder takes an idle encoder, or makes one.
func takeEncoder(k encoderKind, lane uint8) *encoder {
	e := k.shelf().take(lane)
	if e == nil {
		e = newEncoder(k)
	}
	e.lane = lane
	return e
}

func (s *shelf) take(lane uint8) *encoder {
	for i := range lanes {
		p := &s.places[(uint32(lane)+i)%lanes]
		if e := p.Load(); e != nil && p.CompareAndSwap(e, nil) {
			return e
		}
	}
	e, _ := s.pool.Get().(*encoder)
	return e
}

func (s *shelf) put(e *encoder) {
	for i := range lanes {
		p := &s.places[(uint32(e.lane)+i)%lanes]
		if p.Load() == nil && p.CompareAndSwap(nil, e) {
			return
		}
	}
	s.pool.Put(e)
}

func newEncoder(k encoderKind) *encoder {
	e := &encoder{kind: k}
	var err error
	if k.level != 0 {
		e.writer, err = flate.NewWriter(&e.sink, int(k.level))
	} else {
		e.writer, err = flate.NewWriterWindow(&e.sink, 1<<k.windowBits)
	}
	if err != nil {
		panic(msgKind)
	}
	return e
}

// release gives a shared encoder back. It still refers to the last dictionary, which it never reads again.
func (e *encoder) release() {
	e.sink = sink{}
	e.kind.shelf().put(e)
}

// begin starts a stream of its own, which may refer to dictionary, and whose output is appended to dst: at most room
// bytes of it. dictionary has been read when it returns.
func (e *encoder) begin(dst []byte, room int, dictionary []byte) {
	e.sink = sink{to: dst, end: len(dst) + room}
	e.writer.ResetDict(&e.sink, dictionary)
}

// redirect continues the stream into dst, without a limit.
func (e *encoder) redirect(dst []byte) { e.sink = sink{to: dst, end: math.MaxInt} }

func (e *encoder) write(p []byte) { _, _ = e.writer.Write(p) } // an error is the sink's, which remembers

// flush completes what was written, down to 00 00 ff ff, and returns dst with all output; false if that passed its end.
func (e *encoder) flush() ([]byte, bool) {
	_ = e.writer.Flush()
	return e.sink.to, !e.sink.full
}

// sink collects a writer's output.
type sink struct {
	to   []byte
	end  int // the most bytes of to
	full bool
}

var errFull = errors.New("deflate: output would be larger than its limit")

// Write implements io.Writer. An error stops the flate writer, which saves the rest of its work.
func (s *sink) Write(p []byte) (int, error) {
	if len(p) > s.end-len(s.to) {
		s.full = true
		return 0, errFull
	}
	s.to = append(s.to, p...)
	return len(p), nil
}

// Panic messages. Each is a mistake of the caller or of ours; nothing a peer sends causes one.
const (
	msgKind      = "deflate: no such encoder"
	msgPacked    = "deflate: a packed window does not unpack"
	msgStreaming = "deflate: a message is under way on this sender"
	msgIdle      = "deflate: no message is under way on this sender"
	msgTail      = "deflate: a flush that does not end in 00 00 ff ff"
)
