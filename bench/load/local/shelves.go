package local

import "math/bits"

// shelves keep the queues of peers that wait for nothing, by the logarithm of their lengths: an idle peer has none, and most messages
// find one that was used before.
type shelves [32][][]entry

const (
	firstQueue = 2
	shelfBytes = 1 << 20 // what one shelf keeps; the rest is the collector's
	entryBytes = 16
)

// take gives a queue of a length, which is a power of two.
func (s *shelves) take(length int) []entry {
	shelf := &s[bits.TrailingZeros(uint(length))]
	n := len(*shelf)
	if n == 0 {
		return make([]entry, length)
	}
	q := (*shelf)[n-1]
	(*shelf)[n-1], *shelf = nil, (*shelf)[:n-1]
	return q
}

// put keeps a queue, or nil, for the next one who needs it.
func (s *shelves) put(q []entry) {
	if len(q) == 0 {
		return
	}
	shelf := &s[bits.TrailingZeros(uint(len(q)))]
	if (len(*shelf)+1)*len(q)*entryBytes <= shelfBytes {
		*shelf = append(*shelf, q)
	}
}
