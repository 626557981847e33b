package handshake

import "math"

// What a request head may cost. Each default is generous to browsers (a typical head is
// 500 bytes and 12 fields; cookies may make it 8 KiB) and small to those who hold many open.
const (
	// DefaultMaxBytes is for everything up to and including the empty line.
	DefaultMaxBytes = 16 << 10
	// DefaultMaxLine is for the request line, where MaxBytes is the default. RFC 9112 3 recommends at least 8000.
	DefaultMaxLine = 8 << 10
	// DefaultMaxHeaders is a number of field lines, where MaxBytes is the default.
	DefaultMaxHeaders = 100

	// fieldBytes is what a longer MaxBytes leaves to the field lines: whoever raises it for a
	// long target gets a longer target.
	fieldBytes = DefaultMaxBytes - DefaultMaxLine

	// maxMethod bounds the wait for the first space. The longest registered method,
	// UPDATEREDIRECTREF, has 17 bytes.
	maxMethod = 32
	// maxProtocols bounds the search for one in common, which compares each that is offered with
	// each that is spoken: 16 KiB could otherwise offer 8,000 of them.
	maxProtocols = 64
)

// Limits bound a request head. The zero value means the defaults; so does a field that is
// zero or negative. They are applied as soon as they are passed, not when the head ends, so
// the caller never needs to keep more than MaxBytes bytes of a head.
type Limits struct {
	// MaxBytes is the most bytes in a head, the empty line that ends it included.
	// Default 16 KiB. A head that is longer is refused with 431.
	MaxBytes int
	// MaxLine is the most bytes in the request line, its CR LF included. Default: all but
	// 8 KiB of MaxBytes, but 8 KiB at least; never more than MaxBytes. A longer one is refused
	// with 414.
	MaxLine int
	// MaxHeaders is the most field lines. Default: 100 for each 16 KiB of MaxBytes, 100 at
	// least. More are refused with 431.
	MaxHeaders int
}

// effective fills in the defaults, and keeps every limit within what Parser's fields can count.
func (l Limits) effective() Limits {
	l.MaxBytes = limitOr(l.MaxBytes, DefaultMaxBytes)
	l.MaxLine = min(limitOr(l.MaxLine, max(l.MaxBytes-fieldBytes, DefaultMaxLine)), l.MaxBytes)
	l.MaxHeaders = limitOr(l.MaxHeaders, max(l.MaxBytes/(DefaultMaxBytes/4)*(DefaultMaxHeaders/4), DefaultMaxHeaders))
	return l
}

func limitOr(n, byDefault int) int {
	if n <= 0 {
		return byDefault
	}
	return min(n, math.MaxInt32)
}
