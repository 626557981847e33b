package main

import (
	"errors"
	"fmt"
	"strings"
)

// level is what a number of connections cost, as it is reported and committed.
type level struct {
	Crowd       crowd    `json:"crowd"`
	Open        int64    `json:"open"` // most at once
	ServerIdle  int64    `json:"serverIdle"`
	ServerFull  int64    `json:"serverFull"` // RSS of all processes without connections, with all of them, and at the end, with messages: bytes
	ServerEnd   int64    `json:"serverEnd"`
	Kernel      int64    `json:"kernel"`    // more than without connections, of both ends: bytes
	Buffers     int64    `json:"buffers"`   // in the machine's TCP queues: bytes
	Generator   float64  `json:"generator"` // bytes of RSS for each further connection, from a tenth of them on; 0: too few to tell
	ConnectRate float64  `json:"connectRate"`
	CPUEach     float64  `json:"cpuEach"` // server's, microseconds a message received (broadcast: sent)
	RateAsked   float64  `json:"rateAsked"`
	Rate        float64  `json:"rate"`
	ConnectTime times    `json:"connectTime"`
	Latency     times    `json:"latency"`
	Troubles    []string `json:"troubles,omitempty"`
}

// times is a distribution, in milliseconds.
type times struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (d distribution) times() times { return times{d.P50, d.P99, d.P999, d.Max} }

// errNoMessages: a run that nobody could look at, because it was over at once or nothing came back.
var errNoMessages = errors.New("no message went through while the connections were open: a longer -duration, or fewer connections")

// levelOf says what a run cost.
func levelOf(t task, all outcome) (level, error) {
	r := all.Result
	l := level{
		Crowd: t.Crowd, RateAsked: r.RateAsked, Rate: r.Rate, ConnectTime: r.ConnectTime.times(), Latency: r.Latency.times(),
		Troubles: append(r.troubles(), r.Warnings...),
	}
	full, last := plateau(all.Samples)
	if full == 0 {
		return l, errors.New("no connection was open when the server was asked")
	}
	before, at, end := all.Samples[0], all.Samples[full], all.Samples[last]
	l.Open = at.Open
	l.ServerIdle, l.ServerFull, l.ServerEnd = before.Server.RSS, at.Server.RSS, end.Server.RSS
	l.Kernel, l.Buffers = at.Kernel-before.Kernel, max(0, at.Buffers-before.Buffers) // others' connections may end meanwhile
	from := firstWith(all.Samples, func(s sample) bool { return s.Open >= at.Open/10 })
	if at.Open >= slopeFrom && end.Open > from.Open {
		l.Generator = float64(end.Generator.RSS-from.Generator.RSS) / float64(end.Open-from.Open)
	}
	l.ConnectRate = connectRate(all.Samples[:full+1])
	begun, moved := firstWith(all.Samples[full:], func(s sample) bool { return s.In > 0 }), int64(0)
	if moved = end.In - begun.In; t.Broadcast {
		moved = end.Out - begun.Out
	}
	if moved <= 0 {
		return l, errNoMessages
	}
	l.CPUEach = float64((end.Server.CPU - begun.Server.CPU).Nanoseconds()) / 1e3 / float64(moved)
	return l, nil
}

// slopeFrom is how many connections it takes until what each adds to the generator stands out from what the program takes by itself.
const slopeFrom = 10_000

// plateau is the first sample with the most connections, and the last one.
func plateau(all []sample) (first, last int) {
	for i, s := range all {
		switch most := all[first].Open; {
		case s.Open > most:
			first, last = i, i
		case s.Open == most && most > 0:
			last = i
		}
	}
	return first, last
}

func firstWith(all []sample, is func(sample) bool) sample {
	for _, s := range all {
		if is(s) {
			return s
		}
	}
	return sample{}
}

// connectRate is how fast connections came, a second, until all were there.
func connectRate(all []sample) float64 {
	before := all[0]
	for _, s := range all[:len(all)-1] {
		if s.Opened == all[0].Opened {
			before = s // the last one without any
		}
	}
	end := all[len(all)-1]
	if end.At <= before.At {
		return 0
	}
	return float64(end.Opened-before.Opened) / (end.At - before.At)
}

// troubles are what the generator could not do.
func (r result) troubles() (all []string) {
	if n := r.Connections.Failed; n > 0 {
		all = append(all, fmt.Sprintf("%d connections could not be opened", n))
	}
	if n := r.Connections.Lost; n > 0 {
		all = append(all, fmt.Sprintf("%d connections were lost", n))
	}
	for _, e := range r.Errors {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%d times %s: %s", e.Count, e.Class, e.What)))
	}
	return all
}

// ServerEach is the server processes' RSS for a connection, in bytes, when nothing has been said yet.
func (l level) ServerEach() float64 { return each(l.ServerFull-l.ServerIdle, l.Open) }

// ServerEndEach is the same at the end, with what messages leave.
func (l level) ServerEndEach() float64 { return each(l.ServerEnd-l.ServerIdle, l.Open) }

// KernelEach is the kernel's memory for both ends of a connection, in bytes.
func (l level) KernelEach() float64 { return each(l.Kernel, l.Open) }

func each(bytes, of int64) float64 { return float64(bytes) / float64(max(1, of)) }
