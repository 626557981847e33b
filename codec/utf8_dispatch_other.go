//go:build !amd64 || purego

package codec

// utf8Quick returns the length of a front of p that is valid and ends where a
// code point ends: all of p if it is short and ASCII, else none. p is more than
// 16 bytes.
func utf8Quick(p []byte) int {
	if n := len(p); n <= utf8ShortMax && utf8ShortASCII(p) {
		return n
	}
	return 0
}
