// Package maskkey makes the masking keys of a client's frames. RFC 6455 10.3 wants them to be unpredictable: a script that
// could foresee them would choose the bytes on the wire, and with them what an intermediary that knows no WebSocket takes
// for requests of its own.
package maskkey

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"sync"
)

// source is a CSPRNG (ChaCha8), seeded by the system once.
type source struct {
	rng  *rand.ChaCha8
	half uint32 // the other half of what it made last
	has  bool
}

// sources has about one for each processor: no lock is contended, and the system is asked when a collection has emptied the pool.
var sources = sync.Pool{New: func() any { return newSource() }}

// newSource has a seed of its own: no two sources make the same keys, and none can be told from another's.
func newSource() *source {
	var seed [32]byte
	crand.Read(seed[:]) // never fails
	return &source{rng: rand.NewChaCha8(seed)}
}

// New is a key that nobody could foresee. It is never all zeros, which would mask nothing. Any goroutine.
func New() (key [4]byte) {
	s := sources.Get().(*source)
	n := s.next()
	for n == 0 {
		n = s.next()
	}
	sources.Put(s)
	binary.NativeEndian.PutUint32(key[:], n)
	return key
}

func (s *source) next() uint32 {
	if s.has {
		s.has = false
		return s.half
	}
	n := s.rng.Uint64()
	s.half, s.has = uint32(n>>32), true
	return uint32(n)
}
