package netio

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"testing"
)

// pingPong is a set of peers that each send 128 bytes and wait for the echo. Their
// goroutines and buffers are made once, so that a round of them allocates nothing.
type pingPong struct {
	start []chan int // how many times
	done  chan error
}

func startPingPong(t testing.TB, peers []net.Conn) *pingPong {
	p := &pingPong{done: make(chan error, len(peers))}
	for _, peer := range peers {
		start := make(chan int)
		p.start = append(p.start, start)
		go func() {
			buf := make([]byte, 128)
			for times := range start {
				p.done <- exchange(peer, buf, times)
			}
		}()
	}
	t.Cleanup(func() {
		for _, start := range p.start {
			close(start)
		}
	})
	return p
}

func exchange(peer net.Conn, buf []byte, times int) error {
	for range times {
		if _, err := peer.Write(buf); err != nil {
			return err
		}
		if _, err := io.ReadFull(peer, buf); err != nil {
			return err
		}
	}
	return nil
}

func (p *pingPong) run(t testing.TB, times int) {
	t.Helper()
	for _, start := range p.start {
		start <- times
	}
	for range p.start {
		if err := <-p.done; err != nil {
			t.Fatal(err)
		}
	}
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// TestEchoMallocs counts all of the process's mallocs, peers and garbage collector
// included: per message at most a thousandth on Native; on a Bridge a few more, when a
// collection empties its pools, and what crypto/tls makes per record.
func TestEchoMallocs(t *testing.T) {
	if raceEnabled {
		return // the detector allocates
	}
	const messages = 20_000
	for _, conns := range []int{1, 100} {
		t.Run(fmt.Sprint(conns), func(t *testing.T) {
			forEachRig(t, func(t *testing.T, r rig, l *loop) {
				var peers []net.Conn
				for range conns {
					fd, peer := r.pair(t, l)
					startEcho(l, fd)
					peers = append(peers, peer)
				}
				p := startPingPong(t, peers)
				p.run(t, messages/conns/4)
				per := leastOf(3, func() float64 {
					before := mallocs()
					p.run(t, messages/conns)
					return float64(mallocs()-before) / messages
				})
				t.Logf("%s: %.5f mallocs a message over %d connections", r.name, per, conns)
				if per > r.mallocs {
					t.Errorf("more than %.3f", r.mallocs)
				}
			})
		})
	}
}

// leastOf sets aside what else the process did meanwhile.
func leastOf(n int, measure func() float64) float64 {
	least := measure()
	for range n - 1 {
		least = min(least, measure())
	}
	return least
}
