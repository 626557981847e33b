package engine

// stages are what some connections do to a message between its limits and the socket.
// The order is fixed: state, limits, compress, frame, mask, place; then seal, socket.
type stages struct {
	compress compressor
	mask     func() [4]byte // a client's masking keys, from a CSPRNG (RFC 6455 5.3)
	seal     sealer

	sealed  []byte // ciphertext ahead of the socket, at most sealAhead and one record
	records []record
}

// compressor is the compress stage. It runs under the connection's lock, so that the
// order of its history is the order on the wire.
type compressor interface {
	// Compress returns the payload to send instead of p, valid until the next call, and
	// true for RSV1 (RFC 7692 6.1); or p and false.
	Compress(op Opcode, p []byte) ([]byte, bool)
}

// sealer is the seal stage (TLS): it turns plaintext into records.
type sealer interface {
	// Seal appends the record of p (at most sealChunk bytes) to dst.
	Seal(dst, p []byte) []byte
}

const (
	sealChunk = 16 << 10 // RFC 8446 5.1: the most plaintext of one record
	sealAhead = 64 << 10 // how much ciphertext may wait for the socket
)

// record ties an offset in the ciphertext to one in the plaintext.
type record struct {
	sealedLen int    // bytes of this record that have not left
	plainEnd  uint64 // what has left once they have
}

// flushSealed seals and writes until the queue is empty or the socket full. A message
// has left when the last sealed byte of it has.
func (c *Conn) flushSealed(o *outbound) {
	s := c.stages
	for budget := flushBytes; !o.blocked && !o.failed; {
		s.sealSome(c, o)
		if len(s.sealed) == 0 {
			return
		}
		n, err := c.loop.sys.Write(int(c.fd), s.sealed)
		s.sent(o, n)
		budget -= n
		c.afterWrite(o, err, budget)
	}
}

// sealSome seals plaintext while little ciphertext waits.
func (s *stages) sealSome(c *Conn, o *outbound) {
	c.corkToQueue(o)
	for len(s.sealed) < sealAhead && o.head < len(o.queue) {
		g := &o.queue[o.head]
		p := g.bytes()
		k := min(len(p), sealChunk)
		before := len(s.sealed)
		s.sealed = s.sealSlice(p[:k])
		end := uint64(k)
		if n := len(s.records); n > 0 {
			end += s.records[n-1].plainEnd
		} else {
			end += o.left
		}
		s.records = append(s.records, record{len(s.sealed) - before, end})
		if k < len(p) {
			g.off += k
			continue
		}
		g.release()
		o.head++
	}
	if o.head == len(o.queue) {
		o.queue, o.head = o.queue[:0], 0
	}
}

func (s *stages) sealSlice(p []byte) []byte { return s.seal.Seal(s.sealed, p) }

// sent takes n bytes of ciphertext, which have left, off.
func (s *stages) sent(o *outbound, n int) {
	s.sealed = s.sealed[:copy(s.sealed, s.sealed[n:])]
	done := 0
	for done < len(s.records) && n >= s.records[done].sealedLen {
		n -= s.records[done].sealedLen
		o.left = s.records[done].plainEnd
		done++
	}
	s.records = s.records[:copy(s.records, s.records[done:])]
	if len(s.records) > 0 {
		s.records[0].sealedLen -= n
	}
}

// corkToQueue moves the cork behind the queue.
func (c *Conn) corkToQueue(o *outbound) {
	if len(o.cork) == 0 {
		return
	}
	b := c.loop.engine.pool.Get(len(o.cork))
	b.B = append(b.B, o.cork...)
	o.cork = o.cork[:0]
	o.queue = append(o.queue, segment{buf: b, end: len(b.B)})
}
