package load

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const (
	searchFrom  = 1000            // messages a second of the first step, if the plan names no rate
	searchUntil = 0.03            // the search ends when the rates that hold and do not are this near to each other
	stepTime    = 3 * time.Second // for which a step is measured
	settleTime  = time.Second     // from a new rate to the step's figures
	drainTime   = 10 * time.Second
	reaches     = 0.95 // of the messages that are due, a server that keeps up answers so many within a step
	confirms    = 3    // so often the rate found is lowered by 10 %, when it does not hold for the whole duration
)

// search is by doubling until a rate does not hold, then by halving the distance between one that holds and one that does not.
type search struct {
	good, bad float64 // 0: none yet
	next      float64
}

// told takes what came of the rate next, and says whether to go on.
func (s *search) told(holds bool) (on bool) {
	if holds {
		s.good = s.next
	} else {
		s.bad = s.next
	}
	switch {
	case s.bad == 0:
		s.next = 2 * s.good
	case s.good == 0:
		s.next = s.bad / 2
	default:
		s.next = (s.good + s.bad) / 2
		return s.bad-s.good > searchUntil*s.bad
	}
	return s.next >= 1 && s.next < 1e9
}

// search looks for the highest rate at which the plan's thresholds hold, and takes the figures of a run at that rate.
func (r *run) search(ctx context.Context) error {
	s := search{next: r.plan.Rate}
	if s.next == 0 {
		s.next = searchFrom
	}
	for on := true; on; {
		holds, err := r.step(ctx, s.next, stepTime, "searching")
		if err != nil || ctx.Err() != nil {
			return err
		}
		on = s.told(holds)
	}
	for range confirms {
		if s.good < 1 {
			break
		}
		holds, err := r.step(ctx, s.good, time.Duration(r.plan.Duration), "running")
		if holds || err != nil || ctx.Err() != nil {
			return err
		}
		s.good *= 0.9
	}
	step := r.steps[len(r.steps)-1]
	r.ended = fmt.Sprintf("failed: no rate holds; at %.4g/s: %s", step.Rate, step.Why)
	return nil
}

// step tries a rate. The figures of the run are the step's until the next one.
func (r *run) step(ctx context.Context, rate float64, length time.Duration, stage string) (holds bool, err error) {
	if n := len(r.steps); n > 0 && !r.steps[n-1].Holds {
		if err := r.drain(ctx); err != nil {
			return false, err
		}
	}
	r.enter("settling", settleTime)
	r.turn(level{rate, r.asked.connections})
	if err := r.pass(ctx, time.Now().Add(settleTime)); err != nil || ctx.Err() != nil {
		return false, err
	}
	r.whole = connectionsOf(r.whole)
	r.measure()
	r.enter(stage, length)
	if err := r.pass(ctx, time.Now().Add(length)); err != nil || ctx.Err() != nil {
		return false, err
	}
	step := r.judge(rate)
	r.steps = append(r.steps, step)
	r.show(r.last())
	return step.Holds, nil
}

// drain sends nothing until answers cease to come, or drainTime is over: what one rate left behind is not the next one's.
func (r *run) drain(ctx context.Context) error {
	r.enter("settling", drainTime)
	r.turn(level{0, r.asked.connections})
	for end := time.Now().Add(drainTime); time.Now().Before(end); {
		before := r.whole.Received
		if err := r.pass(ctx, time.Now().Add(second)); err != nil || ctx.Err() != nil || r.whole.Received == before {
			return err
		}
	}
	return nil
}

// connectionsOf is what a tally says of connections alone.
func connectionsOf(t *Tally) *Tally {
	only := NewTally()
	only.Attempted, only.Opened, only.Failed, only.Ended, only.Open = t.Attempted, t.Opened, t.Failed, t.Ended, t.Open
	only.Connect = t.Connect
	return only
}

// judge says whether a rate holds: every threshold does, nothing failed, all was sent, and the server kept up.
func (r *run) judge(rate float64) Step {
	res := r.result()
	s := Step{Rate: rate, Reached: res.Rate, Latency: res.Latency, Errors: failures(r.whole)}
	var why []string
	for _, c := range r.holds {
		if v := c.Check(res); !v.Holds {
			why = append(why, fmt.Sprintf("%s is %s", v.Threshold, v.Value))
		}
	}
	if s.Errors > 0 {
		why = append(why, fmt.Sprintf("%d errors, most of them %s", s.Errors, res.Errors[0]))
	}
	m := res.Messages
	if m.Unsent > 0 {
		why = append(why, fmt.Sprintf("%d messages could not be sent in time", m.Unsent))
	}
	if due := rate * res.Duration; float64(m.Due) < reaches*due {
		why = append(why, fmt.Sprintf("the generators came to %.4g/s only", float64(m.Due)/res.Duration))
	} else if r.plan.Scenario != Fanout && float64(r.plan.reached(r.whole)) < reaches*float64(m.Due) {
		why = append(why, fmt.Sprintf("%.4g/s came back", res.Rate))
	}
	s.Holds, s.Why = len(why) == 0, strings.Join(why, "; ")
	return s
}
