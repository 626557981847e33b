package netio

import "sync"

const (
	// sealAhead is how much plaintext is sealed before the socket has taken what was sealed before: four full records.
	sealAhead = 64 << 10
	// recordPlain is the most plaintext that a record carries (RFC 8446 5.1).
	recordPlain = 16 << 10
	// mostPieces is how many pieces sealAhead bytes are cut into at most: two that follow each other would not have fitted one small record.
	mostPieces = 2*sealAhead/smallRecord + 2
)

// sealed is what was sealed and is not with the socket yet. The pool has those that nobody needs.
type sealed struct {
	b       []byte
	off     int // b[:off] has left
	own     int // bytes of b that TLS itself had to say
	pieces  [mostPieces]piece
	first   int // pieces[first:last] have not left wholly
	last    int
	vectors [2][]byte // for sendStraight: on the stack it would escape
}

// piece is the plaintext of one record.
type piece struct {
	plain int32 // bytes of the engine's
	end   int32 // of the record, in sealed.b
}

var sealedPool = sync.Pool{New: func() any { return &sealed{b: make([]byte, 0, sealAhead+sealAhead/16)} }}

// place takes what crypto/tls writes: a record. Under mu.
func (k *session) place(p []byte) {
	plain := 0
	if k.sealing > 0 && k.overhead > 0 {
		plain = min(int(k.sealing), max(len(p)-int(k.overhead), 0))
	}
	switch {
	case k.finSeal && k.sealing == 0 || k.outErr != nil:
		return // nobody hears it
	case k.straight:
		if p = k.sendStraight(p); k.outErr != nil {
			return
		}
		if len(p) == 0 {
			k.placed(plain)
			return
		}
	}
	if k.out == nil {
		k.out = sealedPool.Get().(*sealed)
	}
	k.out.b = append(k.out.b, p...)
	if k.sealing == 0 {
		k.out.own += len(p)
	}
	k.placed(plain)
}

// sendStraight sends what is sealed, and p behind it from where crypto/tls has sealed it. It returns what has not left of p. Under mu.
func (k *session) sendStraight(p []byte) (rest []byte) {
	o := k.out
	if o == nil {
		n, err := k.loop.sys.Write(int(k.fd), p)
		if err != nil && err != ErrAgain {
			k.failWrites(err)
			return nil
		}
		return p[n:]
	}
	before := len(o.b) - o.off
	o.vectors = [2][]byte{o.b[o.off:], p}
	n, err := k.loop.sys.Writev(int(k.fd), o.vectors[:])
	o.vectors = [2][]byte{}
	if err != nil && err != ErrAgain {
		k.failWrites(err)
		return nil
	}
	k.haveLeft(min(n, before))
	return p[max(n-before, 0):]
}

// placed notes that n bytes of the engine's are sealed. Under mu.
func (k *session) placed(n int) {
	if n == 0 {
		return
	}
	k.sealing -= int32(n)
	if k.out == nil { // straight to the socket
		k.gone += n
		return
	}
	o := k.out
	o.pieces[o.last] = piece{int32(n), int32(len(o.b))}
	o.last++
}

// flush gives the socket what is sealed. Under mu.
func (k *session) flush() {
	o := k.out
	if o == nil || k.outErr != nil {
		return
	}
	n, err := k.loop.sys.Write(int(k.fd), o.b[o.off:])
	if err != nil && err != ErrAgain {
		k.failWrites(err)
		return
	}
	k.haveLeft(n)
}

// haveLeft takes n bytes, which the socket has, off what is sealed. Under mu.
func (k *session) haveLeft(n int) {
	o := k.out
	o.off += n
	for o.first < o.last && int(o.pieces[o.first].end) <= o.off {
		k.gone += int(o.pieces[o.first].plain)
		o.first++
	}
	if o.off == len(o.b) {
		k.dropOut()
	}
}

// failWrites: nothing leaves any more. Under mu.
func (k *session) failWrites(err error) {
	k.outErr = err
	k.broken.Store(true)
	k.dropOut()
}

func (k *session) dropOut() {
	if o := k.out; o != nil {
		k.out = nil
		o.b, o.off, o.own, o.first, o.last = o.b[:0], 0, 0, 0, 0
		sealedPool.Put(o)
	}
}
