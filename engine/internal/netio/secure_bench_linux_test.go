package netio

import (
	"fmt"
	"testing"
)

// securePasser hands one message to and fro between both ends of a TLS connection on one loop: each pass seals a record and opens one.
type securePasser struct {
	l         *loop
	near, far int
	message   []byte
	slab      []byte
	came      int // of the message that is under way
	left      int
	done      chan error
}

func newSecurePasser(t testing.TB, l *loop, size int) *securePasser {
	near, peer := adoptPair(t, l)
	p := &securePasser{l: l, near: near, far: dupPeer(t, peer), message: randomBytes(size), slab: make([]byte, 512<<10), done: make(chan error, 1)}
	l.do(func() {
		s := l.System.(*Secure)
		s.Server(p.near, serverConfig())
		s.Client(p.far, clientConfig(0))
	})
	l.add(p.near, p.on(p.near))
	l.add(p.far, p.on(p.far))
	onLoop(t, l, func() bool {
		_, one := l.System.(*Secure).State(p.near)
		_, other := l.System.(*Secure).State(p.far)
		return one && other
	})
	t.Cleanup(func() {
		l.close(p.near)
		l.close(p.far)
	})
	return p
}

// on passes each whole message back.
func (p *securePasser) on(fd int) func(Event) {
	return func(Event) {
		n, err := p.l.Read(fd, p.slab)
		if err != nil && err != ErrAgain {
			p.end(err)
			return
		}
		if p.came += n; n == 0 || p.came < len(p.message) {
			return
		}
		p.came = 0
		if p.left--; p.left == 0 {
			p.end(nil)
			return
		}
		p.send(fd)
	}
}

func (p *securePasser) send(fd int) {
	if n, err := p.l.Write(fd, p.message); n != len(p.message) {
		p.end(fmt.Errorf("%d of %d bytes have left: %v", n, len(p.message), err))
	}
}

// end is heard of once: when one end is closed, the other one says so again and again.
func (p *securePasser) end(err error) {
	select {
	case p.done <- err:
	default:
	}
}

// run passes the message so many times.
func (p *securePasser) run(t testing.TB, times int) {
	t.Helper()
	p.l.do(func() {
		p.left = times
		p.send(p.near)
	})
	if err := <-p.done; err != nil {
		t.Fatal(err)
	}
}

// BenchmarkSecureTurn is BenchmarkTurn over TLS 1.3: what one event costs, with a record in and a record out, or two of them
// for what does not fit one.
func BenchmarkSecureTurn(b *testing.B) {
	for _, size := range []int{128, 1 << 10, 16 << 10, 16<<10 + 4} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			p := newSecurePasser(b, startLoop(b, secureRig()), size)
			p.run(b, 2*fullRecordsAfter/size) // crypto/tls begins with short records
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			p.run(b, b.N)
		})
	}
}
