package local

import (
	"math"
	"testing"
	"unsafe"
)

// turnsOf pops all that is due until end.
func turnsOf(c *cursor, end int64) (dues []int64, slots []int) {
	for {
		due, slot, ok := c.pop(end)
		if !ok {
			return dues, slots
		}
		dues, slots = append(dues, due), append(slots, slot)
	}
}

// TestCursorEven: things are due at even distances, and each slot has its turn once in each round.
func TestCursorEven(t *testing.T) {
	for _, n := range []int{1, 2, 3, 10, 64, 1000} {
		var c cursor
		c.begin(500, 1e6, n, 0, 7)
		dues, slots := turnsOf(&c, 500+int64(2*n-1)*1000)
		if len(dues) != 2*n {
			t.Fatalf("%d slots: %d are due, want %d", n, len(dues), 2*n)
		}
		seen := make([]int, n)
		for i, due := range dues {
			if want := 500 + int64(i)*1000; due != want {
				t.Fatalf("%d slots: the %dth is due at %d, want %d", n, i, due, want)
			}
			seen[slots[i]]++
		}
		for slot, k := range seen {
			if k != 2 {
				t.Fatalf("%d slots: slot %d had %d turns in two rounds", n, slot, k)
			}
		}
	}
}

// TestCursorSeed: who sends when is the seed's alone.
func TestCursorSeed(t *testing.T) {
	order := func(seed uint64) [8]int {
		var c cursor
		c.begin(0, 1e9, 8, 0, seed)
		_, slots := turnsOf(&c, 7)
		return [8]int(slots)
	}
	if order(3) != order(3) || order(3) == order(4) {
		t.Error(order(3), order(4))
	}
}

// TestCursorTurns: however often the rate changes, as many things are due as the rates add up to: no burst and no gap.
func TestCursorTurns(t *testing.T) {
	for _, behind := range []bool{false, true} { // behind: nobody pops until the end
		var c cursor
		c.begin(0, 1000, 10, 0, 1)
		var dues []int64
		want := 0.0
		at, rate := int64(0), 1000.0
		for i := range 2000 {
			const each = 337_000 // ns: less than a distance
			want += rate * each / 1e9
			at += each
			if !behind {
				some, _ := turnsOf(&c, at)
				dues = append(dues, some...)
			}
			rate = 1000 + 900*math.Sin(float64(i)/50)
			c.turn(at, rate, 10)
		}
		some, _ := turnsOf(&c, at)
		dues = append(dues, some...)
		if got := float64(len(dues)); math.Abs(got-want) > 1 {
			t.Errorf("behind %v: %v are due, the rates add up to %v", behind, got, want)
		}
		for i := 1; i < len(dues); i++ {
			if d := dues[i] - dues[i-1]; d < 526_000 || d > 10_100_000 {
				t.Fatalf("behind %v: %d ns between %d and %d, which no rate was", behind, d, i-1, i)
			}
		}
	}
}

// TestCursorStops: a rate of 0 keeps the part of a distance that had passed, and a turn before the beginning does not begin earlier.
func TestCursorStops(t *testing.T) {
	var c cursor
	c.begin(1000, 1e6, 1, 0, 1)
	c.turn(0, 1e6, 1)
	if due, _, ok := c.pop(1e9); !ok || due != 1000 {
		t.Fatal(due, ok)
	}
	c.turn(1400, 0, 1) // the next one is due at 2000
	if _, _, ok := c.pop(1e9); ok || c.when() != never {
		t.Fatal("something is due at a rate of 0")
	}
	c.turn(10_000, 1e6, 1)
	if due, _, ok := c.pop(1e9); !ok || due != 10_600 {
		t.Fatal(due, ok)
	}
	c.turn(10_700, 1e6, 0)
	if c.when() != never {
		t.Error("it is the turn of no slot")
	}
}

// TestPeerSize: 100,000 of them are held.
func TestPeerSize(t *testing.T) {
	if n := unsafe.Sizeof(peer{}); n > 80 {
		t.Errorf("%d bytes, at most 80", n)
	}
}
