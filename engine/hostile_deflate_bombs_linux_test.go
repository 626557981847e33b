//go:build !race

package engine

import (
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// TestDeflateBombResident: of a bomb of 1 GiB no more than a limit of 128 MiB ever takes memory, as the kernel counts it.
func TestDeflateBombResident(t *testing.T) {
	const limit = 128 << 20
	say := string(maskedFrame(0xc2, bomb(1<<30)))
	s := startServer(t, echoHandler, Options{Deflate: &deflate.Policy{}, Limits: Limits{MaxMessageSize: limit}, InboundBudget: 2 << 30})
	a := attackDeflate(t, s, "/bomb", anyDeflate)
	a.say(t, string(maskedFrame(0xc2, bomb(100)))) // what the first message takes once: scratch, tables
	if _, err := readServerFrame(a.r); err != nil {
		t.Fatal(err)
	}
	peak := peakResident(t, func() {
		a.say(t, say)
		a.expectDeflateClose(t, 1009)
	})
	t.Logf("RSS rose by %d bytes beside the limit of %d", peak-limit, limit)
	if most := int64(limit + 64<<10 + 2*len(say) + 4<<20); peak > most || peak < limit*9/10 {
		t.Errorf("RSS rose by %d, at most %d", peak, most)
	}
}
