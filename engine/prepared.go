package engine

import (
	"slices"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Prepared is a message framed once, to be sent to many, and compressed once for each
// kind of window that their connections agreed on. It may be used by any number of goroutines; it
// is never released, the garbage collector takes it. Only Prepare makes one: SendPrepared answers ErrSyntax for a nil
// or zero Prepared, and Broadcast logs it and sends nothing.
type Prepared struct {
	made   outgoing.Prepared
	asItIs bool // NoCompress
}

// Prepare makes a message of op (OpText or OpBinary) and a copy of p ready to be sent; with NoCompress
// it is sent as it is to everybody.
// Errors: ErrSyntax for another opcode, *UTF8Error, ErrMessageTooBig.
func Prepare(op Opcode, p []byte, opts ...SendOption) (*Prepared, error) {
	if err := checkMessage(op, p); err != nil {
		return nil, err
	}
	k := &Prepared{asItIs: slices.Contains(opts, NoCompress)}
	k.made.Make(op, p)
	return k, nil
}

// usable tells whether p was made by Prepare: the zero one has no frame.
func (p *Prepared) usable() error {
	if p == nil || !p.made.Made() {
		return misused("a message to send has to be made by Prepare, and this one is nil or zero")
	}
	return nil
}
