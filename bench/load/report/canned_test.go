package report

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/gannet-ws/gannet/bench/load"
)

// canned is a run of a minute in which the server stands still for two seconds, after three seconds of connecting.
func canned() *load.Result {
	r := rand.New(rand.NewPCG(1, 2))
	whole := load.NewTally()
	record := func(h *hdrhistogram.Histogram, ms float64, n int64) { _ = h.RecordValues(int64(ms*1e6), n) }
	for range 20_000 {
		v := 0.2 * math.Exp(r.NormFloat64()*0.6)
		record(whole.Latency, v, 60)
		record(whole.Raw, v*0.95, 60)
	}
	for i := range 2000 {
		record(whole.Latency, float64(i+1), 20)
	}
	record(whole.Raw, 2000, 1)
	for range 1000 {
		record(whole.Connect, 3*math.Exp(r.NormFloat64()), 1)
		record(whole.Lateness, 0.05*math.Exp(r.NormFloat64()), 100)
	}
	result := &load.Result{
		Plan: load.Plan{
			URL: "ws://127.0.0.1:8080/echo", Scenario: load.Echo, Connections: 1000, Rate: 20_000,
			Warmup: load.Duration(5 * time.Second), Duration: load.Duration(time.Minute), Payload: load.Payload{Size: 128},
		},
		Version: "v0.1.0", Began: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Sending: time.Date(2026, 3, 4, 5, 6, 10, 500e6, time.UTC), Duration: 60,
		Rate: 19_963.4, RateAsked: 20_000, SentRate: 19_965,
		Connections: load.Connections{Asked: 1000, Opened: 998, Failed: 2, Lost: 1, Open: 998},
		Messages: load.Messages{
			Due: 1_200_000, Sent: 1_197_900, Received: 1_197_804, Answered: 1_197_804, Late: 421, Unsent: 2100, Unanswered: 96,
			SentBytes: 1_197_900 * 128, ReceivedBytes: 1_197_804 * 128,
		},
		Latency: load.DistributionOf(whole.Latency), RawLatency: load.DistributionOf(whole.Raw), ConnectTime: load.DistributionOf(whole.Connect),
		Errors: []load.ErrorCount{
			{Class: load.TimedOut, What: "no answer", Count: 96}, {Class: load.Refused, Count: 1},
			{Class: load.TimedOut, What: "handshake", Count: 1}, {Class: load.Closed, What: "1006", Count: 1},
		},
		Generators: []load.Figures{
			{Name: "process 1 (pid 4711)", CPU: 21.4, CPUShare: 0.357, RSS: 48 << 20, Lateness: load.DistributionOf(whole.Lateness)},
			{Name: "process 2 (pid 4712)", CPU: 20.9, CPUShare: 0.348, RSS: 47 << 20, Lateness: load.DistributionOf(whole.Lateness)},
		},
		Target:     &load.Target{PIDs: []int{4242}, CPU: 33.3, CPUEach: 27.8, RSS: 61 << 20},
		Thresholds: []load.Verdict{{Threshold: "p50<1ms", Value: "201us", Holds: true}, {Threshold: "p99.9<10ms", Value: "1.96s"}},
		Warnings:   []string{"96 messages were not answered within 5s of the end. Their latency is not in the figures; allow more with --answer-timeout."},
		Ended:      "done",
		Whole:      whole,
	}
	result.Series = cannedSeries(r)
	return result
}

func cannedSeries(r *rand.Rand) (all []load.Moment) {
	for at := -3; at <= 60; at++ {
		m := load.Moment{At: float64(at), Open: 998, GeneratorCPU: 0.69 + r.Float64()/20, TargetCPU: 0.55 + r.Float64()/20, TargetRSS: 60<<20 + int64(at)<<14}
		switch {
		case at <= 0:
			m.Open = int64(998 * (at + 3) / 3)
			m.TargetRSS = 8<<20 + m.Open*52<<10
		case at == 30 || at == 31:
			m.RateAsked, m.BufferedAmount, m.TargetCPU, m.Late, m.Unsent = 20_000, int64(at-29)*2_560_000, 0, 200, 1050
		default:
			m.RateAsked, m.Rate = 20_000, 19_980+r.Float64()*40
			m.P50, m.P99, m.P999 = 0.2+r.Float64()/50, 0.8+r.Float64()/5, 1.4+r.Float64()
			m.RawP99 = m.P99 * 0.95
			if at == 32 {
				m.Rate, m.P50, m.P99, m.P999, m.Errors = 58_000, 950, 1980, 2000, 1
			}
		}
		all = append(all, m)
	}
	return all
}

// search is a search for a rate, without a series and without histograms.
func search() *load.Result {
	step := func(rate, reached, p99 float64, why string) load.Step {
		return load.Step{Rate: rate, Reached: reached, Latency: load.Distribution{Count: 1000, P99: p99}, Holds: why == "", Why: why}
	}
	return &load.Result{
		Plan:     load.Plan{URL: "wss://localhost/", Scenario: load.Echo, FindRate: "p99<10ms"},
		Duration: 20, Rate: 74_900, RateAsked: 75_000,
		Connections: load.Connections{Asked: 50, Opened: 50, Open: 50},
		Messages:    load.Messages{Due: 1_500_000, Sent: 1_500_000, Received: 1_498_000, Answered: 1_498_000},
		Steps: []load.Step{
			step(50_000, 49_990, 2.1, ""), step(100_000, 81_200, 740, "p99<10ms (740ms)"), step(75_000, 74_900, 6.3, ""),
		},
		Ended: "done",
	}
}

// hostile is a result in which everything that a peer, a file or another machine can choose is an attack.
func hostile() *load.Result {
	const attack = "</title></style><script>alert(1)</script><img src=x onerror=alert(1)>\"'`\x1b[2J\x07\r\n\u202eevil"
	r := canned()
	r.Plan.URL = "ws://host/" + attack
	r.Plan.Scenario = attack
	r.Plan.FindRate = attack
	r.Version = attack
	r.Errors = []load.ErrorCount{{Class: load.Handshake, What: attack, Count: 3}, {Class: attack, What: attack, Count: 1}}
	r.Generators = []load.Figures{{Name: attack, Lost: true}}
	r.Steps = []load.Step{{Rate: 1, Why: attack}}
	r.Thresholds = []load.Verdict{{Threshold: attack, Value: attack}}
	r.Warnings = []string{attack}
	r.Ended = "failed: " + attack
	return r
}
