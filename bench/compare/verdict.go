package main

import "github.com/gannet-ws/gannet/bench/internal/rig"

// outcome is what became of a bar.
type outcome string

const (
	met         outcome = "met"
	missed      outcome = "MISSED"
	void        outcome = "void"         // the floor moved: the figure says nothing
	notMeasured outcome = "not measured" // Gannet, or all peers, did not take part
	tooFew      outcome = "too few rounds"
)

// verdict is one bar, held against what was measured.
type verdict struct {
	Cell     string     `json:"cell"`
	Against  string     `json:"against"`
	Bar      float64    `json:"bar"`
	Measured rig.Spread `json:"measured"`
	Outcome  outcome    `json:"outcome"`
}

// judgeEcho holds c's bars against its samples.
func judgeEcho(r echoResult) []verdict {
	var verdicts []verdict
	if r.Cell.FloorBar > 0 {
		verdicts = append(verdicts, r.against(r.find(roleFloor), r.Cell.FloorBar))
	}
	if r.Cell.PeerBar > 0 {
		verdicts = append(verdicts, r.againstBestPeer())
	}
	for i := range r.Servers {
		if s := &r.Servers[i]; s.Bar > 0 {
			verdicts = append(verdicts, r.against(s, s.Bar))
		}
	}
	return verdicts
}

// againstBestPeer is the verdict on the peer that Gannet's ratio is worst against.
func (r echoResult) againstBestPeer() verdict {
	worst := verdict{Cell: r.Cell.Name, Against: "best peer", Bar: r.Cell.PeerBar, Outcome: notMeasured}
	for i := range r.Servers {
		if r.Servers[i].Role != rolePeer {
			continue
		}
		if v := r.against(&r.Servers[i], r.Cell.PeerBar); v.Measured.Median > worst.Measured.Median {
			v.Against = "best peer, " + v.Against
			worst = v
		}
	}
	return worst
}

func (r echoResult) against(other *serverResult, bar float64) verdict {
	v := verdict{Cell: r.Cell.Name, Against: other.Name, Bar: bar, Outcome: notMeasured}
	subject := r.find(roleSubject)
	if subject == nil {
		return v
	}
	v.Measured = rig.SpreadOf(ratios(subject.Samples, other.Samples))
	switch {
	case r.Void:
		v.Outcome = void
	case len(subject.Samples) < minRounds:
		v.Outcome = tooFew
	case v.Measured.Median <= bar:
		v.Outcome = met
	default:
		v.Outcome = missed
	}
	return v
}

func judgeIdle(r idleResult) verdict {
	v := verdict{Cell: r.Cell.Name, Against: "bytes of RSS per connection", Bar: r.Cell.Bar, Outcome: notMeasured}
	for _, s := range r.Servers {
		if s.Role != roleSubject {
			continue
		}
		v.Measured = s.slope()
		v.Outcome = met
		if v.Measured.Median > v.Bar {
			v.Outcome = missed
		}
	}
	return v
}

// judge fills in the verdicts of all cells.
func (r *report) judge() {
	for _, c := range r.Echo {
		r.Verdicts = append(r.Verdicts, judgeEcho(c)...)
	}
	for _, c := range r.Idle {
		if c.Cell.Bar > 0 {
			r.Verdicts = append(r.Verdicts, judgeIdle(c))
		}
	}
}

// status is the exit status that -check asks for: a miss outweighs what could not be judged.
func (r *report) status() int {
	status := 0
	for _, v := range r.Verdicts {
		switch v.Outcome {
		case met:
		case missed:
			return exitMissed
		default:
			status = exitVoid
		}
	}
	return status
}
