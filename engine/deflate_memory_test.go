package engine

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/deflate"
)

// talk is 10 messages of 1 KiB, as one connection would send them, plain and compressed.
type talk struct{ plain, compressed [][]byte }

func newTalk(t *testing.T) talk {
	k := talk{plain: corpus.Named("json 1 KiB").Messages[:10]}
	for _, m := range k.plain {
		k.compressed = append(k.compressed, alone(t, m))
	}
	return k
}

// alone is p compressed in a way that fits a window of 9 bits and refers to nothing before it.
func alone(t *testing.T, p []byte) []byte {
	x, err := deflate.New(deflate.Policy{MinSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	out, ok := x.Compress(nil, p, 9)
	if !ok {
		t.Fatal("not compressed")
	}
	return out
}

// settledMemory is the Go heap after what is unreachable, and what pools keep, has gone.
func settledMemory() int64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestDeflateMemoryEach: after 10 messages in, and 10 out, a connection keeps at most its window and a KiB, and its
// history and a KiB, which the pool's count, the receiver's own and the heap say alike; with nothing agreed on takeover
// it keeps nothing; and before its first compressed message nothing at all.
func TestDeflateMemoryEach(t *testing.T) {
	for _, k := range []struct {
		bits    int
		policy  deflate.Policy
		in, out int64 // the most bytes of buffers
	}{
		{9, deflate.Policy{SendWindowBits: 9, ReceiveWindowBits: 9}, 512 + 1024, 512 + 1024},
		{12, deflate.Policy{SendWindowBits: 12, ReceiveWindowBits: 12}, 4096 + 1024, 4096 + 1024},
		{15, deflate.Policy{}, 32768 + 1024, deflate.DefaultHistoryBytes + 1024},
		{15, deflate.Policy{HistoryBytes: 512}, 32768 + 1024, 512 + 1024},
		{15, deflate.Policy{Takeover: deflate.NoTakeover, PeerNoTakeover: true}, 0, 0},
	} {
		t.Run(fmt.Sprintf("%d bits, %+v", k.bits, k.policy), func(t *testing.T) {
			conns := int64(unraced(200, 40)) // the race detector's heap says nothing
			opened := make(chan *Conn, conns)
			received := make(chan struct{}, 10*conns)
			s := startServer(t, Funcs{
				Open:    func(c *Conn) { opened <- c },
				Message: func(*Conn, Message) { received <- struct{}{} },
			}, Options{Deflate: &k.policy, Loops: 2})
			all, served := make([]*attacker, conns), make([]*Conn, conns)
			for i := range all {
				all[i] = attackDeflate(t, s, "/memory", anyDeflate)
				served[i] = <-opened
				all[i].say(t, string(maskedFrame(0x81, []byte("plain"))))
				<-received
				if err := served[i].SendText("short"); err != nil {
					t.Fatal(err)
				}
				if f, err := all[i].hear(); err != nil || string(f.payload) != "short" {
					t.Fatal(f, err)
				}
			}
			within(t, timeoutOf(5), "nothing is left of plain messages", func() bool { return s.Stats().Buffers.Out == 0 })
			for _, c := range served {
				if c.deflation.Load() != nil {
					t.Fatal("a deflation before the first compressed message")
				}
			}
			words := newTalk(t)
			before := settledMemory()
			for _, a := range all {
				for _, p := range words.compressed {
					a.say(t, string(maskedFrame(0xc1, p)))
					<-received
				}
			}
			in := s.Stats().Buffers.OutBytes
			for i, c := range served {
				for _, p := range words.plain {
					if err := c.Send(OpText, p); err != nil {
						t.Fatal(err)
					}
					if f, err := readServerFrame(all[i].r); err != nil || !f.rsv1 {
						t.Fatal(f, err)
					}
				}
			}
			within(t, timeoutOf(5), "nothing is queued", func() bool {
				for _, c := range served {
					if c.BufferedAmount() != 0 {
						return false
					}
				}
				return true
			})
			out := s.Stats().Buffers.OutBytes - in
			heap := (settledMemory() - before) / conns
			t.Logf("%d bytes in, %d out, %d of heap", in/conns, out/conns, heap)
			if in > conns*k.in || out > conns*k.out {
				t.Errorf("%d bytes in, %d out, at most %d and %d", in/conns, out/conns, k.in, k.out)
			}
			if most := k.in + k.out + int64(unsafe.Sizeof(deflation{})) + 512; heap > most && !raceEnabled {
				t.Errorf("%d bytes of heap, at most %d", heap, most)
			}
		})
	}
}

// TestDeflateMemoryRests: a connection that is still for a while drops its history, and its window is packed; both are
// there again, and right, with the next message.
func TestDeflateMemoryRests(t *testing.T) {
	r := newTapeRig(t, echoHandler, Options{Deflate: deflateOn(), Limits: Limits{IdleTimeout: -1, PingInterval: -1}})
	c := r.openDeflate(anyDeflate)
	var ear deflateEar
	var sent []byte
	say := func(p []byte) {
		t.Helper()
		r.feed(maskedFrame(0xc1, squeezed(p, sent)))
		sent = append(sent, p...)
		if _, got, err := ear.hear(bytes.NewReader(r.sent())); err != nil || !bytes.Equal(got, p) {
			t.Fatalf("%d bytes for %d, %v", len(got), len(p), err)
		}
	}
	text := accounts(64 << 10)
	for k := range 32 {
		say(text[k*1000 : k*1000+1000])
	}
	awake := r.s.Stats().Buffers.OutBytes
	r.pass(2*restAfter + time.Second)
	resting := r.s.Stats().Buffers.OutBytes
	t.Logf("%d bytes, resting %d", awake, resting)
	if awake < 32<<10 || resting > awake/2 {
		t.Errorf("%d bytes, resting %d", awake, resting)
	}
	for k := range 8 {
		say(text[k*3000 : k*3000+3000])
		r.pass(2*restAfter + time.Second)
	}
	if c.ReadyState() != Open {
		t.Error(c.ReadyState())
	}
	r.end()
}

// TestDeflateHeldIsCharged: window and inflater are charged with what is unfinished.
func TestDeflateHeldIsCharged(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{Deflate: deflateOn()})
	c := r.openDeflate(anyDeflate)
	r.feed(maskedFrame(0x42, unfinished(1<<20)))
	held := int64(c.deflation.Load().receiver.Held())
	inflated := int64(r.s.Stats().Deflate.BytesIn)
	if n := r.s.Stats().InboundBytes; held < 32<<10 || held > 48<<10 || inflated < 1_000_000 || n != inflated+held-reserveBytes {
		t.Errorf("%d bytes charged for %d inflated; the receiver holds %d", n, inflated, held)
	}
	r.sys.ended = io.EOF
	r.end()
}
