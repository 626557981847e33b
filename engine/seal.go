package engine

// sealer is the seal stage (TLS): it turns plaintext into records.
type sealer interface {
	// Seal appends the record of p (at most sealChunk bytes) to dst.
	Seal(dst, p []byte) []byte
}

// sealing is the seal stage and what it has made ready.
type sealing struct {
	sealer
	sealed  []byte // ciphertext ahead of the socket, at most sealAhead and one record
	records []record
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
	s := c.stages.Load().seal
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
func (s *sealing) sealSome(c *Conn, o *outbound) {
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

func (s *sealing) sealSlice(p []byte) []byte { return s.Seal(s.sealed, p) }

// sent takes n bytes of ciphertext, which have left, off.
func (s *sealing) sent(o *outbound, n int) {
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
