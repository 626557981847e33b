package main

import (
	"errors"
	"math"
)

const (
	// million is how many connections are extrapolated to.
	million = 1_000_000
	// echoSeconds is how far apart the echoes of a connection are.
	echoSeconds = 10
	// defaultPorts is how many an address has to connect from, as Linux comes: 32768 to 60999.
	defaultPorts = 28_232
	// processDescriptors is the limit of a process for which the processes of a million connections are counted.
	processDescriptors = 20_000
)

// extrapolation is what a million connections take, and how that follows from the last two steps.
type extrapolation struct {
	Less, More     step
	Server, Kernel line
	Cores          float64 // of the server, for an echo of each in echoSeconds
	ConnectSeconds float64
	Processes      int64 // of processDescriptors each
	Addresses      int64 // to connect from, of defaultPorts each
}

// line is memory as a straight line through two steps, in bytes.
type line struct {
	Less, More float64 // in all
	Each       float64 // for a further connection
	AtMillion  float64
}

func lineOf(less, more step, bytes func(level) int64) line {
	l := line{Less: float64(bytes(less.Echo)), More: float64(bytes(more.Echo))}
	l.Each = (l.More - l.Less) / (more.Connections() - less.Connections())
	l.AtMillion = l.More + l.Each*(million-more.Connections())
	return l
}

// errTooFew: there are not two steps to draw a line through.
var errTooFew = errors.New("an extrapolation needs two steps with different numbers of connections")

// Million extrapolates from the last two steps.
func (g growth) Million() (x extrapolation, err error) {
	if len(g.Steps) < 2 {
		return x, errTooFew
	}
	x.Less, x.More = g.Steps[len(g.Steps)-2], g.Steps[len(g.Steps)-1]
	if x.Less.Connections() >= x.More.Connections() {
		return x, errTooFew
	}
	x.Server = lineOf(x.Less, x.More, func(l level) int64 { return l.ServerEnd - l.ServerIdle })
	x.Kernel = lineOf(x.Less, x.More, func(l level) int64 { return l.Kernel })
	x.Cores = million / echoSeconds * x.More.Echo.CPUEach / 1e6
	x.ConnectSeconds = million / x.More.Echo.ConnectRate
	x.Processes = int64(math.Ceil(million / float64(limits{Descriptors: processDescriptors}.perProcess())))
	x.Addresses = divideUp(million, defaultPorts)
	return x, nil
}
