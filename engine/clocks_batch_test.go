package engine

import (
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// A batch shares a look at the clock, but what starts a clock starts it now: the callbacks before may have taken long.
func TestClosingStartsNow(t *testing.T) {
	slow := Funcs{Message: func(c *Conn, _ Message) { time.Sleep(30 * time.Millisecond) }}
	l, c := nullConn(t, slow, codec.AppendMaskedFrame(nil, OpBinary, true, false, [4]byte{1, 2, 3, 4}, []byte("x")))
	for range 3 { // of one batch
		l.OnEvent(5, netio.Readable)
	}
	before := l.sys.Now()
	l.sys.(*nullSystem).input = nil
	_ = c.Close() // the peer's Close is awaited from now on
	c.serve()
	if p := c.progress; p == nil || p.since < before {
		t.Fatalf("the clock of a closing starts at %+v, before %v", p, before)
	}
}
