package outgoing

import (
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// A full cork is written, and only part of it leaves though the sink has room: what has left counts no more, even where
// the message that had no room in the cork now has, and asks for no write.
func TestShortWriteOfFullCork(t *testing.T) {
	r := newRig(t, nil, false)
	r.corked = true
	p := accounts(10_000)
	for range 3 {
		r.send(p, deflate.Agreement{})
	}
	r.sink.most = 15_000
	r.send(p, deflate.Agreement{})
	if n := r.out.Buffered(); n != 30_000 || r.sink.calls != 1 {
		t.Fatalf("after %d writes buffered is %d", r.sink.calls, n)
	}
	r.corked = false
	r.out.Flush(r.call())
	r.wants(p, p, p, p)
	r.gone()
}
