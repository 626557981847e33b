package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// clocked is a meter whose clock is the test's.
type clocked struct {
	meter
	now  time.Duration
	step time.Duration // by which a look at it moves it
}

func (k *clocked) Now() time.Duration {
	k.now += k.step
	return k.now
}

// meteredDeflate is meteredConn with permessage-deflate and a standing clock.
func meteredDeflate(t *testing.T, h Handler, o Options) (*loop, *clocked, *Conn) {
	t.Helper()
	o.Loops = 1
	s, err := NewServer(h, deflating(o))
	if err != nil {
		t.Fatal(err)
	}
	m := &clocked{meter: meter{credit: 1 << 20}, now: time.Hour}
	l := s.newLoop(m, nil, nil)
	s.loops.Store(&[]*loop{l})
	l.adopt(arrival{fd: 5})
	m.input = nullRequest
	l.OnEvent(5, netio.Readable)
	l.OnBatchEnd()
	c := l.table.get(5)
	if c.ReadyState() != Open || !c.deflates {
		t.Fatal("not open")
	}
	m.credit, m.taken = 0, nil
	t.Cleanup(func() {
		c.Terminate()
		l.OnWake()
		l.OnWake()
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
	})
	return l, m, c
}

func newReaderOf(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

// frameEnd is where the first frame of a server's stream ends; 0: it is not whole.
func frameEnd(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	head, n := 2, int(b[1])
	switch {
	case n == 126 && len(b) >= 4:
		head, n = 4, int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		head, n = 10, int(binary.BigEndian.Uint64(b[2:]))
	case n >= 126:
		return 0
	}
	if len(b) < head+n {
		return 0
	}
	return head + n
}
