package main

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
