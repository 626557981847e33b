package engine

import (
	"net"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestTLSSilentPeers: 1,000 peers that say nothing cost no goroutine each and a few hundred bytes, and a new client opens within a second beside them: the best of a
// few tries, for the machine may be busy with other things.
func TestTLSSilentPeers(t *testing.T) {
	const peers, each = 1000, 1500
	s := startServerTLS(t, echoHandler, Options{Loops: 1, HandshakeTimeout: timeoutOf(60), Logger: quietLogger})
	openTLS(t, s) // what the first one makes is there
	runtime.GC()
	goroutines, memory := runtime.NumGoroutine(), memoryInUse(s)
	for range peers {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	within(t, timeoutOf(5), "all are there", func() bool { return s.Stats().Connecting == peers })
	if n := runtime.NumGoroutine() - goroutines; n > peers/10 {
		t.Errorf("%d goroutines for %d silent peers", n, peers)
	}
	runtime.GC()
	if grown := (memoryInUse(s) - memory) / peers; grown > each && !raceEnabled { // the test's own end of each is counted too
		t.Errorf("%d bytes for each silent peer, at most %d are allowed", grown, each)
	}
	best := time.Duration(1 << 62)
	for try := 0; try < 10 && best > time.Second; try++ {
		began := time.Now()
		g := openTLS(t, s)
		best = min(best, time.Since(began))
		g.say(t, ws.OpText, []byte("hello"))
		g.hear(t, ws.OpText, []byte("hello"))
	}
	if best > time.Second {
		t.Errorf("a new client opens in %v", best)
	}
}
