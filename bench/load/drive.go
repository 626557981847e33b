package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	second   = time.Second            // between reports
	rampStep = 100 * time.Millisecond // between the turns of a ramp
	lead     = 200 * time.Millisecond // from Begin to the first message, so that all generators begin together
)

// DriveOptions are what a run takes besides its plan.
type DriveOptions struct {
	Version  string          // of the program, for the result
	Progress func(Snapshot)  // called about once a second, and at each step of a search, by Drive's goroutine; may be nil
	PIDs     []int           // the target's processes on this machine: the result says what they and their children used (Linux)
	AtOnce   <-chan struct{} // closed: the run ends without waiting for answers; may be nil
}

// ErrNoConnection says that not one connection opened, or that none could be tried. The result tells why.
var ErrNoConnection = errors.New("no connection opened")

// ErrNoGenerator says that every generator is lost.
var ErrNoGenerator = errors.New("no generator is left")

// Drive leads generators through a run: they connect, send for the warm-up, then for the phases of the plan or the search for a
// rate, and end. Generator i does share i of Shares(plan, len(generators)). Drive closes them all.
//
// When ctx ends, the run ends early: the generators still wait for answers, and the result is whole and says "interrupted".
// A generator that fails is named in the result, and the run goes on with the others.
//
// The result is nil if the plan cannot be run. With another error, such as [ErrNoConnection], it is what was seen until then.
func Drive(ctx context.Context, plan Plan, generators []Generator, o DriveOptions) (*Result, error) {
	r, err := newRun(plan, generators, o)
	if err != nil {
		for _, g := range generators {
			_ = g.Close() // nothing was asked of it
		}
		return nil, err
	}
	defer r.crew.close()
	soft, hard, cancel := endings(ctx, o.AtOnce)
	defer cancel()
	err = r.lead(soft, hard)
	return r.result(), err
}

// endings are two contexts: soft ends the run early, hard ends it at once.
func endings(ctx context.Context, atOnce <-chan struct{}) (soft, hard context.Context, cancel func()) {
	hard, cancelHard := context.WithCancel(context.WithoutCancel(ctx))
	soft, cancelSoft := context.WithCancel(ctx)
	context.AfterFunc(hard, cancelSoft)
	if atOnce != nil {
		go func() {
			select {
			case <-atOnce:
				cancelHard()
			case <-hard.Done():
			}
		}()
	}
	return soft, hard, cancelHard
}

// run is a run under way. Drive's goroutine alone uses it.
type run struct {
	plan   Plan
	o      DriveOptions
	crew   *crew
	course course
	target *target
	fail   []Threshold
	holds  []Threshold // of a search; nil without one

	stage    string
	of       time.Duration // how long this stage takes; 0: not known
	entered  time.Time     // when it began
	began    time.Time
	at       time.Time // sending begins
	figures  time.Time // figures begin; zero before
	stopped  time.Time // sending stopped; zero before
	reported time.Time // the last report

	asked    level     // now
	accrued  time.Time // until when askedFor counts
	askedFor float64   // messages, since figures begin
	whole    *Tally    // of the result
	inTime   *Tally    // as whole, until sending stopped
	open     int64     // most at once
	target0  usage     // when figures began
	series   []instant
	steps    []Step
	ended    string
}

func newRun(plan Plan, generators []Generator, o DriveOptions) (*run, error) {
	if len(generators) == 0 {
		return nil, fmt.Errorf("%w: none was given", ErrNoGenerator)
	}
	plan.Complete()
	r := &run{plan: plan, o: o, crew: newCrew(generators), course: courseOf(plan), began: time.Now(), whole: NewTally()}
	r.reported = r.began
	r.asked = r.course[0].to
	var err error
	if r.fail, err = thresholds(plan.Fail...); err != nil {
		return nil, err
	}
	if plan.FindRate != "" {
		if r.holds, err = thresholds(plan.FindRate); err != nil {
			return nil, err
		}
	}
	r.target, err = watchTarget(o.PIDs)
	return r, err
}

// lead leads the generators through all stages.
func (r *run) lead(soft, hard context.Context) error {
	err := r.connect(soft)
	if err == nil {
		err = r.load(soft)
	}
	r.end(hard)
	switch {
	case err != nil:
		r.ended = "failed: " + err.Error()
	case r.ended != "":
	case soft.Err() != nil:
		r.ended = "interrupted"
	default:
		r.ended = "done"
	}
	return err
}

// connect opens the connections the run begins with.
func (r *run) connect(ctx context.Context) error {
	r.enter("connecting", 0)
	done := make(chan struct{})
	go func() {
		r.crew.each(func(m *member) error { return m.Connect(ctx) })
		close(done)
	}()
	tick := time.NewTicker(second)
	defer tick.Stop()
	for under := true; under; {
		select {
		case <-tick.C:
		case <-done:
			under = false
		}
		r.report()
	}
	if err := r.lost(); err != nil {
		return err
	}
	if r.whole.Attempted > 0 && r.whole.Opened == 0 && ctx.Err() == nil {
		return r.nobody()
	}
	return nil
}

// nobody says why no connection opened.
func (r *run) nobody() error {
	err := fmt.Errorf("%w of %d", ErrNoConnection, r.whole.Attempted)
	if most := errorCounts(r.whole); len(most) > 0 {
		return fmt.Errorf("%w: %s", err, most[0])
	}
	return err
}

// lost is an error if nobody is left.
func (r *run) lost() error {
	if why := r.crew.failure(); why != nil {
		return fmt.Errorf("%w: %w", ErrNoGenerator, why)
	}
	return nil
}

// load sends: the warm-up, then what the figures are of.
func (r *run) load(ctx context.Context) error {
	if ctx.Err() != nil {
		return nil
	}
	r.at = time.Now().Add(lead)
	warm := time.Duration(r.plan.Warmup)
	r.crew.each(func(m *member) error { return m.Begin(r.at, r.at.Add(warm)) })
	r.enter("warm-up", warm)
	if err := r.pass(ctx, r.at.Add(warm)); err != nil || ctx.Err() != nil {
		return err
	}
	if r.holds != nil {
		return r.search(ctx)
	}
	r.measure()
	r.enter("running", r.course.length()-warm)
	return r.pass(ctx, r.at.Add(r.course.length()))
}

// pass follows the course until a time, with a report a second. It returns earlier when ctx ends, when a threshold does not hold and
// that is to end the run, and with an error when nobody is left.
func (r *run) pass(ctx context.Context, until time.Time) error {
	for tick := r.reported.Add(second); ; {
		next := earliest(tick, until)
		if r.holds == nil {
			level, change := r.course.at(time.Since(r.at))
			r.turn(level)
			if change > 0 {
				next = earliest(next, r.at.Add(change))
			}
		}
		if !wait(ctx, next) {
			return nil
		}
		now := time.Now()
		if now.Before(tick) && now.Before(until) {
			continue
		}
		r.report()
		if err := r.lost(); err != nil || r.aborted() || !now.Before(until) {
			return err
		}
		for !tick.After(now) {
			tick = tick.Add(second)
		}
	}
}

// turn tells everyone what to do from now on, if that is something else than before.
func (r *run) turn(to level) {
	if to == r.asked {
		return
	}
	r.accrue(time.Now())
	r.asked = to
	r.crew.each(func(m *member) error {
		own := part(to, r.plan, m.index, len(r.crew.members))
		return m.Turn(own.rate, own.connections)
	})
}

// accrue counts what has been asked for.
func (r *run) accrue(now time.Time) {
	r.askedFor += r.asked.rate * now.Sub(r.accrued).Seconds()
	r.accrued = now
}

// measure begins the figures.
func (r *run) measure() {
	r.figures, r.stopped = r.reported, time.Time{}
	r.accrued, r.askedFor = r.reported, 0
	r.crew.forget()
	r.target0 = r.target.read()
}

// end stops everyone and takes what they have still to tell.
func (r *run) end(hard context.Context) {
	if r.stopped.IsZero() {
		r.report() // what comes later does not count as rate
		r.stop()
	}
	r.enter("ending", time.Duration(r.plan.AnswerTimeout))
	done := make(chan *Tally)
	go func() { done <- r.crew.collect(func(g Generator) (*Tally, error) { return g.End(hard) }) }()
	tick := time.NewTicker(second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.show(r.last())
		case t := <-done:
			t.Open, t.BufferedAmount = r.whole.Open, r.whole.BufferedAmount // as it was under load
			r.whole.Follow(t)
			return
		}
	}
}

// stop is the end of the time in which figures are taken.
func (r *run) stop() {
	r.stopped = r.reported
	r.inTime = NewTally()
	r.inTime.Follow(r.whole)
}

// enter begins a stage.
func (r *run) enter(stage string, of time.Duration) {
	r.stage, r.of, r.entered = stage, of, time.Now()
	r.show(r.last())
}

func earliest(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// wait returns at a time, or false when ctx ends before.
func wait(ctx context.Context, until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
