package rig

import (
	"fmt"
	"slices"
)

// Spread is a set of measurements, as it is quoted: the median, and how far the extremes lie from it.
type Spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// SpreadOf summarises values; with none it is zero.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	last := len(sorted) - 1
	return Spread{Median: (sorted[last/2] + sorted[(last+1)/2]) / 2, Min: sorted[0], Max: sorted[last]}
}

// Moved is how much larger the largest value is than the smallest: 0.1 is 10 %.
func (s Spread) Moved() float64 { return s.Max/s.Min - 1 }

// Ratio is s for a table, as a ratio.
func (s Spread) Ratio() string { return fmt.Sprintf("%.2f [%.2f-%.2f]", s.Median, s.Min, s.Max) }

// Micros prints with three significant digits or so: depth 16 costs a third of a microsecond, 1 MiB some hundreds.
func (s Spread) Micros() string {
	digits := 2
	switch {
	case s.Median < 1:
		digits = 3
	case s.Median >= 100:
		digits = 0
	}
	return fmt.Sprintf("%.*f [%.*f-%.*f]", digits, s.Median, digits, s.Min, digits, s.Max)
}
