package engine

import (
	"slices"
	"testing"
	"time"
)

// looks are the units, of 64 that take so long, after which a pace looks at the clock. What it was told before it
// begins makes no difference.
func looks(t *testing.T, p *pace, unit time.Duration) (at []int) {
	t.Helper()
	now := time.Hour
	p.begin(now)
	for i := 1; i <= 64; i++ {
		now += unit
		if ripe := p.due(); ripe != p.ripe() {
			t.Fatal("due and ripe differ")
		} else if !ripe {
			continue
		}
		at = append(at, i)
		if took := p.look(now); took != time.Duration(i)*unit {
			t.Fatalf("%d units of %v took %v", i, unit, took)
		}
	}
	return at
}

func TestPaceLooks(t *testing.T) {
	var every []int
	for i := range 64 {
		every = append(every, i+1)
	}
	seldom, tenth := []int{1, 4, 16, 48}, []int{1, 4, 14, 24, 34, 44, 54, 64}
	var p pace
	for range 2 {
		for _, k := range []struct {
			unit time.Duration
			want []int
		}{{0, seldom}, {time.Microsecond, seldom}, {lookEvery / 10, tenth}, {lookEvery, every}, {turnBudget, every}} {
			if at := looks(t, &p, k.unit); !slices.Equal(at, k.want) {
				t.Errorf("units of %v: looks after %v", k.unit, at)
			}
		}
	}
}

// One that begins without a look has its beginning with the first.
func TestPaceBeginsWithTheFirstLook(t *testing.T) {
	var p pace
	p.begin(0)
	now := time.Hour
	for i := range 40 {
		if now += time.Microsecond; !p.due() {
			continue
		}
		if took := p.look(now); took != time.Duration(i)*time.Microsecond {
			t.Fatalf("after %d units: %v", i+1, took)
		}
	}
}

// Slow units among quick ones are noticed with the next look, and forgotten with the one after it.
func TestPaceOfSlowUnits(t *testing.T) {
	var p pace
	now := time.Hour
	p.begin(now)
	var at []int
	for i := 1; i <= 40; i++ {
		if now += time.Microsecond; i > 4 && i <= 8 {
			now += 3 * lookEvery
		}
		if p.due() {
			at = append(at, i)
			p.look(now)
		}
	}
	if want := []int{1, 4, 16, 17}; !slices.Equal(at, want) {
		t.Errorf("looks after %v, not %v", at, want)
	}
}
