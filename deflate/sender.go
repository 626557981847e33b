package deflate

import (
	"bytes"

	"github.com/gannet-ws/gannet/pool"
)

// Sender compresses the messages of one connection (RFC 7692 7.2.1). Make it with [Extension.Sender]; it must not be
// copied once used. Calls are made in the order of the messages on the wire, no two at the same time: under the
// connection's lock.
//
// Memory: 40 bytes (TestSizes) and what Policy.Takeover says, from the first compressed message on. While a message is
// being written in parts it has a history in any case, and from the first part on that is long (over 8 KiB at level 1,
// from 128 bytes on at others) or not flushed it holds a compressor of about a megabyte, which connections share.
type Sender struct {
	extension  *Extension
	pool       *pool.Pool
	history    *pool.Buffer // the last bytes of compressed messages; nil while there are none
	encoder    *encoder     // of the message under way, or the connection's own
	windowBits uint8
	lane       uint8 // where it looks for an encoder first
	takeover   bool
	streaming  bool
	pending    bool // the encoder has read what it has not made ready
}

// Sender returns a sender for a connection with this agreement. Its history comes from memory.
func (x *Extension) Sender(a Agreement, memory *pool.Pool) Sender {
	return Sender{extension: x, pool: memory, windowBits: a.Send.WindowBits, lane: uint8(nextLane.Add(1)), takeover: a.Send.Takeover}
}

// Compress appends the compressed form of the message p to dst and returns it with true: the payload to send with RSV1
// (RFC 7692 6). With false p is to be sent as it is, and the sender knows nothing of it: p is shorter than
// Policy.MinSize, or would not become shorter. What is compressed must be sent: it is history now.
//
// It does not allocate where dst has room for len(p)+8 bytes more (with OwnCompressor for as much as p may grow, and 4
// more). p is only read.
func (s *Sender) Compress(dst, p []byte) ([]byte, bool) {
	if s.streaming {
		panic(msgStreaming)
	}
	if len(p) < s.extension.policy.MinSize {
		return dst, false
	}
	if s.ownsEncoder() {
		return s.compressOwn(dst, p), true
	}
	dictionary := s.dictionary(len(p))
	out, ok := s.extension.compress(dst, p, dictionary, s.windowBits, s.lane)
	if ok && s.takeover {
		s.remember(p)
	}
	return out, ok
}

// Compress appends the compressed form of the message p to dst, in a form that needs no history: for any connection
// whose Agreement.Send.WindowBits is windowBits (8 to 15) or more. Every such connection's sender has to be told (see
// [Sender.Sent]). With false p is to be sent as it is, as with Sender.Compress. It may be called from any goroutine.
func (x *Extension) Compress(dst, p []byte, windowBits uint8) ([]byte, bool) {
	if len(p) < x.policy.MinSize {
		return dst, false
	}
	return x.compress(dst, p, nil, windowBits, 0)
}

// Sent tells the sender that p leaves as Extension.Compress made it. The peer's window now ends with p, so ours has to
// (RFC 7692 7.2.3.2): a sender with a history keeps p's end in it, which is a copy of at most HistoryBytes; one without
// stays without, which is always right and costs nothing, so that a connection which only gets broadcasts has no
// memory. It returns false for a connection with its own compressor, which has no way to learn of p: send it what
// Sender.Compress makes of p.
func (s *Sender) Sent(p []byte) bool {
	if s.streaming {
		panic(msgStreaming)
	}
	if s.ownsEncoder() {
		return false
	}
	if s.history != nil {
		s.remember(p)
	}
	return true
}

// Rest drops the history of a connection that is idle. The next message is compressed alone, and begins a new one. A
// connection's own compressor is dropped as well. It does nothing while a message is under way.
func (s *Sender) Rest() {
	if !s.streaming {
		s.Close()
	}
}

// Close gives everything back. The sender may be used again, for a connection with the same agreement.
func (s *Sender) Close() {
	s.dropHistory()
	s.dropEncoder()
	s.streaming, s.pending = false, false
}

func (s *Sender) dropHistory() {
	if s.history != nil {
		s.history.Release()
		s.history = nil
	}
}

func (s *Sender) dropEncoder() {
	if s.encoder != nil && !s.ownsEncoder() {
		held.Add(-1)
		s.encoder.release()
	}
	s.encoder = nil
}

// compress makes one message of p, shorter than p or not at all.
func (x *Extension) compress(dst, p, dictionary []byte, windowBits, lane uint8) ([]byte, bool) {
	if len(p) < blindUnder || x.policy.Level == 1 && len(p) <= maxShort {
		return compressShort(dst, p, dictionary, windowBits)
	}
	e := takeEncoder(x.kindFor(len(dictionary)+len(p), windowBits), lane)
	// The tail that is cut off may pass the message's own length.
	e.begin(dst, len(p)-1+len(appendedTail), dictionary)
	e.write(p)
	out, ok := e.flush()
	e.release()
	if !ok {
		return dst, false
	}
	return cutTail(out), true
}

// blindUnder: shorter messages klauspost's levels up to 6 do not look up in the history (storeFast in its deflate.go).
const blindUnder = 128

func (k encoderKind) blind() bool { return k.level <= 6 }

// kindFor chooses an encoder for a stream of n bytes, dictionary included. Levels use distances up to 32 KiB, whatever
// was agreed on, but none longer than the stream (TestDistances).
func (x *Extension) kindFor(n int, windowBits uint8) encoderKind {
	if windowBits == maxWindowBits || n <= 1<<windowBits {
		return encoderKind{level: uint8(x.policy.Level)}
	}
	return encoderKind{windowBits: windowBits}
}

// cutTail removes the four octets that end a flush (RFC 7692 7.2.1, step 2).
func cutTail(b []byte) []byte {
	n := len(b) - len(appendedTail)
	if n < 0 || !bytes.Equal(b[n:], appendedTail[:]) {
		panic(msgTail)
	}
	return b[:n]
}

// ownsEncoder reports whether the connection keeps a compressor of its own.
func (s *Sender) ownsEncoder() bool {
	return s.takeover && s.extension.policy.Takeover == OwnCompressor
}

// own returns the connection's compressor, ready to continue into dst.
func (s *Sender) own(dst []byte) *encoder {
	if s.encoder == nil {
		s.encoder = newEncoder(s.extension.kindFor(1<<maxWindowBits, s.windowBits))
	}
	s.encoder.redirect(dst)
	return s.encoder
}

// compressOwn compresses p with the connection's compressor. That has read p then, so the result is sent even if it is
// longer: by 5 bytes for each 32 KiB and 16 more (TestOwnGrowth).
func (s *Sender) compressOwn(dst, p []byte) []byte {
	e := s.own(dst)
	e.write(p)
	out, _ := e.flush()
	e.sink.to = nil
	return cutTail(out)
}
