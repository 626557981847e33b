//go:build !gannetdebug

// The debug build records who took each buffer: it allocates by design.

package engine

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/codec"
)

// maxMallocs is how many allocations of the whole process, all goroutines and the
// garbage collector's included, one message may cost. (AllocsPerRun rounds down.)
const maxMallocs = 0.001

// mallocRounds is how often f is counted: twice, so that what one processor's pools take once, when a loop comes to it,
// weighs half of what comes again with every round.
const mallocRounds = 2

// demandNoMallocs runs f, which moves messages messages, and counts. What comes with every message comes in each of the tries,
// what else the process does does not.
func demandNoMallocs(t *testing.T, messages int, f func()) {
	t.Helper()
	f() // warm: pools, stacks, the poller's lists
	for tries := 1; ; tries++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range mallocRounds {
			f()
		}
		runtime.ReadMemStats(&after)
		each := float64(after.Mallocs-before.Mallocs) / float64(mallocRounds*messages)
		t.Logf("%.5f mallocs a message (%d in %d)", each, after.Mallocs-before.Mallocs, mallocRounds*messages)
		if each <= maxMallocs {
			return
		}
		if tries == 3 {
			t.Fatalf("%.5f mallocs a message, at most %v are allowed; one more time, by the stacks that allocate:\n%s", each, maxMallocs, allocating(f))
		}
	}
}

// allocating runs f and tells what the process allocated meanwhile, and where. A profile tells of the time before the last collection but one;
// the two that it takes empty the pools, which then fill up once.
func allocating(f func()) string {
	defer func(rate int) { runtime.MemProfileRate = rate }(runtime.MemProfileRate)
	runtime.MemProfileRate = 1
	count := func() map[[32]uintptr]int64 {
		runtime.GC()
		runtime.GC()
		all := make([]runtime.MemProfileRecord, 100_000)
		n, _ := runtime.MemProfile(all, true)
		counts := make(map[[32]uintptr]int64, n)
		for _, r := range all[:n] {
			counts[r.Stack0] += r.AllocObjects
		}
		return counts
	}
	before := count()
	f()
	var text strings.Builder
	for stack, n := range count() {
		if n -= before[stack]; n == 0 {
			continue
		}
		var at []string
		frames := runtime.CallersFrames(stack[:])
		for f, more := frames.Next(); f.Function != ""; f, more = frames.Next() {
			if at = append(at, fmt.Sprintf("%s:%d", f.Function, f.Line)); !more {
				break
			}
		}
		fmt.Fprintln(&text, n, "at", strings.Join(at, " < "))
	}
	return text.String()
}

// exchange writes out over and over, and reads as many bytes as come back.
type exchange struct {
	c    net.Conn
	out  []byte
	back []byte
}

func newExchange(t *testing.T, s *Server, out []byte, back int) *exchange {
	return &exchange{dial(t, s), out, make([]byte, back)}
}

func (x *exchange) run(t *testing.T, times int) {
	for range times {
		if _, err := x.c.Write(x.out); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(x.c, x.back); err != nil {
			t.Fatal(err)
		}
	}
}

func clientFrame(op Opcode, fin bool, p []byte) []byte {
	return codec.AppendMaskedFrame(nil, op, fin, false, testKey, p)
}

func mallocMessages(t *testing.T) int {
	if raceEnabled {
		t.Log("the race detector allocates: this run only exercises the paths")
		return 0
	}
	if strconv.IntSize == 32 {
		return 30_000 // without SIMD 16 KiB take long
	}
	return 100_000
}

func testEchoMallocs(t *testing.T, batch []byte, perBatch, back int) {
	n := mallocMessages(t)
	s := startServer(t, echoHandler, Options{Loops: 1, Limits: Limits{MaxControlRate: 1 << 20}})
	x := newExchange(t, s, batch, back)
	if n == 0 {
		x.run(t, 100)
		return
	}
	demandNoMallocs(t, n, func() { x.run(t, n/perBatch) })
}

func TestMallocsEcho128B(t *testing.T) {
	frame := clientFrame(OpBinary, true, make([]byte, 128))
	testEchoMallocs(t, bytes.Repeat(frame, 10), 10, 10*130)
}

// A Mux costs a message nothing.
func TestMallocsMux(t *testing.T) {
	once(t)
	n := mallocMessages(t)
	s := startServer(t, muxOf(t, map[string]Handler{"/{x}": echoHandler, "/other": Funcs{}}), Options{Loops: 1})
	x := newExchange(t, s, bytes.Repeat(clientFrame(OpBinary, true, make([]byte, 128)), 10), 10*130)
	if n == 0 {
		x.run(t, 100)
		return
	}
	demandNoMallocs(t, n, func() { x.run(t, n/10) })
}

func TestMallocsEchoText(t *testing.T) {
	frame := clientFrame(OpText, true, bytes.Repeat([]byte("é"), 64))
	testEchoMallocs(t, bytes.Repeat(frame, 10), 10, 10*130)
}

func TestMallocsEcho16KiB(t *testing.T) {
	once(t)
	testEchoMallocs(t, clientFrame(OpBinary, true, make([]byte, 16<<10)), 1, 16<<10+4)
}

func TestMallocsFragments(t *testing.T) {
	once(t)
	var m []byte
	m = append(m, clientFrame(OpBinary, false, make([]byte, 100))...)
	m = append(m, clientFrame(OpPing, true, []byte("between"))...)
	m = append(m, clientFrame(codec.OpContinuation, false, make([]byte, 3000))...)
	m = append(m, clientFrame(codec.OpContinuation, true, make([]byte, 100))...)
	testEchoMallocs(t, m, 1, 2+len("between")+4+3200)
}

func TestMallocsPings(t *testing.T) {
	ping := clientFrame(OpPing, true, []byte("payload"))
	testEchoMallocs(t, bytes.Repeat(ping, 10), 10, 10*(2+len("payload")))
}

func TestMallocsBroadcast(t *testing.T) {
	const receivers = 100
	n := mallocMessages(t)
	p, err := Prepare(OpBinary, make([]byte, 128))
	if err != nil {
		t.Fatal(err)
	}
	s := startServer(t, Funcs{}, Options{Loops: 1})
	all := make([]*exchange, receivers)
	for i := range all {
		all[i] = newExchange(t, s, nil, 130)
	}
	send := func() {
		for range max(n/receivers, 1) {
			s.Broadcast(p, nil)
			for _, x := range all {
				x.run(t, 1)
			}
		}
	}
	if n == 0 {
		send()
		return
	}
	demandNoMallocs(t, n, send)
}

func TestMallocsSendFromElsewhere(t *testing.T) {
	n := mallocMessages(t)
	opened := make(chan *Conn, 1)
	s := startServer(t, Funcs{Open: func(c *Conn) { opened <- c }}, Options{Loops: 1})
	x := newExchange(t, s, nil, 130)
	c, p := <-opened, make([]byte, 128)
	send := func() {
		for range max(n, 100) {
			if err := c.SendBinary(p); err != nil {
				t.Fatal(err)
			}
			x.run(t, 1)
		}
	}
	if n == 0 {
		send()
		return
	}
	demandNoMallocs(t, n, send)
}
