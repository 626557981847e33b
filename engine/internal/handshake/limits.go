package handshake

import "math"

// What a request head may cost. Each default is generous to browsers (a typical head is
// 500 bytes and 12 fields; cookies may make it 8 KiB) and small to those who hold many open.
const (
	// DefaultMaxBytes is for everything up to and including the empty line.
	DefaultMaxBytes = 16 << 10
	// DefaultMaxLine is for the request line. RFC 9112 3 recommends at least 8000.
	DefaultMaxLine = 8 << 10
	// DefaultMaxHeaders is a number of field lines.
	DefaultMaxHeaders = 100

	// maxMethod bounds the wait for the first space. The longest registered method,
	// UPDATEREDIRECTREF, has 17 bytes.
	maxMethod = 32
	// maxProtocols bounds the search for a sub-protocol offered twice, which compares each
	// with all before it: 16 KiB could otherwise hold 5,400 of them, 15 million comparisons.
	maxProtocols = 64
)

// Limits bound a request head. The zero value means the defaults; so does a field that is
// zero or negative. They are applied as soon as they are passed, not when the head ends, so
// the caller never needs to keep more than MaxBytes bytes of a head.
type Limits struct {
	// MaxBytes is the most bytes in a head, the empty line that ends it included.
	// Default 16 KiB. A head that is longer is refused with 431.
	MaxBytes int
	// MaxLine is the most bytes in the request line, its CR LF included.
	// Default 8 KiB; never more than MaxBytes. A longer one is refused with 414.
	MaxLine int
	// MaxHeaders is the most field lines. Default 100. More are refused with 431.
	MaxHeaders int
}

// effective fills in the defaults, and keeps every limit within what Parser's fields can count.
func (l Limits) effective() Limits {
	l.MaxBytes = limitOr(l.MaxBytes, DefaultMaxBytes)
	l.MaxLine = min(limitOr(l.MaxLine, DefaultMaxLine), l.MaxBytes)
	l.MaxHeaders = limitOr(l.MaxHeaders, DefaultMaxHeaders)
	return l
}

func limitOr(n, byDefault int) int {
	if n <= 0 {
		return byDefault
	}
	return min(n, math.MaxInt32)
}
