package engine

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
)

// Prepared is a message framed once, to be sent to many, and compressed once for each
// kind of window that their connections agreed on. It may be used by any number of goroutines; it
// is never released, the garbage collector takes it. Only Prepare makes one: SendPrepared answers ErrSyntax for a nil
// or zero Prepared, and Broadcast logs it and sends nothing.
type Prepared struct {
	op     Opcode
	asItIs bool // NoCompress
	plain  preparedFrame

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

// Prepare makes a message of op (OpText or OpBinary) and a copy of p ready to be sent; with NoCompress
// it is sent as it is to everybody.
// Errors: ErrSyntax for another opcode, *UTF8Error, ErrMessageTooBig.
func Prepare(op Opcode, p []byte, opts ...SendOption) (*Prepared, error) {
	if err := checkMessage(op, p); err != nil {
		return nil, err
	}
	frame := codec.AppendFrame(make([]byte, 0, len(p)+codec.MaxHeaderSize), op, true, false, p)
	return &Prepared{op: op, asItIs: slices.Contains(opts, NoCompress), plain: preparedFrame{header: len(frame) - len(p), bytes: frame}}, nil
}

// usable tells whether p was made by Prepare: the zero one has no frame.
func (p *Prepared) usable() error {
	if p == nil || p.plain.bytes == nil {
		return fmt.Errorf("gannet: a message to send has to be made by Prepare, and this one is nil or zero: %w", ErrSyntax)
	}
	return nil
}

// deflated is the message compressed for a window, in a form that needs no history; its
// bytes are nil if that does not make it shorter. The first call for a window compresses.
func (p *Prepared) deflated(x *deflate.Extension, windowBits uint8) *preparedFrame {
	if f := p.variant(x, windowBits); f != nil {
		return f
	}
	p.making.Lock()
	defer p.making.Unlock()
	if f := p.variant(x, windowBits); f != nil {
		return f
	}
	var all []preparedFrame
	if old := p.variants.Load(); old != nil {
		all = append(all, *old...)
	}
	all = append(all, p.compress(x, windowBits))
	p.variants.Store(&all)
	return &all[len(all)-1]
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

func (p *Prepared) compress(x *deflate.Extension, windowBits uint8) preparedFrame {
	f := preparedFrame{extension: x, windowBits: windowBits}
	out, ok := x.Compress(make([]byte, 0, len(p.plain.payload())+compressSlack), p.plain.payload(), windowBits)
	if !ok {
		return f
	}
	f.bytes = codec.AppendFrame(make([]byte, 0, len(out)+codec.MaxHeaderSize), p.op, true, true, out)
	f.header = len(f.bytes) - len(out)
	return f
}
