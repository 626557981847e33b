package corpus

import (
	_ "embed"
	"fmt"
	"strings"
	"sync"
)

// zlib6.txt is written by make_zlib6.py from what TestDump writes.
//
//go:embed zlib6.txt
var zlib6Text string

// zlibLine is a line of zlib6.txt: what zlib's level 6 made of a corpus, and which bytes it was given.
type zlibLine struct {
	Sizes
	crc32 uint32 // of all messages, one after the other
}

var zlib6 = sync.OnceValue(func() map[string]zlibLine {
	lines := map[string]zlibLine{}
	for line := range strings.Lines(zlib6Text) {
		name, rest, _ := strings.Cut(line, ": ")
		var l zlibLine
		if _, err := fmt.Sscanf(rest, "%g %g %x", &l.Takeover, &l.Alone, &l.crc32); err != nil {
			panic("corpus: zlib6.txt: " + err.Error())
		}
		lines[name] = l
	}
	return lines
})
