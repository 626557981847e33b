package netio_test

import (
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// FuzzSecure: the input chooses the calls, their sizes, and where the ciphertext is cut. Whatever it chooses, both ends hear what a plain pipe would
// have brought them: what the other one wrote, in order, and at any time no more than that.
func FuzzSecure(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})
	f.Add([]byte{3, 200, 255, 0, 90, 10, 4, 4, 4, 1, 250, 2, 2, 2, 5, 9, 7, 1})
	f.Add([]byte("handshakes, reads, writes and cuts in some order; then again, and once more"))
	f.Fuzz(func(t *testing.T, input []byte) {
		if len(input) < 4 || len(input) > 400 {
			return
		}
		rooms := []int{13, 400, 17_000, wide}
		l := newLine(t, roles[input[0]%4], uint64(input[1]), rooms[input[2]%4], rooms[input[3]%4])
		p := pipes{line: l, buf: make([]byte, 64<<10)}
		l.peer.Cut = func(n int) int { return min(n, 1+int(p.cut)*int(p.cut)) }
		for input = input[4:]; len(input) >= 2; input = input[2:] {
			p.step(input[0]%8, int(input[1]))
			p.compare()
		}
		p.finish()
	})
}

// pipes is a line, and what two plain pipes would have brought.
type pipes struct {
	*line
	down, up []byte // what was written, all of it
	heard    []byte // by the peer
	cut      byte
	buf      []byte
}

// step is one thing that either end does. n is how much.
func (p *pipes) step(what byte, n int) {
	size := n * n / 2
	switch what {
	case 0, 1:
		p.sys.Turn(p.sys.handler)
	case 2:
		if part := pattern(size, uint64(len(p.down))); p.peer.Open() && size > 0 {
			p.down = append(p.down, part...)
			p.send(part)
		}
	case 3:
		if k, _ := p.peer.Write(pattern(size, uint64(len(p.up)))); k > 0 {
			p.up = append(p.up, pattern(size, uint64(len(p.up)))[:k]...)
		}
	case 4:
		p.room, p.cut = 1+size, byte(n)
	case 5:
		p.peer.Flush()
		p.runLater()
	case 6:
		if k, err := p.peer.Read(p.buf[:1+size]); k > 0 && err == nil {
			p.heard = append(p.heard, p.buf[:k]...)
		}
	case 7:
		p.defers = n%2 == 0
		p.watch(p.watched ^ netio.Readable)
	}
}

// compare: nobody has heard anything else than what was written.
func (p *pipes) compare() {
	p.t.Helper()
	if n := len(p.got); n > len(p.up) || string(p.got) != string(p.up[:n]) {
		p.t.Fatalf("the carrier heard %v", sameBytes(p.got, p.up))
	}
	if n := len(p.heard); n > len(p.down) || string(p.heard) != string(p.down[:n]) {
		p.t.Fatalf("the peer heard %v", sameBytes(p.heard, p.down))
	}
}

// finish: in the end all of it has come.
func (p *pipes) finish() {
	p.t.Helper()
	p.room, p.peer.Cut = 64<<10, nil
	p.watch(p.watched | netio.Readable)
	rest, ended := p.settle()
	p.heard = append(p.heard, rest...)
	p.compare()
	if len(p.got) != len(p.up) || len(p.heard) != len(p.down) || p.answer != len(p.down) || ended != nil || p.ended != nil {
		p.t.Fatalf("got %d of %d, heard %d of %d, answered %d, ended %v and %v", len(p.got), len(p.up), len(p.heard), len(p.down), p.answer, ended, p.ended)
	}
	p.close()
}
