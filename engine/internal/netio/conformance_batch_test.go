package netio

import (
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
)

// readyTogether adds n connections, each with a byte to read, to a loop that is busy meanwhile: one look finds
// them all. Each byte's event is served by serve, and once all are a wake has found no event unended.
func readyTogether(t *testing.T, r rig, l *loop, n int, serve func(fd int)) {
	t.Helper()
	peers := make([]net.Conn, n)
	var fds []int
	seen := make(chan int, n)
	for i := range n {
		fd, peer := r.pair(t, l)
		fds, peers[i] = append(fds, fd), peer
	}
	hold, held := make(chan struct{}), make(chan struct{})
	for _, fd := range fds {
		l.add(fd, func(Event) {
			if k, err := l.Read(fd, make([]byte, 2)); k == 1 && err == nil {
				seen <- fd
			}
			serve(fd)
		})
	}
	l.post(func() { l.batches, l.reported = nil, 0; close(held); <-hold })
	await(t, held, "the loop")
	var writes sync.WaitGroup
	for _, p := range peers {
		writes.Go(func() { _, _ = p.Write([]byte("x")) })
	}
	writes.Wait()
	time.Sleep(5 * time.Millisecond) // a bridge's goroutines read them
	close(hold)
	for range n {
		await(t, seen, "each connection's event")
	}
	for _, fd := range fds {
		l.close(fd)
	}
}

func sum(all []int) (n int) {
	for _, k := range all {
		n += k
	}
	return n
}

// A batch ends once, behind the last of its events, and each event is of a batch.
func TestBatchEndsBehindItsEvents(t *testing.T) {
	forEachRig(t, func(t *testing.T, r rig, l *loop) {
		const n = 12
		most := 0
		for tries := 0; tries == 0 || !r.alone && most < n/2 && tries < 10; tries++ { // a bridge's goroutines may be late
			readyTogether(t, r, l, n, func(int) {})
			var batches []int
			l.do(func() {}) // the batch of the last event has ended
			l.do(func() { batches = slices.Clone(l.batches) })
			if got := sum(batches); got < n {
				t.Errorf("%d events were followed by the end of their batch, of %d: %v", got, n, batches)
			}
			most = max(most, slices.Max(batches))
		}
		if r.alone && most > 1 || !r.alone && most < n/2 {
			t.Errorf("a batch had %d events of %d at most", most, n)
		}
	})
}

// A batch whose handler ends the goroutine in one event or another ends all the same.
func TestBatchEndsAfterExits(t *testing.T) {
	forEachMortal(t, func(t *testing.T, r rig, l *loop) {
		const n = 8
		exits := 0
		readyTogether(t, r, l, n, func(int) {
			if exits++; exits%2 == 0 {
				runtime.Goexit()
			}
		})
		l.do(func() {})
		l.do(func() {
			if got := sum(l.batches); got < n {
				t.Errorf("%d events were followed by the end of their batch, of %d: %v", got, n, l.batches)
			}
		})
	})
}

// ender ends the loop at its first wake.
type ender struct{ told []string }

func (e *ender) OnEvent(int, Event) { e.told = append(e.told, "event") }
func (e *ender) OnWake() bool       { e.told = append(e.told, "wake"); return false }
func (e *ender) OnBatchEnd()        { e.told = append(e.told, "end") }

// The batch whose wake ends the loop ends before Run returns.
func TestLastBatchEnds(t *testing.T) {
	for _, r := range allRigs() {
		t.Run(r.name, func(t *testing.T) {
			s := r.open(t)
			defer s.Release()
			e := &ender{}
			s.Wake()
			if err := s.Run(e); err != nil {
				t.Fatal(err)
			}
			if len(e.told) < 2 || !slices.Equal(e.told[len(e.told)-2:], []string{"wake", "end"}) {
				t.Errorf("the handler was told %v", e.told)
			}
		})
	}
}
