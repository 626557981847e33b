package netio

import (
	"bytes"
	"sync"
)

// A connection is read into memory of the loop's, the same for all connections, and crypto/tls is shown what has come: whole records. So it never asks the
// transport, which would cost an allocation for each record, and it has no buffer of its own, which would grow to the longest
// record that came and be out of the processor's cache by the time when the next one comes. Between two Reads it keeps what
// has come of a record that is not whole, in memory of about that size.
//
// This needs the fields of a tls.Conn. Where they are not proved, and for what was read before (early), crypto/tls asks the transport (fetch).

// lentBuffer holds what one read of the socket brings at most: four full records, and something of a fifth.
type lentBuffer [4*(recordHeader+recordPlain) + 1<<10]byte

// lentPool has those that no loop and no connection needs.
var lentPool = sync.Pool{New: func() any { return new(lentBuffer) }}

// part is the beginning of a record that a connection keeps until more comes.
type part struct{ b []byte }

// partPools have parts of two sizes. Most streams are cut somewhere in a short record; the longest of TLS 1.3 fits the second.
var partPools = [...]struct {
	size int
	pool *sync.Pool
}{{1 << 10, new(sync.Pool)}, {longestPart, new(sync.Pool)}}

const longestPart = recordHeader + recordPlain + 256

// keepPart copies p. It is nil when p is longer than any part.
func keepPart(p []byte) *part {
	for _, c := range partPools {
		if len(p) > c.size {
			continue
		}
		kept, _ := c.pool.Get().(*part)
		if kept == nil {
			kept = &part{make([]byte, 0, c.size)}
		}
		kept.b = append(kept.b[:0], p...)
		return kept
	}
	return nil
}

func (p *part) free() {
	for _, c := range partPools {
		if cap(p.b) == c.size {
			c.pool.Put(p)
			return // it is another connection's by now
		}
	}
}

// fill reads the socket for crypto/tls, which holds no whole record. It reports whether crypto/tls has something to do now: a whole record, or
// one that it refuses by its header, or the end; or whether it has to read by itself. Under mu, on the loop.
func (k *session) fill() bool {
	s := k.loop
	raw, _, input := s.fields.of(k.tls)
	if len(k.early) > 0 || k.end != nil || input.Len() > 0 || raw.Len() > longestPart {
		return true
	}
	if k.lent == nil {
		if k.lent, s.lent = s.lent, nil; k.lent == nil {
			k.lent = lentPool.Get().(*lentBuffer)
		}
	}
	had := copy(k.lent[:], raw.Bytes())
	k.freePart()
	k.asks = 0
	n, err := s.sys.Read(int(k.fd), k.lent[had:])
	*raw, *input = *bytes.NewBuffer(k.lent[:had+n]), bytes.Reader{}
	k.dry = had+n < len(k.lent)
	switch err {
	case nil:
		k.transport.follow(k.lent[had : had+n])
		return k.transport.whole > 0 || k.transport.strange()
	case ErrAgain:
		return false
	}
	k.end = err
	return true
}

// takeBack takes the loop's memory back, unless there is plaintext in it that did not fit p, or a record that is whole and more than a part. Under mu, on the loop.
func (k *session) takeBack() {
	s := k.loop
	raw, hand, input := s.fields.of(k.tls)
	if hand.Len() == 0 { // tickets and key updates were there
		*hand = bytes.Buffer{}
	}
	switch {
	case k.readErr == nil && input.Len() > 0:
		return
	case k.lent == nil:
		if raw.Len() == 0 { // tls has read by itself what came with the handshake
			*raw, *input = bytes.Buffer{}, bytes.Reader{}
		}
		return
	}
	left := bytes.Buffer{}
	if k.readErr == nil && raw.Len() > 0 {
		switch k.part = keepPart(raw.Bytes()); {
		case k.part != nil:
			left = *bytes.NewBuffer(k.part.b)
		case k.records > 0: // it goes on in the next turn
			return
		default:
			left = *bytes.NewBuffer(bytes.Clone(raw.Bytes()))
		}
	}
	*raw, *input = left, bytes.Reader{}
	k.returnLent()
}

func (k *session) returnLent() {
	if s := k.loop; s.lent == nil {
		s.lent = k.lent
	} else {
		lentPool.Put(k.lent)
	}
	k.lent = nil
}

// leanOut has a connection that is not read for a while keep what lies in the loop's memory in memory of that size. On the loop.
func (k *session) leanOut() {
	if k.lent == nil || !k.mu.TryLock() {
		return
	}
	defer k.mu.Unlock()
	raw, _, input := k.loop.fields.of(k.tls)
	plain := make([]byte, input.Len())
	_, _ = input.Read(plain)
	*raw, *input = *bytes.NewBuffer(append([]byte(nil), raw.Bytes()...)), *bytes.NewReader(plain)
	k.returnLent()
}

// freePart gives back the memory of what was the beginning of a record.
func (k *session) freePart() {
	if k.part != nil {
		k.part.free()
		k.part = nil
	}
}
