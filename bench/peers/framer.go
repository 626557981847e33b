package main

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"github.com/gobwas/ws"
)

// framer takes the bytes of a connection apart as they come, with gobwas/ws's codec: what a server on a poller needs, which
// never waits for the rest of a frame. A message that lies whole in one frame and one read is lent as a view of it.
type framer struct {
	state   ws.State  // the side, and whether a message has begun
	header  ws.Header // of the frame whose payload is coming
	within  bool      // there is such a frame
	taken   int       // bytes of its payload that have come: where in the masking key the next one stands
	partial []byte    // the beginning of a header
	opcode  ws.OpCode // of the message that has begun
	message []byte    // its payload so far; kept from message to message
	control []byte    // the payload so far of a control frame
}

// scratch is what framers of one loop share, so that reading a header allocates nothing.
type scratch struct {
	reader bytes.Reader
	header [ws.MaxHeaderSize]byte
}

// grownAhead bounds how much room a header's promise alone gets, in bytes.
const grownAhead = 1 << 20

// feed uses all of p, which it unmasks in place. deliver is called with each message and each control frame; what it gets is
// lent until it returns.
func (f *framer) feed(p []byte, s *scratch, deliver func(ws.OpCode, []byte)) error {
	if len(f.partial) > 0 {
		p = append(f.partial, p...)
		f.partial = nil
	}
	for len(p) > 0 {
		if !f.within {
			n, err := f.begin(p, s)
			if err != nil || n == 0 {
				f.partial = slices.Clone(p)
				return err
			}
			p = p[n:]
		}
		part := p[:min(int(f.header.Length)-f.taken, len(p))]
		ws.Cipher(part, f.header.Mask, f.taken)
		f.taken += len(part)
		p = p[len(part):]
		f.add(part, deliver)
	}
	return nil
}

// begin reads a header from p and answers its length, or 0 when it is not whole yet.
func (f *framer) begin(p []byte, s *scratch) (int, error) {
	s.reader.Reset(p)
	header, err := ws.ReadHeaderBuffer(&s.reader, s.header[:0])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, nil
	}
	if err == nil {
		err = ws.CheckHeader(header, f.state)
	}
	if err != nil {
		return 0, err
	}
	f.header, f.within, f.taken = header, true, 0
	if !header.OpCode.IsControl() && header.OpCode != ws.OpContinuation {
		f.opcode = header.OpCode
	}
	return len(p) - s.reader.Len(), nil
}

// add takes the next part of the frame's payload, and delivers what is whole.
func (f *framer) add(part []byte, deliver func(ws.OpCode, []byte)) {
	whole := f.taken == int(f.header.Length)
	f.within = !whole
	switch {
	case f.header.OpCode.IsControl():
		if whole && len(f.control) == 0 {
			deliver(f.header.OpCode, part)
			return
		}
		f.control = append(f.control, part...)
		if whole {
			deliver(f.header.OpCode, f.control)
			f.control = nil
		}
	case whole && f.header.Fin && f.taken == len(part) && f.header.OpCode != ws.OpContinuation:
		deliver(f.opcode, part)
	default:
		f.assemble(part, whole, deliver)
	}
}

func (f *framer) assemble(part []byte, whole bool, deliver func(ws.OpCode, []byte)) {
	if f.taken == len(part) { // the frame's first part
		f.message = slices.Grow(f.message, min(int(f.header.Length), grownAhead))
	}
	f.message = append(f.message, part...)
	switch {
	case whole && f.header.Fin:
		f.state = f.state.Clear(ws.StateFragmented)
		deliver(f.opcode, f.message)
		f.message = f.message[:0]
	case whole:
		f.state = f.state.Set(ws.StateFragmented)
	}
}
