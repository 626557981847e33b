package engine

import (
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// fullSystem is a nullSystem whose sockets take nothing while they are full.
type fullSystem struct {
	nullSystem
	full bool
}

func (f *fullSystem) Write(fd int, p []byte) (int, error) {
	if f.full {
		return 0, netio.ErrAgain
	}
	return f.nullSystem.Write(fd, p)
}

func (f *fullSystem) Writev(fd int, v [][]byte) (int, error) {
	if f.full {
		return 0, netio.ErrAgain
	}
	return f.nullSystem.Writev(fd, v)
}

// BenchmarkSend is the engine's own time for a message of 128 bytes that does not take the straight path: sent from elsewhere than a
// callback; behind a writer, 200 of them; and behind a queue that the peer does not read, which is written after each 1000.
func BenchmarkSend(b *testing.B) {
	p := make([]byte, 128)
	b.Run("elsewhere", func(b *testing.B) {
		_, c := nullConn(b, Funcs{}, nil)
		b.ReportAllocs()
		for b.Loop() {
			_ = c.Send(OpBinary, p)
		}
	})
	b.Run("behind", func(b *testing.B) {
		l, _ := nullConn(b, Funcs{Message: func(c *Conn, m Message) {
			w := c.NewWriter(OpBinary)
			for range 200 {
				_ = c.Send(OpBinary, p)
			}
			_ = w.Close()
		}}, codec.AppendMaskedFrame(nil, OpBinary, true, false, [4]byte{1, 2, 3, 4}, p))
		b.ReportAllocs()
		for b.Loop() {
			l.OnEvent(5, netio.Readable)
			for range 4 { // a turn may end before all has left
				l.OnWake()
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*200), "ns/msg")
	})
	b.Run("queued", func(b *testing.B) {
		l, c := nullConnWith(b, Funcs{}, Options{Limits: Limits{HighWater: 1 << 30, MaxBufferedAmount: -1}}, nil)
		f := &fullSystem{nullSystem: *l.sys.(*nullSystem), full: true}
		l.sys, l.outgoing.Sink = f, f
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _ = c.Send(OpBinary, p); i%1000 == 999 {
				f.full = false
				l.OnEvent(5, netio.Writable)
				f.full = true
			}
		}
	})
}
