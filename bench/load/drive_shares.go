package load

import "time"

// level is what a run does at a time: messages a second and connections, of all shares together.
type level struct {
	rate        float64
	connections int
}

// leg is a part of a course: from one level to the other in a straight line, or at the second one throughout.
type leg struct {
	begin, end time.Duration // since sending began
	from, to   level
	ramp       bool
}

// course is what a plan asks for over time: the warm-up, then the phases.
type course []leg

// courseOf is a plan's course. A first phase with a ramp starts from the plan's own rate and connections.
func courseOf(plan Plan) course {
	phases := plan.Phases
	if len(phases) == 0 {
		phases = []Phase{{Duration: plan.Duration, Rate: plan.Rate}}
	}
	before := level{plan.Rate, plan.Connections}
	if first := phases[0]; !first.Ramp {
		before = first.level(before)
	}
	at := time.Duration(plan.Warmup)
	c := course{{end: at, from: before, to: before}}
	for _, p := range phases {
		to := p.level(before)
		c = append(c, leg{begin: at, end: at + time.Duration(p.Duration), from: before, to: to, ramp: p.Ramp})
		at += time.Duration(p.Duration)
		before = to
	}
	return c
}

// level is what a phase ends with.
func (p Phase) level(before level) level {
	if p.Connections != 0 {
		before.connections = p.Connections
	}
	before.rate = p.Rate
	return before
}

// at is the level at a time, and when the next one is due; 0 for never.
func (c course) at(t time.Duration) (now level, next time.Duration) {
	for i, l := range c {
		if t >= l.end && i < len(c)-1 {
			continue
		}
		if !l.ramp || t >= l.end {
			if i == len(c)-1 {
				return l.to, 0
			}
			return l.to, l.end
		}
		way := float64(t-l.begin) / float64(l.end-l.begin)
		now.rate = l.from.rate + way*(l.to.rate-l.from.rate)
		now.connections = l.from.connections + int(way*float64(l.to.connections-l.from.connections))
		return now, min(l.end, t+rampStep)
	}
	return level{}, 0
}

// length is that of the whole.
func (c course) length() time.Duration { return c[len(c)-1].end }

// most is how many connections there are at most.
func (c course) most() int {
	most := 0
	for _, l := range c {
		most = max(most, l.from.connections, l.to.connections)
	}
	return most
}

// Shares divides a plan into n parts that begin with exactly the connections the plan begins with, and differ by at most one. A
// connection's number, from Share.First on, belongs to one share, also when a later phase opens more.
func Shares(plan Plan, n int) []Share {
	c := courseOf(plan)
	begin, most := c[0].to, c.most()
	shares := make([]Share, n)
	first := 0
	for i := range shares {
		own := part(begin, plan, i, n)
		shares[i] = Share{
			Plan: plan, Index: i, Of: n, First: first, Connections: own.connections, Rate: own.rate,
			Writers:     split(min(plan.Writers, begin.connections), i, n),
			ConnectRate: plan.ConnectRate * fraction(split(most, i, n), most),
		}
		first += split(most, i, n)
	}
	return shares
}

// part is what share i of n does of a level: the messages are divided as those who send are.
func part(l level, plan Plan, i, n int) level {
	senders := l.connections
	if plan.Scenario == Fanout {
		senders = min(plan.Writers, senders)
	}
	return level{rate: l.rate * fraction(split(senders, i, n), senders), connections: split(l.connections, i, n)}
}

// split is the i-th part of whole in n parts: the first ones have one more where it does not divide. A larger whole makes no part smaller.
func split(whole, i, n int) int {
	own := whole / n
	if i < whole%n {
		own++
	}
	return own
}

func fraction(of, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(of) / float64(whole)
}
