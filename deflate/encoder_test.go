package deflate

import (
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"

	"github.com/gannet-ws/gannet/bench/corpus"
)

// One at a time is one for ever, whoever asks, wherever it runs, and however often garbage is collected.
func TestEncodersStay(t *testing.T) {
	s, only := new(shelf), newEncoder(encoderKind{level: 1})
	s.put(only)
	for i := range 1000 {
		if i%100 == 0 {
			runtime.GC()
		}
		done := make(chan *encoder)
		go func() {
			e := s.take(uint8(i))
			if e != nil {
				s.put(e)
			}
			done <- e
		}()
		if <-done != only {
			t.Fatalf("after %d uses it is gone", i)
		}
	}
}

// An encoder has one holder at a time, also when more are out than there are places.
func TestEncodersAreHeldOnce(t *testing.T) {
	s := new(shelf)
	var held sync.Map
	var all sync.WaitGroup
	for g := range 3 * int(lanes) {
		all.Go(func() {
			for range 300 {
				e := s.take(uint8(g))
				if e == nil {
					e = newEncoder(encoderKind{level: 1})
				}
				if _, twice := held.LoadOrStore(e, g); twice {
					t.Error("an encoder has two holders")
					return
				}
				runtime.Gosched()
				held.Delete(e)
				e.lane = uint8(g)
				s.put(e)
			}
		})
	}
	all.Wait()
}

// Connections whose messages are compressed and inflated at the same time share encoders and inflaters of every kind,
// and each gets its own messages. More are at it than there are places for encoders.
func TestManyAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for i := range 2*int(lanes) + 4 {
		p := Policy{Level: []int{1, 3, 6}[i%3]}
		w := newWire(t, p, Direction{[]uint8{15, 9}[i%2], i%5 > 0})
		r := rand.New(rand.NewPCG(uint64(i), 1))
		all.Go(func() { // what the wire finds wrong ends this goroutine, and the test has failed
			for range 12 {
				w.send(corpus.Orders(r, 100+r.IntN(12_000)))
				w.stream(r, corpus.Orders(r, 100+r.IntN(3000)))
				w.receiver.Rest()
				w.send(corpus.Orders(r, 100+r.IntN(1000)))
			}
		})
	}
	all.Wait()
}
