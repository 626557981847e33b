package netio

import (
	"bytes"
	"testing"
)

// TestSecureReadsShareATurn: a Read ends by its time, and when many have done so since the poller was looked at, after a few records; nothing is lost.
func TestSecureReadsShareATurn(t *testing.T) {
	forEachLine(t, func(t *testing.T, l *line) {
		const records = 2000
		for range records {
			l.say([]byte("x"))
		}
		l.sock.tick = readTime / 10
		var took []int
		read := func() {
			if l.turn()&Readable == 0 {
				t.Fatal("nobody hears of the rest")
			}
			p, err := l.read(records)
			if err != nil || !bytes.Equal(p, bytes.Repeat([]byte("x"), len(p))) {
				t.Fatal(err)
			}
			took = append(took, len(p))
		}
		for range 12 {
			read()
		}
		l.s.OnBatchEnd()
		read()
		for i, n := range took {
			if few, busy := n <= recordsPerLook, i >= int(readsTime/readTime) && i < 12; few != busy || n > 20*recordsPerLook {
				t.Fatalf("Reads took %v records", took)
			}
		}
	})
}
