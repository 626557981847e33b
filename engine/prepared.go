package engine

import "github.com/gannet-ws/gannet/codec"

// Prepared is a message framed once, to be sent to many. It may be used by any number
// of goroutines; it is never released, the garbage collector takes it.
type Prepared struct {
	op     Opcode
	header int
	frame  []byte
}

// Prepare makes a message of op (OpText or OpBinary) and a copy of p ready to be sent.
// Errors: ErrSyntax for another opcode, *UTF8Error, ErrMessageTooBig.
func Prepare(op Opcode, p []byte) (*Prepared, error) {
	if err := checkMessage(op, p); err != nil {
		return nil, err
	}
	frame := codec.AppendFrame(make([]byte, 0, len(p)+codec.MaxHeaderSize), op, true, false, p)
	return &Prepared{op: op, header: len(frame) - len(p), frame: frame}, nil
}

func (p *Prepared) payload() []byte { return p.frame[p.header:] }
