package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
)

// multiples are what may stand behind a number.
var multiples = map[byte]float64{'k': 1e3, 'K': 1e3, 'm': 1e6, 'M': 1e6, 'g': 1e9, 'G': 1e9}

// parseNumber reads 1000, 1.5k, 2M. One that is below 0, or no number, is refused.
func parseNumber(text string) (float64, error) {
	digits, times := strings.TrimSpace(text), 1.0
	if n := len(digits); n > 0 && multiples[digits[n-1]] > 0 {
		digits, times = digits[:n-1], multiples[digits[n-1]]
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n < 0 || math.IsNaN(n) || math.IsInf(n*times, 0) || strings.ContainsAny(digits, "xX_") {
		return 0, fmt.Errorf("%q is no number; write one such as 1000, 1.5k or 2M", text)
	}
	return n * times, nil
}

// parseCount reads a whole number: 100, 20k.
func parseCount(text string) (int, error) {
	n, err := parseNumber(text)
	switch {
	case err != nil:
		return 0, err
	case n != math.Trunc(n) || n > math.MaxInt32:
		return 0, fmt.Errorf("%q is no whole number up to 2G", text)
	}
	return int(n), nil
}

// parseRate reads messages, or connections, a second: 1000, 1000/s, 200k/s, 600/m.
func parseRate(text string) (float64, error) {
	number, unit, given := strings.Cut(text, "/")
	each, ok := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	if !given {
		each, ok = 1, true
	}
	n, err := parseNumber(number)
	if err != nil || !ok {
		return 0, fmt.Errorf("%q is no rate; write one such as 1000, 1000/s, 200k or 600/m", text)
	}
	return n / each, nil
}

// parsePhase reads DURATION:RATE[:CONNECTIONS][:ramp].
func parsePhase(text string) (p load.Phase, err error) {
	parts := strings.Split(text, ":")
	if n := len(parts) - 1; n > 1 && strings.TrimSpace(parts[n]) == "ramp" {
		p.Ramp, parts = true, parts[:n]
	}
	if len(parts) < 2 || len(parts) > 3 {
		return p, fmt.Errorf("%q is no phase; write DURATION:RATE[:CONNECTIONS][:ramp], such as 30s:1000/s:20000 or 1m:50k:ramp", text)
	}
	d, err := time.ParseDuration(strings.TrimSpace(parts[0]))
	if err != nil || d <= 0 {
		return p, fmt.Errorf("%q of phase %q is no duration; write one such as 30s or 5m", parts[0], text)
	}
	p.Duration = load.Duration(d)
	if p.Rate, err = parseRate(parts[1]); err != nil {
		return p, fmt.Errorf("of phase %q: %w", text, err)
	}
	if len(parts) == 3 {
		if p.Connections, err = parseCount(parts[2]); err != nil {
			return p, fmt.Errorf("of phase %q: %w", text, err)
		}
	}
	return p, nil
}

// split are the parts of lists with commas in between, without what is empty.
func split(lists []string) (all []string) {
	for _, list := range lists {
		for part := range strings.SplitSeq(list, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}
