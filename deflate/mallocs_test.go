//go:build !race && !gannetdebug

// Under the race detector sync.Pool drops one in four at random, and gannetdebug uses no buffer twice.

package deflate

import (
	"runtime"
	"testing"
	"unsafe"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/pool"
)

// Messages need no allocations, whole or in parts, with any kind of takeover, out and in: the process's, all goroutines
// and the garbage collector counted. (AllocsPerRun rounds down.)
func TestMallocs(t *testing.T) {
	const count, most = 40_000, 0.001
	messages := corpus.Named("json 1 KiB").Messages
	for i, p := range []Policy{{}, {Takeover: NoTakeover}, {HistoryBytes: 512}, {Takeover: OwnCompressor}, {Level: 6}} {
		bits := [...]uint8{15, 15, 9, 15, 15}[i]
		w := newWire(t, p, Direction{bits, p.Takeover != NoTakeover})
		dst, out := make([]byte, 0, 4096), make([]byte, 4096)
		run := func(n int) {
			for i := range n {
				m := messages[i%len(messages)]
				var payload []byte
				if i%8 == 0 {
					w.sender.Begin()
					payload = w.sender.Write(dst, m[:500], true)
					payload = w.sender.End(w.sender.Write(payload, m[500:], false))
				} else {
					payload, _ = w.sender.Compress(dst, m)
				}
				k, _, step, err := w.receiver.Inflate(out, payload, true)
				if k != len(m) || step != Done || err != nil {
					t.Fatal(k, step, err)
				}
			}
		}
		run(4000) // every CPU has its encoders
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run(count)
		runtime.ReadMemStats(&after)
		if each := float64(after.Mallocs-before.Mallocs) / count; each > most {
			t.Errorf("%+v: %.4f mallocs a message", p, each)
		}
	}
}

// 10,000 connections after 10 messages each way: a window and a kilobyte in, a history and a kilobyte out, and nothing
// before the first message.
func TestMemory(t *testing.T) {
	messages := corpus.Named("json 1 KiB").Messages
	const connections, each = 10_000, 10
	for _, bits := range []int{9, 12, 15} {
		x, err := New(Policy{SendWindowBits: bits, ReceiveWindowBits: bits})
		if err != nil {
			t.Fatal(err)
		}
		a, _ := x.Negotiate(lines("permessage-deflate; client_max_window_bits"))
		payloads := make([][]byte, each)
		s := x.Sender(Agreement{Send: a.Receive}, pool.New())
		for i := range payloads {
			payloads[i], _ = s.Compress(nil, messages[i])
		}
		s.Close()

		mem := pool.New()
		senders, receivers := make([]Sender, connections), make([]Receiver, connections)
		before := heap()
		for i := range senders {
			senders[i], receivers[i] = x.Sender(a, mem), x.Receiver(a, mem)
		}
		if n := mem.Stats().OutBytes; n != 0 {
			t.Errorf("%d bits: %d bytes before the first message", bits, n)
		}
		dst := make([]byte, 4096)
		for i := range receivers {
			for _, p := range payloads {
				if _, _, step, err := receivers[i].Inflate(dst, p, true); step != Done || err != nil {
					t.Fatal(step, err)
				}
			}
		}
		in := mem.Stats().OutBytes
		for i := range senders {
			for _, m := range messages[:each] {
				if _, ok := senders[i].Compress(dst[:0], m); !ok {
					t.Fatal("not compressed")
				}
			}
		}
		out := mem.Stats().OutBytes - in
		total := int(heap()-before)/connections + int(unsafe.Sizeof(Sender{})+unsafe.Sizeof(Receiver{}))
		t.Logf("%d bits: a connection keeps %d bytes in and %d out; on the heap %d, its two structs included",
			bits, in/connections, out/connections, total)
		window, history := 1<<bits, min(1<<bits, x.Policy().HistoryBytes)
		if int(in/connections) > window+1024 || int(out/connections) > history+1024 || total > window+history+2048 {
			t.Errorf("%d bits: too much", bits)
		}
		for i := range senders {
			senders[i].Close()
			receivers[i].Close()
		}
		if n := mem.Stats().Out; n != 0 {
			t.Errorf("%d buffers are still out", n)
		}
	}
}

func heap() uint64 {
	runtime.GC()
	runtime.GC() // sync.Pools keep what they hold for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
