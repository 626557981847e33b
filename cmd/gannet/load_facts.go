package main

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"github.com/gannet-ws/gannet/bench/load"
)

// fact is a part of what is shown while a run goes on: a name, and figures that belong together.
type fact struct {
	name  string
	items []string
}

func (f fact) String() string { return f.name + " " + strings.Join(f.items, ", ") }

// mostErrors is how many kinds of errors are shown.
const mostErrors = 4

// factsOf are what there is to say of a moment.
func factsOf(s load.Snapshot, watched bool) []fact {
	m := s.Moment
	all := []fact{{"open", connectedItems(s)}}
	if s.Stage != "connecting" {
		all = append(all, fact{"rate", rateItems(m)})
		if m.P50 > 0 {
			all = append(all, fact{"latency", latencyItems(m)})
		}
		if s.Whole.P50 > 0 && s.Stage != "ending" {
			all = append(all, fact{"so far", latencyItems(s.Whole)})
		}
		all = append(all, fact{"sending", []string{
			"late " + count(float64(s.Whole.Late)), "unsent " + count(float64(s.Whole.Unsent)), "buffered " + bytesOf(m.BufferedAmount),
		}})
	}
	all = append(all, fact{"generator", []string{fmt.Sprintf("%.2f CPUs", m.GeneratorCPU)}})
	if watched {
		all = append(all, fact{"target", []string{fmt.Sprintf("%.2f CPUs", m.TargetCPU), bytesOf(m.TargetRSS)}})
	}
	if len(s.Errors) > 0 {
		all = append(all, fact{"errors", errorItems(s.Errors)})
	}
	if s.Note != "" {
		all = append(all, fact{"note", []string{s.Note}})
	}
	return all
}

func connectedItems(s load.Snapshot) []string {
	open := s.Moment.Open
	if s.Stage == "connecting" {
		open = s.Opened
	}
	items := []string{count(float64(open)) + " of " + count(float64(s.Asked))}
	if s.Failed > 0 {
		items = append(items, count(float64(s.Failed))+" failed")
	}
	return items
}

func rateItems(m load.Moment) []string {
	reached := count(m.Rate) + "/s"
	if m.RateAsked > 0 {
		return []string{reached + " of " + count(m.RateAsked) + "/s asked"}
	}
	return []string{reached}
}

func latencyItems(m load.Moment) []string {
	return []string{"p50 " + milliseconds(m.P50), "p99 " + milliseconds(m.P99), "p99.9 " + milliseconds(m.P999)}
}

func errorItems(errors []load.ErrorCount) (items []string) {
	for i, e := range errors {
		if i == mostErrors {
			return append(items, fmt.Sprintf("%d other kinds", len(errors)-i))
		}
		items = append(items, fmt.Sprintf("%s %s", plain(e.String()), count(float64(e.Count))))
	}
	return items
}

// stepLine is what came of a rate that a search tried.
func stepLine(s *load.Step) string {
	text := fmt.Sprintf("%s/s holds", count(s.Rate))
	if !s.Holds {
		text = fmt.Sprintf("%s/s does not hold", count(s.Rate))
	}
	text += fmt.Sprintf(": %s/s came back, p99 %s", count(s.Reached), milliseconds(s.Latency.P99))
	if s.Why != "" {
		text += " (" + s.Why + ")"
	}
	return text
}

// stageOf says where a run is: "running 12s of 1m0s".
func stageOf(s load.Snapshot) string {
	text := fmt.Sprintf("%s %s", s.Stage, s.Elapsed.Truncate(time.Second))
	if s.Of > 0 {
		text += " of " + s.Of.Round(time.Second).String()
	}
	return text
}

// milliseconds are with three digits, and their unit.
func milliseconds(ms float64) string {
	switch {
	case ms < 1:
		return fmt.Sprintf("%.0f us", ms*1000)
	case ms < 1000:
		return digits3(ms) + " ms"
	}
	return digits3(ms/1000) + " s"
}

// digits3 is a number of 1 to 1,000 with three digits.
func digits3(n float64) string {
	switch {
	case n < 9.995:
		return fmt.Sprintf("%.2f", n)
	case n < 99.95:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// count is a number of things, or a rate, with commas; of what is below 10 a digit more.
func count(n float64) string {
	if n < 10 && n != math.Trunc(n) {
		return fmt.Sprintf("%.1f", n)
	}
	return humanize.Comma(int64(math.Round(n)))
}

// bytesOf is an amount of memory.
func bytesOf(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

// plain is a text that may come from the server, without what could steer a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}
