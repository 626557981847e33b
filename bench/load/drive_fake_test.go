package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// fake is a generator whose server answers all that comes up to a capacity, after a latency of its own.
type fake struct {
	name     string
	share    Share
	capacity float64       // messages a second that this share's server answers
	latency  time.Duration // below the capacity; above it a hundred times as long
	connects time.Duration
	fails    int                     // connections that do not open
	dies     func(call string) error // what a call answers instead of doing something

	mu        sync.Mutex
	open      int
	rate      float64
	at, until time.Time // sending began; told until
	measure   time.Time
	calls     []string
	turns     []level
	tally     *Tally
	owed      float64
}

func newFakes(plan Plan, n int) ([]*fake, []Generator) {
	var fakes []*fake
	var all []Generator
	for i, s := range Shares(plan, n) {
		f := &fake{name: fmt.Sprintf("fake %d", i+1), share: s, capacity: 1e9, latency: time.Millisecond, tally: NewTally(), rate: s.Rate}
		fakes, all = append(fakes, f), append(all, f)
	}
	return fakes, all
}

var errDead = errors.New("dead")

func (f *fake) call(name string) error {
	if name != "Report" {
		f.calls = append(f.calls, name)
	}
	if f.dies != nil {
		return f.dies(name)
	}
	return nil
}

func (f *fake) Name() string { return f.name }

func (f *fake) Connect(ctx context.Context) error {
	f.mu.Lock()
	err := f.call("Connect")
	f.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case <-time.After(f.connects):
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = f.share.Connections - f.fails
	f.tally.Attempted += int64(f.share.Connections)
	f.tally.Opened += int64(f.open)
	f.tally.Failed += int64(f.fails)
	if f.fails > 0 {
		f.tally.Fail(Refused, "connection refused", int64(f.fails))
	}
	return nil
}

func (f *fake) Begin(at, measure time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at, f.until, f.measure = at, at, measure
	return f.call("Begin")
}

func (f *fake) Turn(rate float64, connections int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.send()
	f.turns = append(f.turns, level{rate, connections})
	f.rate, f.open = rate, connections-f.fails
	return f.call("Turn")
}

// send does what was to be done until now.
func (f *fake) send() {
	now := time.Now()
	if f.at.IsZero() || !now.After(f.until) {
		return
	}
	if warm := f.measure.Sub(f.until).Seconds(); warm > 0 {
		warm = min(warm, now.Sub(f.until).Seconds())
		f.tally.Warmup += int64(f.rate * warm)
		f.until = f.until.Add(time.Duration(warm * 1e9))
	}
	seconds := now.Sub(f.until).Seconds()
	f.until = now
	f.owed += f.rate * seconds
	n := int64(f.owed + 1e-6)
	f.owed -= float64(n)
	latency, answered := f.latency, n
	if f.rate > f.capacity {
		latency, answered = 100*f.latency, int64(f.capacity*seconds)
	}
	f.tally.Due += n
	f.tally.Sent += n
	f.tally.Answered += answered
	f.tally.Received += answered
	_ = f.tally.Latency.RecordValues(int64(latency), answered)
	_ = f.tally.Raw.RecordValues(int64(latency), answered)
}

func (f *fake) Report() (*Tally, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("Report"); err != nil {
		return nil, err
	}
	return f.told(), nil
}

func (f *fake) told() *Tally {
	f.send()
	t := f.tally
	t.Open, t.Loops = int64(f.open), 1
	f.tally = NewTally()
	return t
}

func (f *fake) End(context.Context) (*Tally, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.call("End"); err != nil {
		return nil, err
	}
	t := f.told()
	f.at = time.Time{}
	t.Open = 0
	return t, nil
}

func (f *fake) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.call("Close")
}
