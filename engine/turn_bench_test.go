package engine

import (
	"net/netip"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// nullSystem reads the same bytes for ever and takes whatever is written: what is left
// is the engine's own time.
type nullSystem struct {
	input   []byte
	written int
	start   time.Time
}

func (n *nullSystem) Run(netio.Handler) error           { return nil }
func (n *nullSystem) Wake()                             {}
func (n *nullSystem) SetTimer(time.Duration)            {}
func (n *nullSystem) Now() time.Duration                { return time.Since(n.start) }
func (n *nullSystem) Add(int) error                     { return nil }
func (n *nullSystem) Remove(int)                        {}
func (n *nullSystem) CloseWrite(int) error              { return nil }
func (n *nullSystem) Probe(int) error                   { return nil }
func (n *nullSystem) Unacked(int) (int, uint64)         { return 0, 0 }
func (n *nullSystem) Close(int) error                   { return nil }
func (n *nullSystem) Abort(int) error                   { return nil }
func (n *nullSystem) Release() error                    { return nil }
func (n *nullSystem) Read(_ int, p []byte) (int, error) { return copy(p, n.input), nil }
func (n *nullSystem) Write(_ int, p []byte) (int, error) {
	n.written += len(p)
	return len(p), nil
}
func (n *nullSystem) Writev(fd int, v [][]byte) (total int, err error) {
	for _, p := range v {
		k, _ := n.Write(fd, p)
		total += k
	}
	return total, nil
}
func (n *nullSystem) Interest(int, netio.Interest, netio.Interest) error { return nil }
func (n *nullSystem) Accept(int) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, netio.ErrAgain
}

var nullRequest = []byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n")

// nullConn is an open connection on a loop that nobody runs.
func nullConn(b testing.TB, h Handler, input []byte) (*loop, *Conn) {
	b.Helper()
	return nullConnWith(b, h, Options{}, input)
}

func nullConnWith(b testing.TB, h Handler, o Options, input []byte) (*loop, *Conn) {
	b.Helper()
	o.Loops = 1
	s, err := NewServer(h, o)
	if err != nil {
		b.Fatal(err)
	}
	sys := &nullSystem{start: time.Now()}
	l := s.newLoop(sys, nil, nil)
	s.loops.Store(&[]*loop{l})
	l.adopt(arrival{fd: 5})
	sys.input = nullRequest
	l.OnEvent(5, netio.Readable)
	c := l.table.get(5)
	if c.ReadyState() != Open {
		b.Fatal("not open")
	}
	l.OnBatchEnd()
	sys.input, sys.written = input, 0
	return l, c
}

// BenchmarkTurn is the engine's own time per turn and message, without the kernel's. A look at the poller finds
// 16 connections ready, or, in the cases named alone, one.
func BenchmarkTurn(b *testing.B) {
	for _, k := range []struct {
		name        string
		size, depth int
		batch       int
	}{{"128B", 128, 1, 16}, {"128Bx16", 128, 16, 16}, {"128Bx256", 128, 256, 16}, {"16KiB", 16 << 10, 1, 16},
		{"128Balone", 128, 1, 1}, {"128Bx256alone", 128, 256, 1}} {
		b.Run(k.name, func(b *testing.B) {
			var input []byte
			for range k.depth {
				input = codec.AppendMaskedFrame(input, OpBinary, true, false, [4]byte{1, 2, 3, 4}, make([]byte, k.size))
			}
			l, _ := nullConn(b, echoHandler, input)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				l.OnEvent(5, netio.Readable)
				if l.ready.left() { // the machine took longer than a turn
					l.OnWake()
				}
				if i%k.batch == 0 {
					l.OnBatchEnd()
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*k.depth), "ns/msg")
			if got := l.sys.(*nullSystem).written; got < b.N*k.depth*k.size {
				b.Fatal("only", got, "bytes came back")
			}
		})
	}
}

// BenchmarkOpen is a connection's opening handshake and its end, without the kernel.
func BenchmarkOpen(b *testing.B) {
	b.Run("one handler", func(b *testing.B) { benchmarkOpen(b, Funcs{}) })
	b.Run("a Mux", func(b *testing.B) { benchmarkOpen(b, muxOf(b, map[string]Handler{"/{$}": Funcs{}, "/{x}": Funcs{}})) })
}

func benchmarkOpen(b *testing.B, h Handler) {
	l, c := nullConn(b, h, nil)
	sys := l.sys.(*nullSystem)
	b.ReportAllocs()
	for b.Loop() {
		c.Terminate()
		l.OnWake()
		l.OnWake()
		sys.input = nullRequest
		l.adopt(arrival{fd: 5})
		l.OnEvent(5, netio.Readable)
		c = l.table.get(5)
	}
}
