package deflate

import (
	"encoding/binary"
	"sync/atomic"
)

// Begin starts a message that is written in parts: one that is too long for one turn, or that is not known as a whole
// yet (fragments). It is compressed, whatever becomes of it: what does not shrink grows by 5 bytes for each part and
// each 32 KiB. Its first frame carries RSV1 and no other does (RFC 7692 6.1). Write and End follow; Compress and Sent do
// not until then.
func (s *Sender) Begin() {
	if s.streaming {
		panic(msgStreaming)
	}
	s.streaming = true
}

// Write appends to dst what the message's next part p makes ready to be sent, and returns it. That may be nothing: the
// compressor waits for 64 KiB. With flush everything written so far is made ready, so that the peer can inflate it,
// for 5 bytes or so more. Short parts that are flushed are compressed like short messages, with what was sent before
// them, this message included, as their history.
func (s *Sender) Write(dst, p []byte, flush bool) []byte {
	if len(p) == 0 && !s.pending && s.streaming {
		return dst
	}
	if flush && s.alone(len(p)) {
		return s.writeAlone(dst, p)
	}
	e := s.part(dst)
	e.write(p)
	s.rememberPart(p)
	out := e.sink.to
	if s.pending = !flush; flush {
		out, _ = e.flush()
	}
	e.sink.to = nil
	return out
}

// End appends the rest of the message to dst and returns it: the payload of the frame with FIN.
func (s *Sender) End(dst []byte) []byte {
	if !s.streaming {
		panic(msgIdle)
	}
	if s.pending {
		e := s.part(dst)
		out, _ := e.flush()
		e.sink.to = nil
		dst = cutTail(out)
	} else {
		dst = append(dst, emptyBlock) // all that was written is complete, to the octet
	}
	s.endStream()
	return dst
}

// emptyBlock begins the empty stored block whose other octets are cut off (RFC 7692 7.2.3.6).
const emptyBlock = 0

func (s *Sender) endStream() {
	s.streaming, s.pending = false, false
	if s.ownsEncoder() {
		return
	}
	s.dropEncoder()
	if !s.takeover {
		s.dropHistory()
	}
}

// Streaming reports whether a message is between Begin and End.
func (s *Sender) Streaming() bool { return s.streaming }

// part is the encoder for the next part of the message.
func (s *Sender) part(dst []byte) *encoder {
	switch {
	case !s.streaming:
		panic(msgIdle)
	case s.ownsEncoder():
		return s.own(dst)
	case s.encoder == nil:
		// The length is not known, so it has to be an encoder that keeps to the window.
		s.encoder = takeEncoder(s.extension.kindFor(1<<maxWindowBits, s.windowBits), s.lane)
		held.Add(1)
		s.encoder.begin(nil, 0, s.dictionary(1<<maxWindowBits))
	}
	s.encoder.redirect(dst)
	return s.encoder
}

// alone tells whether a part of n bytes that is flushed is compressed like a short message: where an encoder need not be
// taken for it, or the one that the message has would not look it up, and forget all it knew (blindUnder).
func (s *Sender) alone(n int) bool {
	if !s.streaming || s.pending || s.ownsEncoder() {
		return false
	}
	if e := s.encoder; e != nil {
		return n < blindUnder && e.kind.blind()
	}
	return n < blindUnder || s.extension.policy.Level == 1 && n <= maxShort
}

// writeAlone appends p as blocks of its own, to the octet: compressed, or stored if that is shorter.
func (s *Sender) writeAlone(dst, p []byte) []byte {
	s.dropEncoder() // it has not read p
	dst, ok := compressShort(dst, p, s.dictionary(len(p)), s.windowBits)
	if ok {
		dst = append(dst, appendedTail[:]...)
	} else {
		dst = appendStored(dst, p)
	}
	s.rememberPart(p)
	return dst
}

// Store is Write with flush for who has no time to compress: p becomes stored blocks, at the cost of a copy and 5 bytes
// for each 64 KiB. A connection's own compressor, which has to read what is sent, compresses it all the same.
func (s *Sender) Store(dst, p []byte) []byte {
	if s.streaming && s.ownsEncoder() {
		return s.Write(dst, p, true)
	}
	dst = s.Park(dst) // a compressor would not have read p
	for from := 0; from < len(p); from += maxStored {
		dst = appendStored(dst, p[from:min(len(p), from+maxStored)])
	}
	s.rememberPart(p)
	return dst
}

// Park makes ready what is not yet, appends it to dst, and gives the shared compressor back: for a message that has to
// wait, nobody knows how long. Its next part takes another, which knows no more than HistoryBytes of what came before.
func (s *Sender) Park(dst []byte) []byte {
	switch {
	case !s.streaming:
		panic(msgIdle)
	case s.ownsEncoder():
		return dst
	case s.pending:
		e := s.part(dst)
		dst, _ = e.flush()
		s.pending = false
	}
	s.dropEncoder()
	return dst
}

// HoldsCompressor tells whether the sender holds a compressor at the moment: its own, or a shared one for the message
// under way.
func (s *Sender) HoldsCompressor() bool { return s.encoder != nil }

// held counts the shared compressors of messages under way.
var held atomic.Int64

// HeldCompressors is how many shared compressors messages under way hold between their parts, in the whole process: about
// a megabyte each. Who has many messages under way can give some back (see [Sender.Park]).
func HeldCompressors() int { return int(held.Load()) }

// maxStored is the most bytes of a stored block (RFC 1951 3.2.4).
const maxStored = 1<<16 - 1

// appendStored appends p, of at most maxStored bytes, as a stored block that begins at an octet.
func appendStored(dst, p []byte) []byte {
	dst = append(dst, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(p)))
	dst = binary.LittleEndian.AppendUint16(dst, ^uint16(len(p)))
	return append(dst, p...)
}

// rememberPart keeps the end of what was sent: for the message's next parts and, with takeover, for the messages to come.
func (s *Sender) rememberPart(p []byte) {
	if !s.ownsEncoder() && len(p) > 0 {
		s.remember(p)
	}
}
