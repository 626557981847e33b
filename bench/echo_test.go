package bench

import (
	"fmt"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// echoCells mirror those of bench/compare.
var echoCells = []struct{ size, depth, conns int }{
	{128, 1, 50},
	{128, 16, 50},
	{1 << 10, 1, 50},
	{16 << 10, 1, 50},
	{1 << 20, 1, 10},
}

// BenchmarkEcho loads servers, each in a process of its own and one after the other in each cell: Gannet, and the floor, which
// knows no WebSocket (floor_linux_test.go). An op is one message there and back. units_test.go says what is reported.
func BenchmarkEcho(b *testing.B) { benchmarkEcho(b, "ws") }

// BenchmarkEchoWSS is the same over TLS. The floor echoes in the clear.
func BenchmarkEchoWSS(b *testing.B) { benchmarkEcho(b, "wss") }

func benchmarkEcho(b *testing.B, scheme string) {
	var servers []*echoServer
	if hasFloor {
		servers = append(servers, startEchoServer(b, floorMode))
	}
	servers = append(servers, startEchoServer(b, scheme))
	for _, c := range echoCells {
		for _, s := range servers {
			b.Run(fmt.Sprintf("size=%s/depth=%d/server=%s", sizeName(c.size), c.depth, s.name()), func(b *testing.B) {
				l := dialEchoes(b, s, c.size, c.depth, c.conns)
				l.run(b, c.depth*c.conns) // the first messages fill pools
				cpu, mallocs := rig.CPUTime(s.pid), s.mallocs(b)
				b.ResetTimer()
				done := l.run(b, b.N)
				b.StopTimer()
				done.report(b, rig.CPUTime(s.pid)-cpu, s.mallocs(b)-mallocs)
			})
		}
	}
}

// report is of the server: its CPU time, and its mallocs. What the load costs is in ns/op alone.
func (r echoes) report(b *testing.B, cpu time.Duration, mallocs uint64) {
	messages := float64(r.messages)
	b.ReportMetric(messages/b.Elapsed().Seconds(), unitRate)
	if cpu > 0 { // not every system tells
		b.ReportMetric(float64(cpu.Nanoseconds())/messages, unitCPU)
	}
	b.ReportMetric(float64(mallocs)/messages, unitMallocs)
	for _, p := range unitsLatency {
		b.ReportMetric(float64(r.latencies.percentile(p.percent).Nanoseconds()), p.unit)
	}
}

// TestEcho proves that the benchmark's servers echo and that its load would notice if one did not.
func TestEcho(t *testing.T) {
	modes := []string{"wss", "ws"}
	if hasFloor {
		modes = append(modes, floorMode)
	}
	for _, mode := range modes {
		s := startEchoServer(t, mode)
		before := s.mallocs(t)
		for _, c := range echoCells {
			n := 4 * c.depth
			if done := dialEchoes(t, s, c.size, c.depth, 3).run(t, n); done.messages != n || len(done.latencies) != n/c.depth {
				t.Errorf("%s: %d messages and %d times of %d, %d a time", mode, done.messages, len(done.latencies), n, c.depth)
			}
		}
		if after := s.mallocs(t); (mode != floorMode) != (after > before) {
			t.Errorf("%s: %d mallocs, and %d after connections came", mode, before, after)
		}
		broken := dialEchoes(t, s, 128, 1, 1)
		broken.answer[5] ^= 1
		if err := broken.batch(broken.conns[0], make([]byte, len(broken.answer))); err == nil {
			t.Errorf("%s: a wrong answer went unnoticed", mode)
		}
	}
}
