//go:build !gannetdebug

// The debug build records who took each buffer: it allocates by design.

package engine

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// deflatePolicies are those under which a message may cost no allocation.
var deflatePolicies = map[string]deflate.Policy{
	"shared history": {},
	"no takeover":    {Takeover: deflate.NoTakeover, PeerNoTakeover: true},
	"level 6":        {Level: 6},
	"9 bits":         {SendWindowBits: 9, ReceiveWindowBits: 9},
	"own compressor": {Takeover: deflate.OwnCompressor},
}

// drum writes bytes and skips as many frames as answer them, without allocating: the counts are of the whole process.
type drum struct {
	*attacker
	r *bufio.Reader
}

func newDrum(t *testing.T, s *Server) *drum {
	a := attackDeflate(t, s, "/drum", anyDeflate)
	_ = a.SetDeadline(time.Now().Add(timeoutOf(60)))
	return &drum{a, bufio.NewReaderSize(a.r, 256<<10)}
}

func (d *drum) beat(t *testing.T, p []byte) {
	if _, err := d.Write(p); err != nil {
		t.Fatal(err)
	}
}

// skip reads frames up to n that end a message.
func (d *drum) skip(t *testing.T, n int) (compressed bool) {
	for n > 0 {
		fin, rsv1 := d.skipFrame(t)
		compressed = compressed || rsv1
		if fin {
			n--
		}
	}
	return compressed
}

func (d *drum) skipFrames(t *testing.T, n int) {
	for range n {
		d.skipFrame(t)
	}
}

// skipFrame reads one frame.
func (d *drum) skipFrame(t *testing.T) (fin, rsv1 bool) {
	h, err := d.r.Peek(2)
	if err != nil {
		t.Fatal(err)
	}
	fin, rsv1 = h[0]&0x80 != 0, h[0]&0x40 != 0
	if h[0]&15 == 8 {
		t.Fatal("the server closed")
	}
	head, size := 2, int(h[1])
	switch size {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if h, err = d.r.Peek(head); err != nil {
		t.Fatal(err)
	}
	switch head {
	case 4:
		size = int(binary.BigEndian.Uint16(h[2:]))
	case 10:
		size = int(binary.BigEndian.Uint64(h[2:]))
	}
	if _, err := d.r.Discard(head + size); err != nil {
		t.Fatal(err)
	}
	return fin, rsv1
}

// demandNoDeflateMallocs runs beat, which moves so many messages, often enough for a count, under every policy.
func demandNoDeflateMallocs(t *testing.T, h Funcs, total, perBeat int, beat func(t *testing.T, d *drum, c *Conn)) {
	for name, p := range deflatePolicies {
		t.Run(name, func(t *testing.T) {
			opened := make(chan *Conn, 1)
			h.Open = func(c *Conn) { opened <- c }
			s := startServer(t, h, Options{Deflate: &p, Loops: 1})
			d := newDrum(t, s)
			c := <-opened
			if mallocMessages(t) == 0 {
				for range max(500/perBeat, 2) {
					beat(t, d, c)
				}
				return
			}
			demandNoMallocs(t, total, func() {
				for range total / perBeat {
					beat(t, d, c)
				}
			})
			if n := s.Stats().Deflate; n.MessagesIn+n.MessagesOut == 0 {
				t.Errorf("%+v", n)
			}
		})
	}
}

func mustCompress(t *testing.T, compressed bool) {
	if !compressed {
		t.Fatal("the answers were not compressed")
	}
}

func TestMallocsDeflateEcho(t *testing.T) {
	once(t)
	batch := bytes.Repeat(maskedFrame(0xc1, alone(t, accounts(1000))), 10)
	demandNoDeflateMallocs(t, echoHandler, 40_000, 10, func(t *testing.T, d *drum, _ *Conn) {
		d.beat(t, batch)
		mustCompress(t, d.skip(t, 10))
	})
}

func TestMallocsDeflateFragmentsIn(t *testing.T) {
	once(t)
	batch := bytes.Repeat(fragmentsOf(0xc1, alone(t, accounts(5000)), 300), 5)
	demandNoDeflateMallocs(t, echoHandler, 20_000, 5, func(t *testing.T, d *drum, _ *Conn) {
		d.beat(t, batch)
		mustCompress(t, d.skip(t, 5))
	})
}

// TestMallocsDeflateWriter: a NewWriter is one allocation, and its fragments, compressed each as it is written, are none.
func TestMallocsDeflateWriter(t *testing.T) {
	once(t)
	const fragments = 2000
	part := accounts(700)
	demandNoDeflateMallocs(t, Funcs{}, 20*fragments, fragments, func(t *testing.T, d *drum, c *Conn) {
		w := c.NewWriter(OpText)
		for k := range fragments {
			if _, err := w.Write(part); err != nil {
				t.Fatal(err)
			}
			if k%100 == 99 { // before too much waits
				d.skipFrames(t, 100)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		d.skip(t, 1)
	})
}

func TestMallocsDeflateSendFromElsewhere(t *testing.T) {
	once(t)
	p := accounts(1000)
	demandNoDeflateMallocs(t, Funcs{}, 20_000, 1, func(t *testing.T, d *drum, c *Conn) {
		if err := c.Send(OpText, p); err != nil {
			t.Fatal(err)
		}
		mustCompress(t, d.skip(t, 1))
	})
}

// TestMallocsDeflateLong: messages of 1 MiB, which come in several reads and are compressed slice by slice, on the loop, to
// leave in one frame or in fragments; and of 8, of which more than a MiB is collected. They are too long to send enough of
// them for a mean, in which what the pools take once would vanish: some run needs none at all.
func TestMallocsDeflateLong(t *testing.T) {
	once(t)
	testMallocsDeflateLong(t, 1<<20, 20, deflate.Policy{})
	testMallocsDeflateLong(t, 1<<20, 20, deflate.Policy{Takeover: deflate.NoTakeover})
	testMallocsDeflateLong(t, 1<<20, 20, deflate.Policy{FrameBytes: -1})
	if !raceEnabled {
		testMallocsDeflateLong(t, 8<<20, 2, deflate.Policy{})
	}
}

func testMallocsDeflateLong(t *testing.T, size, messages int, policy deflate.Policy) {
	frame := maskedFrame(0xc1, squeezed(accounts(size), nil))
	const tries = 30
	s := startServer(t, echoHandler, Options{Deflate: &policy, Loops: 1})
	d := newDrum(t, s)
	fewest := uint64(1 << 32)
	for try := 0; try < tries && fewest > 0; try++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range messages {
			d.beat(t, frame)
			mustCompress(t, d.skip(t, 1))
		}
		runtime.ReadMemStats(&after)
		if fewest = min(fewest, after.Mallocs-before.Mallocs); raceEnabled {
			break
		}
	}
	if fewest > 0 && !raceEnabled {
		t.Errorf("%+v: %d allocations for %d messages of %d bytes", policy, fewest, messages, size)
	}
}

// TestMallocsDeflatePrepared: a broadcast is compressed once, and none of its receivers allocates.
func TestMallocsDeflatePrepared(t *testing.T) {
	once(t)
	const receivers = 50
	for name, policy := range deflatePolicies {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, Funcs{}, Options{Deflate: &policy, Loops: 1})
			all := make([]*drum, receivers)
			for i := range all {
				all[i] = newDrum(t, s)
			}
			within(t, timeoutOf(5), "all are open", func() bool { return s.Stats().Open == receivers })
			p, err := Prepare(OpText, accounts(1000))
			if err != nil {
				t.Fatal(err)
			}
			n := min(mallocMessages(t), 20_000)
			send := func() {
				for range max(n/receivers, 5) {
					s.Broadcast(p, nil)
					for _, d := range all {
						mustCompress(t, d.skip(t, 1))
					}
				}
			}
			if n == 0 {
				send()
				return
			}
			demandNoMallocs(t, n, send)
		})
	}
}
