//go:build !race

package codec

// What the exhaustive tests put behind a first byte: all there is.
var (
	utf8AnyByte = utf8EveryByte()
	utf8AnyEdge = utf8Edges
	utf8Stride  = 1
)

func utf8EveryByte() (all []byte) {
	for b := range 256 {
		all = append(all, byte(b))
	}
	return all
}
