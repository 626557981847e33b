package load

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const aDuration = Duration(10 * time.Second)

func near(got, want float64) bool { return math.Abs(got-want) <= 0.001*math.Abs(want) }

// drive runs a plan with fakes, in fake time.
func drive(t *testing.T, plan Plan, n int, o DriveOptions, prepare func([]*fake), check func([]*fake, *Result, error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fakes, all := newFakes(plan, n)
		if prepare != nil {
			prepare(fakes)
		}
		res, err := Drive(t.Context(), plan, all, o)
		check(fakes, res, err)
		for _, f := range fakes {
			if len(f.calls) == 0 || f.calls[len(f.calls)-1] != "Close" {
				t.Errorf("%s was not closed: %v", f.name, f.calls)
			}
		}
	})
}

func TestDrive(t *testing.T) {
	plan := Plan{URL: "ws://x/", Connections: 10, Rate: 1000, Warmup: Duration(3 * time.Second), Duration: aDuration, Fail: []string{"p99<5ms,errors<1", "rate>2000"}}
	var shown []Snapshot
	o := DriveOptions{Version: "v1", Progress: func(s Snapshot) { shown = append(shown, s) }}
	drive(t, plan, 3, o, func(fakes []*fake) { fakes[0].connects = 5500 * time.Millisecond }, func(fakes []*fake, res *Result, err error) {
		if err != nil || res.Ended != "done" || res.Version != "v1" {
			t.Fatalf("%v, ended %q, version %q", err, res.Ended, res.Version)
		}
		if !near(res.Duration, 10) || !near(res.Rate, 1000) || !near(res.RateAsked, 1000) || !near(res.SentRate, 1000) {
			t.Errorf("%v s, %v/s of %v/s, %v/s sent", res.Duration, res.Rate, res.RateAsked, res.SentRate)
		}
		if c := res.Connections; c.Asked != 10 || c.Opened != 10 || c.Open != 10 || c.Failed != 0 {
			t.Errorf("connections %+v", c)
		}
		if m := res.Messages; m.Sent < 9998 || m.Sent > 10000 || m.Sent != m.Answered || res.Whole.Warmup < 2990 {
			t.Errorf("messages %+v, %d of warm-up", m, res.Whole.Warmup)
		}
		if res.Latency.Count != res.Messages.Answered || !near(res.Latency.P99, 1) {
			t.Errorf("latency %+v", res.Latency)
		}
		if v := res.Thresholds; len(v) != 3 || !v[0].Holds || !v[1].Holds || v[2].Holds {
			t.Errorf("verdicts %+v", v)
		}
		for _, f := range fakes {
			if !slices.Equal(f.calls, []string{"Connect", "Begin", "End", "Close"}) {
				t.Errorf("%s was called %v", f.name, f.calls)
			}
		}
		if n := len(res.Series); n < 18 || n > 20 || res.Series[0].At >= 0 || !near(res.Series[n-1].At, 13) || !near(res.Series[n-1].Rate, 1000) || res.Series[n-1].Histogram == "" {
			t.Errorf("%d moments, %+v to %+v", n, res.Series[0], res.Series[n-1])
		}
	})
	var stages []string
	for _, s := range shown {
		if n := len(stages); n == 0 || stages[n-1] != s.Stage {
			stages = append(stages, s.Stage)
		}
	}
	if want := []string{"connecting", "warm-up", "running", "ending"}; !slices.Equal(stages, want) {
		t.Errorf("stages %v, want %v", stages, want)
	}
	if len(shown) < 18 {
		t.Errorf("shown %d times in 19 s", len(shown))
	}
}

func TestShares(t *testing.T) {
	for _, c := range []struct{ connections, n int }{{1, 1}, {10, 3}, {100000, 7}, {2, 5}} {
		plan := Plan{Connections: c.connections, Rate: 1000, ConnectRate: 500, Scenario: Fanout, Writers: 2,
			Phases: []Phase{{Rate: 1000}, {Rate: 2000, Connections: 3 * c.connections}}}
		shares := Shares(plan, c.n)
		sum, end := Share{}, 0
		for i, s := range shares {
			if s.First != end || s.Index != i || s.Of != c.n {
				t.Errorf("share %d of %d begins with connection %d, want %d", s.Index, s.Of, s.First, end)
			}
			end += split(3*c.connections, i, c.n)
			if s.Connections > end-s.First || s.Writers > s.Connections {
				t.Errorf("share %+v has more than its own", s)
			}
			sum.Connections += s.Connections
			sum.Writers += s.Writers
			sum.Rate += s.Rate
			sum.ConnectRate += s.ConnectRate
			if low := c.connections / c.n; s.Connections < low || s.Connections > low+1 {
				t.Errorf("share %d has %d of %d connections", i, s.Connections, c.connections)
			}
		}
		if sum.Connections != c.connections || sum.Writers != min(2, c.connections) || !near(sum.Rate, 1000) || !near(sum.ConnectRate, 500) {
			t.Errorf("%d connections in %d shares sum up to %+v", c.connections, c.n, sum)
		}
	}
}

func TestPhases(t *testing.T) {
	plan := Plan{Connections: 4, Phases: []Phase{
		{Duration: aDuration, Rate: 100},
		{Duration: aDuration, Rate: 300, Connections: 8, Ramp: true},
		{Duration: aDuration, Rate: 50},
	}}
	drive(t, plan, 2, DriveOptions{}, nil, func(fakes []*fake, res *Result, err error) {
		if err != nil || !near(res.Duration, 30) {
			t.Fatalf("%v, %v s", err, res.Duration)
		}
		// 1000, then a ramp of 2000 in steps, then 500.
		if m := res.Messages; m.Due < 3470 || m.Due > 3500 || math.Abs(res.RateAsked*30-float64(m.Due)) > 5 {
			t.Errorf("%d messages due, %v asked for", m.Due, res.RateAsked*30)
		}
		if res.Connections.Asked != 8 || res.Connections.Open != 8 {
			t.Errorf("%+v", res.Connections)
		}
		before := 100.0
		for i := range len(fakes[0].turns) - 1 {
			rate := fakes[0].turns[i].rate + fakes[1].turns[i].rate
			if rate < before || rate-before > 2.1 {
				t.Errorf("turn %d of the ramp is to %v after %v", i, rate, before)
			}
			before = rate
		}
		if last := fakes[0].turns[len(fakes[0].turns)-1]; last != (level{25, 4}) {
			t.Errorf("the last phase is %+v", last)
		}
	})
}

func TestRampFromTheBeginning(t *testing.T) {
	plan := Plan{Connections: 1, Phases: []Phase{{Duration: aDuration, Rate: 100, Ramp: true}}}
	drive(t, plan, 1, DriveOptions{}, nil, func(_ []*fake, res *Result, err error) {
		if err != nil || res.Messages.Due < 480 || res.Messages.Due > 510 {
			t.Errorf("%v, %d messages, want 500", err, res.Messages.Due)
		}
	})
}

func TestInterrupted(t *testing.T) {
	plan := Plan{Connections: 1, Rate: 100, Duration: aDuration}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(4500*time.Millisecond, cancel)
		fakes, all := newFakes(plan, 1)
		res, err := Drive(ctx, plan, all, DriveOptions{})
		if err != nil || res.Ended != "interrupted" || res.Messages.Sent < 420 || res.Messages.Sent > 430 || !near(res.Rate, 100) {
			t.Errorf("%v, %q, %+v, %v/s", err, res.Ended, res.Messages, res.Rate)
		}
		if !slices.Contains(fakes[0].calls, "End") {
			t.Error("answers were not waited for")
		}
	})
	synctest.Test(t, func(t *testing.T) { // while connecting
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		fakes, all := newFakes(plan, 1)
		fakes[0].connects = time.Hour
		res, err := Drive(ctx, plan, all, DriveOptions{})
		if err != nil || res.Ended != "interrupted" || res.Duration != 0 {
			t.Errorf("%v, %+v", err, res)
		}
	})
}

// slowEnd is a generator that waits for answers until it may not.
type slowEnd struct{ *fake }

func (s slowEnd) End(ctx context.Context) (*Tally, error) {
	<-ctx.Done()
	return s.fake.End(ctx)
}

func TestAtOnce(t *testing.T) {
	plan := Plan{Connections: 1, Rate: 100, Duration: aDuration}
	synctest.Test(t, func(t *testing.T) {
		atOnce := make(chan struct{})
		time.AfterFunc(15*time.Second, func() { close(atOnce) })
		fakes, _ := newFakes(plan, 1)
		began := time.Now()
		res, err := Drive(t.Context(), plan, []Generator{slowEnd{fakes[0]}}, DriveOptions{AtOnce: atOnce})
		if took := time.Since(began); err != nil || took != 15*time.Second || !near(res.Duration, 10) {
			t.Errorf("%v after %v, %v s of figures", err, took, res.Duration)
		}
	})
}

func TestAbortOnFail(t *testing.T) {
	plan := Plan{Connections: 1, Rate: 100, Duration: Duration(time.Hour), Fail: []string{"p99<500us"}, AbortOnFail: true}
	drive(t, plan, 1, DriveOptions{}, nil, func(_ []*fake, res *Result, err error) {
		if err != nil || res.Ended != "aborted: p99<500us" || res.Duration > 5 || res.Duration < 2 || res.Thresholds[0].Holds {
			t.Errorf("%v, %q after %v s, %+v", err, res.Ended, res.Duration, res.Thresholds)
		}
	})
}

func TestLostGenerator(t *testing.T) {
	plan := Plan{Connections: 4, Rate: 1000, Duration: aDuration}
	for _, call := range []string{"Connect", "Begin", "Report", "End"} {
		drive(t, plan, 2, DriveOptions{}, func(fakes []*fake) {
			fakes[1].dies = func(c string) error {
				if c == call {
					return errDead
				}
				return nil
			}
		}, func(_ []*fake, res *Result, err error) {
			if err != nil || res.Ended != "done" || !near(res.Duration, 10) {
				t.Fatalf("%s: %v, %q, %v s", call, err, res.Ended, res.Duration)
			}
			if e := res.Errors; len(e) != 1 || e[0].String() != "lost: fake 2: dead" || e[0].Count != 1 {
				t.Errorf("%s: errors %+v", call, e)
			}
			if !res.Generators[1].Lost || res.Generators[0].Lost || !strings.Contains(strings.Join(res.Warnings, "\n"), "fake 2 was lost") {
				t.Errorf("%s: %+v, %q", call, res.Generators, res.Warnings)
			}
			if call != "End" && (res.Messages.Sent < 4990 || res.Messages.Sent > 5000) {
				t.Errorf("%s: %d sent", call, res.Messages.Sent)
			}
		})
	}
}

func TestNobodyLeft(t *testing.T) {
	plan := Plan{Connections: 4, Rate: 1000, Duration: aDuration}
	drive(t, plan, 2, DriveOptions{}, func(fakes []*fake) {
		for _, f := range fakes {
			n := 0
			f.dies = func(c string) error {
				if n++; n > 5 && c == "Report" {
					return errDead
				}
				return nil
			}
		}
	}, func(_ []*fake, res *Result, err error) {
		if !errors.Is(err, ErrNoGenerator) || !errors.Is(err, errDead) || !strings.HasPrefix(res.Ended, "failed: ") || res.Messages.Sent == 0 {
			t.Errorf("%v, %+v", err, res)
		}
	})
}

func TestNoConnection(t *testing.T) {
	plan := Plan{Connections: 4, Rate: 1000, Duration: aDuration}
	drive(t, plan, 1, DriveOptions{}, func(fakes []*fake) { fakes[0].fails = 4 }, func(_ []*fake, res *Result, err error) {
		if !errors.Is(err, ErrNoConnection) || !strings.Contains(err.Error(), "refused: connection refused") || res.Connections.Failed != 4 {
			t.Errorf("%v, %+v", err, res.Connections)
		}
	})
	drive(t, plan, 1, DriveOptions{}, func(fakes []*fake) { fakes[0].fails = 3 }, func(_ []*fake, res *Result, err error) {
		if err != nil || res.Connections.Opened != 1 || res.Connections.Failed != 3 || res.Errors[0].Count != 3 {
			t.Errorf("%v, %+v", err, res.Connections)
		}
	})
}

func TestFindRate(t *testing.T) {
	for _, c := range []struct{ from, capacity float64 }{{0, 47000}, {100000, 47000}, {500, 500.5}} {
		plan := Plan{Connections: 4, Rate: c.from, Duration: aDuration, FindRate: "p99<10ms"}
		steps := 0
		o := DriveOptions{Progress: func(s Snapshot) {
			if s.Step != nil && s.Step.Rate == 0 {
				t.Error("a step without a rate was shown")
			}
			if s.Stage == "searching" {
				steps++
			}
		}}
		drive(t, plan, 2, o, func(fakes []*fake) {
			for _, f := range fakes {
				f.capacity = c.capacity / 2
			}
		}, func(_ []*fake, res *Result, err error) {
			if err != nil || res.Ended != "done" {
				t.Fatalf("%v, %q", err, res.Ended)
			}
			if res.Rate > c.capacity || res.Rate < 0.96*c.capacity || !near(res.Duration, 10) || !near(res.RateAsked, res.Rate) {
				t.Errorf("found %v/s of %v, in %v s", res.Rate, c.capacity, res.Duration)
			}
			last := res.Steps[len(res.Steps)-1]
			if !last.Holds || !near(last.Rate, res.Rate) || len(res.Steps) > 25 || steps < len(res.Steps)-1 {
				t.Errorf("%d steps, %d times shown, the last %+v", len(res.Steps), steps, last)
			}
			for _, s := range res.Steps {
				if s.Holds != (s.Rate <= c.capacity) || s.Holds != (s.Why == "") {
					t.Errorf("%v/s: %v because of %q", s.Rate, s.Holds, s.Why)
				}
			}
			if res.Messages.Sent > 11*int64(c.capacity) {
				t.Errorf("%d messages are not those of the rate found alone", res.Messages.Sent)
			}
		})
	}
}

func TestFindRateNone(t *testing.T) {
	plan := Plan{Connections: 4, Duration: aDuration, FindRate: "p99<10us"}
	drive(t, plan, 1, DriveOptions{}, nil, func(_ []*fake, res *Result, err error) {
		if err != nil || !strings.HasPrefix(res.Ended, "failed: no rate holds; at 1.953/s: p99<10us is 1") {
			t.Errorf("%v, %q", err, res.Ended)
		}
	})
}

func TestWarnings(t *testing.T) {
	r := &run{plan: Plan{URL: "ws://example.com/"}, target: &target{}}
	busy := Figures{Name: "this process", CPUShare: 0.97}
	late := Figures{Name: "process 2", Lateness: Distribution{Count: 1, P99: 1.5}}
	fine := Figures{Name: "process 3", CPUShare: 0.85, Lateness: Distribution{Count: 1, P99: 0.9}}
	if w := r.warnings(&Result{Generators: []Figures{fine}, RateAsked: 100, SentRate: 99.5}); len(w) != 0 {
		t.Errorf("warnings without a reason: %q", w)
	}
	got := strings.Join(r.warnings(&Result{Generators: []Figures{busy, late, fine}, RateAsked: 100, SentRate: 90, Messages: Messages{Unsent: 7, Due: 100}}), "\n")
	for _, want := range []string{"this process used 97 %", "process 2 sent one message in a hundred 1.5 ms", "7 of 100", "100 messages a second were asked for, and 90 sent"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %s", want, got)
		}
	}
	if strings.Contains(got, "process 3") {
		t.Errorf("a warning of who did well: %s", got)
	}
}

// abroad is a generator on another machine.
type abroad struct{ *fake }

func (abroad) Elsewhere() bool { return true }

// TestSharedProcessors: what generators use counts beside what the target does, if all of it is on this machine.
func TestSharedProcessors(t *testing.T) {
	if runtime.NumCPU() == 1 {
		t.Skip("one processor is always shared")
	}
	all := float64(runtime.NumCPU())
	for _, c := range []struct {
		name string
		url  string
		g    Generator
		cpu  float64 // of both, in ten seconds
		warn bool
	}{
		{"here", "ws://127.0.0.1/", &fake{}, 10 * all, true},
		{"by name", "ws://localhost:80/", &fake{}, 10 * all, true},
		{"with room", "ws://[::1]/", &fake{}, 8 * all, false},
		{"elsewhere", "ws://example.com/", &fake{}, 10 * all, false},
		{"from elsewhere", "ws://127.0.0.1/", abroad{&fake{}}, 10 * all, false},
	} {
		r := &run{plan: Plan{URL: c.url}, target: &target{}, crew: newCrew([]Generator{c.g})}
		w := r.warnings(&Result{Duration: 10, Target: &Target{CPU: c.cpu / 2}, Generators: []Figures{{CPU: c.cpu / 2}}})
		if (len(w) == 1) != c.warn || len(w) > 1 || c.warn && !strings.Contains(w[0], "together used") {
			t.Errorf("%s: %q", c.name, w)
		}
	}
	r := &run{plan: Plan{URL: "ws://example.com/"}, target: &target{}, crew: newCrew([]Generator{&fake{}, &fake{}})}
	w := r.warnings(&Result{Duration: 10, Generators: []Figures{{CPU: 5 * all}, {CPU: 4.5 * all}}})
	if len(w) != 1 || !strings.Contains(w[0], "The generators together used") {
		t.Errorf("two processes: %q", w)
	}
}

func TestBadPlans(t *testing.T) {
	for _, plan := range []Plan{{Fail: []string{"p99"}}, {FindRate: "speed>1"}} {
		_, all := newFakes(plan, 1)
		if res, err := Drive(t.Context(), plan, all, DriveOptions{}); err == nil || res != nil {
			t.Errorf("%+v was run", plan)
		}
	}
	if _, err := Drive(t.Context(), Plan{}, nil, DriveOptions{}); !errors.Is(err, ErrNoGenerator) {
		t.Error(err)
	}
}
