//go:build race

package codec

// What the exhaustive tests put behind a first byte. The race detector makes them
// slow and has nothing to find there: the edges will do.
var (
	utf8AnyByte = utf8Edges
	utf8AnyEdge = []byte("\x00\x7F\x80\xBF\xC0\xFF")
	utf8Stride  = 7 // of offsets: no block of a kernel has a length that it divides
)
