package main

import "slices"

// spread is a set of measurements, as it is quoted: the median, and how far the extremes lie from it.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// spreadOf summarises values; with none it is zero.
func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	last := len(sorted) - 1
	return spread{Median: (sorted[last/2] + sorted[(last+1)/2]) / 2, Min: sorted[0], Max: sorted[last]}
}

// moved is how much larger the largest value is than the smallest: 0.1 is 10 %.
func (s spread) moved() float64 { return s.Max/s.Min - 1 }

// of applies a field of each sample, in order.
func of(samples []sample, field func(sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = field(s)
	}
	return values
}

func cpu(s sample) float64 { return s.CPUMicros }

// ratios divides the samples of one server by those of another, round by round: both of a pair were taken within
// seconds of each other, so a clock that drifts over the run cancels out.
func ratios(samples, base []sample) []float64 {
	values := make([]float64, min(len(samples), len(base)))
	for i := range values {
		values[i] = samples[i].CPUMicros / base[i].CPUMicros
	}
	return values
}
