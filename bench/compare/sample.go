package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// sample is one run of wsblast, or of goload, which speaks like it, against one server.
type sample struct {
	CPUMicros   float64 `json:"cpu_us_per_msg"` // CPU time of the server's process per echoed message
	MsgsPerSec  float64 `json:"msgs_per_s"`
	ServerCPU   float64 `json:"server_cpu_percent"`
	LoadCPU     float64 `json:"load_cpu_percent"` // at 100 the load, not the server, is the bottleneck
	P50Micros   float64 `json:"p50_us"`
	P99Micros   float64 `json:"p99_us"`
	P999Micros  float64 `json:"p999_us"`
	IdleRSSKiB  float64 `json:"rss_idle_kib"`
	FinalRSSKiB float64 `json:"rss_kib"`
}

// sampleOnce starts s, loads it as c says, and stops it. Every sample gets a process of its own: where one process
// happens to lie in memory would otherwise colour all nine of its samples.
func (b *bencher) sampleOnce(ctx context.Context, c echoCell, s server) (sample, error) {
	port, err := b.ports.Take()
	if err != nil {
		return sample{}, err
	}
	p, err := rig.Start(ctx, rig.Pinned(b.options.serverCore, s.argv(b.tools, port, c.settings())), port)
	if err != nil {
		return sample{}, err
	}
	defer p.Stop()
	load := b.loadArgv(c, s, port, p.PID())
	// The load measures after a warm-up of a fifth of the time, and wsblast has no time-out of its own. Opening 10,000
	// connections takes seconds.
	ctx, cancel := context.WithTimeout(ctx, 2*b.options.duration+90*time.Second)
	defer cancel()
	line, err := rig.Output(ctx, load...)
	if err != nil {
		return sample{}, p.WhyEnded(err)
	}
	return parseSample(line)
}

func (b *bencher) loadArgv(c echoCell, s server, port, pid int) []string {
	seconds := strconv.FormatFloat(b.options.duration.Seconds(), 'f', -1, 64)
	if s.Role == roleFloor {
		c = c.floorCell()
	}
	if c.Load != byWsblast {
		return rig.Pinned(b.options.loadCore, []string{
			b.tools.goload, string(c.Load), rig.LocalAddr(port), strconv.Itoa(c.Conns), strconv.Itoa(c.Payload), seconds, strconv.Itoa(pid),
		})
	}
	return rig.Pinned(b.options.loadCore, []string{
		b.tools.wsblast, "127.0.0.1", strconv.Itoa(port), strconv.Itoa(c.Conns), strconv.Itoa(c.Payload), strconv.Itoa(c.Depth),
		seconds, s.loadMode(c), strconv.Itoa(pid),
	})
}

// parseSample reads the load's line: names and values in turn, percentages with their sign.
func parseSample(line string) (sample, error) {
	var s sample
	wanted := map[string]*float64{
		"srv_cpu_us/msg": &s.CPUMicros, "msgs/s": &s.MsgsPerSec, "srv_cpu": &s.ServerCPU, "cli_cpu": &s.LoadCPU,
		"p50_us": &s.P50Micros, "p99_us": &s.P99Micros, "p999_us": &s.P999Micros,
		"rss_idle_kb": &s.IdleRSSKiB, "rss_kb": &s.FinalRSSKiB,
	}
	fields := strings.Fields(line)
	for i := 0; i+1 < len(fields); i += 2 {
		into, ok := wanted[fields[i]]
		if !ok {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSuffix(fields[i+1], "%"), 64)
		if err != nil {
			return s, fmt.Errorf("the load's %s: %w", fields[i], err)
		}
		*into = value
		delete(wanted, fields[i])
	}
	if len(wanted) > 0 {
		return s, fmt.Errorf("the load printed %q: %d figures are missing", line, len(wanted))
	}
	if s.CPUMicros <= 0 {
		return s, fmt.Errorf("the load printed %q: no CPU time was counted", line)
	}
	return s, nil
}
