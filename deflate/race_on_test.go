//go:build race

package deflate

// unraced is n, or less under the race detector: it makes a compressor ten times as slow, and has nothing to find where one goroutine
// runs alone.
func unraced(_, less int) int { return less }
