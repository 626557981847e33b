package outgoing

import (
	"sync"
	"sync/atomic"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// Prepared is a message framed once, to be sent to many, and compressed once for each kind of window that their
// connections agreed on. Any goroutine may use it, once Make has made it; the garbage collector takes it.
type Prepared struct {
	op    codec.Opcode
	plain preparedFrame

	making   sync.Mutex                      // of variants
	variants atomic.Pointer[[]preparedFrame] // compressed, for one window each
}

// preparedFrame is an unmasked frame.
type preparedFrame struct {
	header int
	bytes  []byte // nil: compressing does not make the message shorter

	extension  *deflate.Extension
	windowBits uint8
}

func (f *preparedFrame) payload() []byte { return f.bytes[f.header:] }

// Make makes it of a copy of payload.
func (p *Prepared) Make(op codec.Opcode, payload []byte) {
	p.op = op
	p.plain = newFrame(op, payload, false)
}

func newFrame(op codec.Opcode, payload []byte, rsv1 bool) preparedFrame {
	b := codec.AppendFrame(make([]byte, 0, len(payload)+codec.MaxHeaderSize), op, true, rsv1, payload)
	return preparedFrame{header: len(b) - len(payload), bytes: b}
}

// Made tells whether Make was called.
func (p *Prepared) Made() bool { return p.plain.bytes != nil }

// Op is the message's opcode.
func (p *Prepared) Op() codec.Opcode { return p.op }

// Payload is the message's payload. Nobody changes it.
func (p *Prepared) Payload() []byte { return p.plain.payload() }

// Size is how long its frame is.
func (p *Prepared) Size() int { return len(p.plain.bytes) }

// Compress makes the form that connections with a window of so many bits share, which needs no history. The first call
// for a kind of window compresses. It is nil if that does not make the message shorter.
func (p *Prepared) Compress(x *deflate.Extension, windowBits uint8) *preparedFrame {
	windowBits = SharedWindow(windowBits)
	f := p.variant(x, windowBits)
	if f == nil {
		f = p.makeVariant(x, windowBits)
	}
	if f.bytes == nil {
		return nil
	}
	return f
}

func (p *Prepared) makeVariant(x *deflate.Extension, windowBits uint8) *preparedFrame {
	p.making.Lock()
	defer p.making.Unlock()
	if f := p.variant(x, windowBits); f != nil {
		return f
	}
	var all []preparedFrame
	if old := p.variants.Load(); old != nil {
		all = append(all, *old...)
	}
	all = append(all, p.compressed(x, windowBits))
	p.variants.Store(&all)
	return &all[len(all)-1]
}

// isCompressed tells whether Compress has nothing to do.
func (p *Prepared) isCompressed(x *deflate.Extension, windowBits uint8) bool {
	return p.variant(x, SharedWindow(windowBits)) != nil
}

// Form is what Compress has made for a kind of window.
type Form struct {
	WindowBits uint8
	Size       int // the frame's length; 0: it became no shorter
}

// Forms are all that Compress has made.
func (p *Prepared) Forms() (all []Form) {
	if made := p.variants.Load(); made != nil {
		for _, f := range *made {
			all = append(all, Form{f.windowBits, len(f.bytes)})
		}
	}
	return all
}

func (p *Prepared) variant(x *deflate.Extension, windowBits uint8) *preparedFrame {
	all := p.variants.Load()
	if all == nil {
		return nil
	}
	for i := range *all {
		if f := &(*all)[i]; f.extension == x && f.windowBits == windowBits {
			return f
		}
	}
	return nil
}

func (p *Prepared) compressed(x *deflate.Extension, windowBits uint8) (f preparedFrame) {
	payload := p.Payload()
	if out, ok := x.Compress(make([]byte, 0, len(payload)+compressSlack), payload, windowBits); ok {
		f = newFrame(p.op, out, true)
	}
	f.extension, f.windowBits = x, windowBits
	return f
}

// SharedWindow is the window that a prepared message is compressed for, to be sent to connections
// with this one. What fits a window fits a wider one, and strangers choose: with one for each of
// eight a broadcast would cost eight times as much.
func SharedWindow(bits uint8) uint8 {
	switch {
	case bits >= 15:
		return 15
	case bits >= 11:
		return 11
	}
	return 8
}
