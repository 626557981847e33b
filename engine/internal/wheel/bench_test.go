package wheel

import (
	"math/rand/v2"
	"testing"
	"time"
)

const manyNodes = 100_000

// A message resets its connection's idle timer: the commonest call.
func BenchmarkReschedule100k(b *testing.B) {
	w, _ := newTable(100*ms, 512, manyNodes)
	names := rand.New(rand.NewPCG(1, 2)).Perm(manyNodes)
	i := 0
	for b.Loop() {
		name := int32(names[i%manyNodes])
		w.Schedule(name, time.Duration(i%600)*100*ms)
		i++
	}
}

// One tick of a wheel that holds 100,000 timers of 30 s, each re-armed when it fires.
func BenchmarkTick100k(b *testing.B) {
	w, _ := newTable(100*ms, 512, manyNodes)
	for name := range int32(manyNodes) {
		w.Schedule(name, time.Duration(name)*30*time.Second/manyNodes)
	}
	now, fires := time.Duration(0), 0
	fire := func(name int32) { fires++; w.Schedule(name, now+30*time.Second) }
	for b.Loop() {
		now += 100 * ms
		w.Advance(now, fire)
	}
	b.ReportMetric(float64(fires)/float64(b.N), "fired/op")
}
