package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// maxFloorMove is how far the floor may move within a cell before the cell is void. The floor does the same work
// every time, so what moves it is the machine: its clock, its neighbours.
const maxFloorMove = 0.10

// bencher measures cells one after the other.
type bencher struct {
	options  options
	tools    *toolset
	ports    *rig.Ports
	progress io.Writer
	// sampleOnce and askOnce, but for tests.
	sample func(context.Context, echoCell, server) (sample, error)
	ask    func(context.Context, echoCell, server) (agreement, error)
}

// echoResult is one measured echo cell.
type echoResult struct {
	Cell      echoCell       `json:"cell"`
	Servers   []serverResult `json:"servers"` // the floor first
	LeftOut   []leftOut      `json:"left_out,omitempty"`
	Void      bool           `json:"void"`
	Abandoned int            `json:"abandoned"` // attempts thrown away before this one because the floor moved
	FloorMove float64        `json:"floor_move"`
}

// leftOut is a server that was asked for and takes no part in a cell.
type leftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// serverResult is one server's samples in a cell, one per round.
type serverResult struct {
	Name    string   `json:"name"`
	Role    role     `json:"role"`
	Samples []sample `json:"samples"`
	Bar     float64  `json:"bar,omitempty"` // of a server of -add: upper limit on Gannet's ratio to it; 0: none

	// In a deflate cell:
	Settings string     `json:"deflate_settings,omitempty"` // what it was started with
	Keeps    string     `json:"keeps,omitempty"`            // of what it sent, to compress with
	Agreed   *agreement `json:"agreed,omitempty"`
}

// measure runs c until the floor held still over all rounds, or until the attempts are used up; the last attempt
// is then reported in full, and marked void.
func (b *bencher) measure(ctx context.Context, c echoCell) (echoResult, error) {
	if b.options.conns > 0 {
		c.Conns = b.options.conns
	}
	servers, err := b.participants(ctx, c)
	if err != nil {
		return echoResult{Cell: c}, err
	}
	for attempt := 0; ; attempt++ {
		result, err := b.attempt(ctx, echoResult{Cell: c, Servers: slices.Clone(servers), LeftOut: b.options.plan.leftOut(c)}, attempt == b.options.retries)
		if err != nil {
			return result, err
		}
		result.Abandoned = attempt
		if !result.Void || attempt == b.options.retries {
			return result, nil
		}
	}
}

// participants are the servers that run in c, without samples yet.
func (b *bencher) participants(ctx context.Context, c echoCell) (servers []serverResult, err error) {
	for _, s := range b.options.plan.servers {
		if !s.runsIn(c) {
			continue
		}
		r := serverResult{Name: s.Name, Role: s.Role, Bar: s.bars[c.Name]}
		if c.Window != 0 && s.Role != roleFloor {
			a, err := b.ask(ctx, c, s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.Name, err)
			}
			r.describe(s, c, a)
		}
		servers = append(servers, r)
	}
	return servers, nil
}

// leftOut are the servers of p that take no part in c.
func (p plan) leftOut(c echoCell) (out []leftOut) {
	for _, s := range p.servers {
		if why := s.leftOut(c); why != "" {
			out = append(out, leftOut{s.Name, why})
		}
	}
	return out
}

// describe notes how s compresses in c.
func (r *serverResult) describe(s server, c echoCell, a agreement) {
	r.Agreed = &a
	r.Keeps = "nothing"
	if s.keeps != nil && !strings.Contains(a.Answer, "server_no_context_takeover") {
		r.Keeps = s.keeps(c.settings(), c.Payload)
	}
	r.Settings = s.deflateFlags(c.settings())
	if s.Role == roleExtra {
		r.Keeps, r.Settings = unsaid, unsaid
	}
}

// unsaid stands for what nobody knows of a server given with -add.
const unsaid = "?"

// attempt runs the rounds of r's cell: A B C D, A B C D, ... Unless it is the last one, it ends as soon as it is void.
func (b *bencher) attempt(ctx context.Context, r echoResult, last bool) (echoResult, error) {
	c := r.Cell
	for round := range b.options.rounds {
		if err := b.round(ctx, &r, round); err != nil {
			return r, err
		}
		r.FloorMove = rig.SpreadOf(of(r.Servers[0].Samples, cpu)).Moved()
		if r.Void = r.FloorMove > maxFloorMove; r.Void && !last {
			fmt.Fprintf(b.progress, "%s: the floor moved by %.0f %% in %d rounds, starting again\n", c.Name, 100*r.FloorMove, round+1)
			return r, nil
		}
	}
	return r, nil
}

func (b *bencher) round(ctx context.Context, r *echoResult, round int) error {
	fmt.Fprintf(b.progress, "%s round %d/%d:", r.Cell.Name, round+1, b.options.rounds)
	defer fmt.Fprintln(b.progress)
	i := 0
	for _, s := range b.options.plan.servers {
		if !s.runsIn(r.Cell) {
			continue
		}
		taken, err := b.sample(ctx, r.Cell, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		fmt.Fprintf(b.progress, " %s %.3f", s.Name, taken.CPUMicros)
		r.Servers[i].Samples = append(r.Servers[i].Samples, taken)
		i++
	}
	return nil
}

// find returns the first server of a role, or nil.
func (r echoResult) find(wanted role) *serverResult {
	for i := range r.Servers {
		if r.Servers[i].Role == wanted {
			return &r.Servers[i]
		}
	}
	return nil
}
