package netio

import (
	"testing"
	"time"
)

// BenchmarkTurn is what one event costs: both ends of a connection on one loop hand 128
// bytes to and fro, so each turn has one event, one read and one write, and no thread
// is switched. native/polling is the same on gnet's own Polling.
func BenchmarkTurn(b *testing.B) {
	for _, r := range nativeRigs() {
		b.Run(r.name, func(b *testing.B) {
			l := startLoop(b, r)
			near, peer := r.pair(b, l)
			far := dupPeer(b, peer)
			left, done := b.N, make(chan struct{})
			slab := make([]byte, 512<<10)
			pass := func(fd int) func(Event) {
				return func(Event) {
					n, _ := l.Read(fd, slab)
					if left--; left == 0 {
						close(done)
					}
					if left <= 0 {
						return
					}
					if _, err := l.Write(fd, slab[:n]); err != nil {
						b.Error(err)
					}
				}
			}
			l.add(near, pass(near))
			l.add(far, pass(far))
			b.ReportAllocs()
			b.ResetTimer()
			l.do(func() {
				if _, err := l.Write(near, make([]byte, 128)); err != nil {
					b.Error(err)
				}
			})
			<-done
			b.StopTimer()
			l.close(near)
			l.close(far)
		})
	}
}

// BenchmarkBridgeEcho is what an echo of 128 bytes costs on a bridge, with its peer.
func BenchmarkBridgeEcho(b *testing.B) {
	for _, r := range bridgeRigs() {
		b.Run(r.name, func(b *testing.B) {
			l := startLoop(b, r)
			fd, peer := r.pair(b, l)
			startEcho(l, fd)
			buf := make([]byte, 128)
			b.ReportAllocs()
			b.ResetTimer()
			if err := exchange(peer, buf, b.N); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			l.close(fd)
		})
	}
}

func oneOfEach() []rig {
	rigs := bridgeRigs()[:1]
	if HasNative {
		rigs = append(rigs, nativeRigs()[0])
	}
	return rigs
}

// BenchmarkWake: one write of the eventfd and the turn it causes; and a Wake that finds
// another on its way.
func BenchmarkWake(b *testing.B) {
	for _, r := range oneOfEach() {
		b.Run(r.name+"/turn", func(b *testing.B) {
			l := startLoop(b, r)
			left, done := b.N, make(chan struct{})
			l.do(func() {
				l.onBareWake = func() {
					if left--; left == 0 {
						close(done)
						l.onBareWake = nil
						return
					}
					l.Wake()
				}
			})
			b.ResetTimer()
			l.Wake()
			<-done
		})
		b.Run(r.name+"/coalesced", func(b *testing.B) {
			l := startLoop(b, r)
			l.do(func() {
				l.Wake()
				b.ResetTimer()
				for range b.N {
					l.Wake()
				}
				b.StopTimer()
			})
		})
	}
}

func BenchmarkSetTimer(b *testing.B) {
	for _, r := range oneOfEach() {
		b.Run(r.name, func(b *testing.B) {
			l := startLoop(b, r)
			b.ReportAllocs()
			l.do(func() {
				for i := 0; b.Loop(); i++ {
					l.SetTimer(time.Hour + time.Duration(i))
				}
				l.SetTimer(0)
			})
		})
	}
}
