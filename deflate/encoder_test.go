package deflate

import (
	"runtime"
	"sync"
	"testing"
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
