package engine

import (
	"strings"
	"testing"
)

// TestBodyDripIsLinear: a body in chunks of a byte, which come one by one, is not parsed from its beginning for each.
func TestBodyDripIsLinear(t *testing.T) {
	var a answerState
	body := strings.Repeat("1\r\na\r\n", bodyRead/6)
	parsed := 0
	for n := range len(body) {
		if a.looksAt(n) {
			parsed += n
		}
	}
	if most := 40 * len(body); parsed > most {
		t.Errorf("%d bytes were parsed of %d, want at most %d", parsed, len(body), most)
	}
}
