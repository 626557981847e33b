package reconnect

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gannet-ws/gannet/engine"
)

// refusing refuses each request with a status and these header fields.
func refusing(status int, fields ...string) func(int, http.ResponseWriter, *http.Request) bool {
	return func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		for i := 0; i < len(fields); i += 2 {
			w.Header().Set(fields[i], fields[i+1])
		}
		w.WriteHeader(status)
		return true
	}
}

// TestStatuses: a status from 400 to 499 is the end, but for those that ask to come again.
func TestStatuses(t *testing.T) {
	for status := 200; status < 600; status++ {
		if http.StatusText(status) == "" && status != 499 && status != 599 {
			continue
		}
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			s, d, k := newShore(t, refusing(status)), newDiary(t), newHandClock()
			begin(t, s.ws(), d, Options{}, k.clock())
			if status/100 == 4 && status != 408 && status != 425 && status != 429 {
				d.wants("close 1006 CLOSED")
				why := d.end()
				refused, ok := errors.AsType[*engine.HandshakeError](why)
				if !errors.Is(why, ErrUnwelcome) || !ok || refused.Status != status {
					t.Error(why)
				}
				return
			}
			d.wants("lost 1006 CONNECTING")
			if l := d.loss(); l.Delay != time.Second || l.Attempt != 2 || l.WasOpen || l.Unsent != 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestCloseCodes: what the peer closes with says whether to come back, and when.
func TestCloseCodes(t *testing.T) {
	for _, trial := range []struct {
		code      int
		stops     bool
		low, high time.Duration // 0: the first delay
	}{
		{code: 1000}, {code: 1001}, {code: 1002}, {code: 1003, stops: true}, {code: 1005}, {code: 1006}, {code: 1007}, {code: 1008, stops: true},
		{code: 1009}, {code: 1011}, {code: 1012, low: 5 * time.Second, high: 30 * time.Second},
		{code: 1013, low: 30 * time.Second, high: 60 * time.Second}, {code: 1014}, {code: 3000}, {code: 4000}, {code: 4999},
	} {
		t.Run(fmt.Sprint(trial.code), func(t *testing.T) {
			if trial.high == 0 {
				trial.high = time.Second
			}
			for _, low := range []bool{false, true} {
				k := newHandClock()
				want := trial.high
				if low {
					want = trial.low
					k.draws = func(int64) int64 { return 0 }
				}
				closedWith(t, trial.code, trial.stops, want, k)
			}
		})
	}
}

func closedWith(t *testing.T, code int, stops bool, want time.Duration, k *handClock) {
	t.Helper()
	s, d := newShore(t, nil), newDiary(t)
	begin(t, s.ws(), d, Options{}, k.clock())
	peer := s.conn(t)
	d.wants("open 1 CONNECTING")
	switch code {
	case 1005:
		_ = peer.CloseNoStatus()
	case 1006:
		peer.Terminate()
	default:
		if err := peer.CloseWith(code, "said the server"); err != nil {
			t.Fatal(err)
		}
	}
	if stops {
		d.wants(fmt.Sprint("close ", code, " CLOSED"))
		if why := d.end(); !errors.Is(why, ErrUnwelcome) {
			t.Error(why)
		}
		return
	}
	d.wants(fmt.Sprint("lost ", code, " CONNECTING"))
	if l := d.loss(); l.Delay != want || !l.WasOpen || l.Attempt != 2 {
		t.Errorf("%+v, want a delay of %v", l, want)
	}
}

// TestDelaysGrow: each is drawn from up to twice as much as the one before, to MaxDelay.
func TestDelaysGrow(t *testing.T) {
	d, k := newDiary(t), newHandClock()
	begin(t, nowhere(t), d, Options{FirstDelay: time.Second, MaxDelay: 20 * time.Second}, k.clock())
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 20, 20, 20} {
		l := d.loss()
		if l.Delay != want*time.Second || l.Attempt != i+2 {
			t.Errorf("%+v, want a delay of %v s", l, int(want))
		}
		if refused, ok := errors.AsType[*engine.DialError](l.Event.Err); !ok || refused.Op != "connect" {
			t.Error(l.Event.Err)
		}
		k.fire(t)
	}
}

// TestAcceptsThenDrops: a server that opens and drops does not reset the delays; a stable connection does.
func TestAcceptsThenDrops(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	begin(t, s.ws(), d, Options{StableAfter: time.Minute}, k.clock())
	drop := func(open time.Duration, attempt int, want time.Duration) {
		t.Helper()
		peer := s.conn(t)
		receive(t, d.lines, "OnOpen")
		k.turn(open)
		peer.Terminate()
		if l := d.loss(); l.Delay != want || l.Attempt != attempt || !l.WasOpen {
			t.Errorf("%+v, want a delay of %v and attempt %d", l, want, attempt)
		}
		receive(t, d.lines, "OnLost")
		k.fire(t)
	}
	drop(0, 2, time.Second)
	drop(time.Second, 3, 2*time.Second)
	drop(59*time.Second, 4, 4*time.Second)
	drop(time.Minute, 1, time.Second)
	drop(0, 2, 2*time.Second)
}

// TestGivesUp: after MaxAttempts, or when the next attempt would be later than MaxElapsed, and not before.
func TestGivesUp(t *testing.T) {
	for _, trial := range []struct {
		o    Options
		lost int
	}{
		{Options{MaxAttempts: 1}, 0}, {Options{MaxAttempts: 4}, 3},
		{Options{MaxElapsed: 7 * time.Second}, 3}, {Options{MaxElapsed: 7*time.Second - 1}, 2}, {Options{MaxElapsed: time.Nanosecond}, 0},
	} {
		t.Run(fmt.Sprint(trial.o.MaxAttempts, trial.o.MaxElapsed), func(t *testing.T) {
			d, k := newDiary(t), newHandClock()
			begin(t, nowhere(t), d, trial.o, k.clock())
			for range trial.lost {
				d.wants("lost 1006 CONNECTING")
				k.fire(t)
			}
			d.wants("close 1006 CLOSED")
			why := d.end()
			if _, ok := errors.AsType[*engine.DialError](why); !ok || !errors.Is(why, ErrGaveUp) {
				t.Error(why)
			}
		})
	}
}

// TestGivesUpFromTheLastStableOne: attempts and time count from there.
func TestGivesUpFromTheLastStableOne(t *testing.T) {
	up := true
	s := newShore(t, func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if !up {
			w.WriteHeader(503)
		}
		return !up
	})
	d, k := newDiary(t), newHandClock()
	begin(t, s.ws(), d, Options{MaxAttempts: 2, MaxElapsed: time.Hour}, k.clock())
	peer := s.conn(t)
	d.wants("open 1 CONNECTING")
	k.turn(1000 * 24 * time.Hour)
	up = false
	peer.Terminate()
	d.wants("lost 1006 CONNECTING")
	k.fire(t)
	d.wants("lost 1006 CONNECTING")
	k.fire(t)
	d.wants("close 1006 CLOSED")
	if why := d.end(); !errors.Is(why, ErrGaveUp) {
		t.Error(why)
	}
}

// TestRetryAfter: seconds and dates, and what is neither.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 500, time.UTC)
	for _, trial := range []struct {
		field, date string
		want        time.Duration
	}{
		{"", "", 0}, {"0", "", 0}, {"7", "", 7 * time.Second}, {" 120 ", "", 2 * time.Minute}, {"007", "", 7 * time.Second},
		{"1000000000", "", longest}, {"99999999999999999999999999", "", longest}, {"9223372036854775807", "", longest},
		{"-1", "", 0}, {"+5", "", 0}, {"1e9", "", 0}, {"5.5", "", 0}, {"5s", "", 0}, {"5, 10", "", 0}, {"soon", "", 0}, {"٣", "", 0}, {"0x10", "", 0},
		{"Mon, 30 Nov 2026 12:00:10 GMT", "", 10*time.Second - 500},
		{"Monday, 30-Nov-26 12:00:10 GMT", "", 10*time.Second - 500}, {"Mon Nov 30 12:00:10 2026", "", 10*time.Second - 500},
		{"Mon, 30 Nov 2026 11:00:00 GMT", "", 0}, {"Mon, 30 Nov 2026", "", 0}, {"Mon, 32 Nov 2026 12:00:10 GMT", "", 0},
		{"Fri, 31 Dec 9999 23:59:59 GMT", "", 1<<63 - 1},
		// The server's clock is an hour behind ours: it means ten seconds.
		{"Mon, 30 Nov 2026 11:00:10 GMT", "Mon, 30 Nov 2026 11:00:00 GMT", 10 * time.Second},
		{"Mon, 30 Nov 2026 12:00:10 GMT", "yesterday", 10*time.Second - 500},
	} {
		h := http.Header{}
		if trial.field != "" {
			h.Set("Retry-After", trial.field)
		}
		if trial.date != "" {
			h.Set("Date", trial.date)
		}
		if got := retryAfter(h, now); got != trial.want && min(got, longest) != trial.want && trial.want < longest {
			t.Errorf("%q, %q: %v, want %v", trial.field, trial.date, got, trial.want)
		} else if trial.want >= longest && got < longest {
			t.Errorf("%q: %v", trial.field, got)
		}
	}
}

// TestRetryAfterIsWaitedFor: at least so long as the server says, a drawn time longer, and MaxRetryAfter at most.
func TestRetryAfterIsWaitedFor(t *testing.T) {
	for _, trial := range []struct {
		field string
		o     Options
		want  time.Duration
	}{
		{"7", Options{}, 8 * time.Second}, {"-7", Options{}, time.Second}, {"garbage", Options{}, time.Second},
		{"1000000000", Options{}, 601 * time.Second}, {"3600", Options{MaxRetryAfter: time.Minute}, 61 * time.Second},
		{time.Now().Add(time.Hour).UTC().Format(http.TimeFormat), Options{MaxRetryAfter: 10 * time.Second}, 11 * time.Second},
		{time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), Options{}, time.Second},
	} {
		for _, status := range []int{429, 503, 302} {
			s, d, k := newShore(t, refusing(status, "Retry-After", trial.field)), newDiary(t), newHandClock()
			begin(t, s.ws(), d, trial.o, k.clock())
			if l := d.loss(); l.Delay != trial.want {
				t.Errorf("%d with %q: %v, want %v", status, trial.field, l.Delay, trial.want)
			}
		}
	}
}

// TestJitter: the system's draws are even, from 0 to the most.
func TestJitter(t *testing.T) {
	c := &Conn{clock: &systemClock}
	const draws, bins = 100_000, 10
	var count [bins]int
	for range draws {
		d := c.between(3*time.Second, 4*time.Second)
		if d < 3*time.Second || d > 4*time.Second {
			t.Fatal(d)
		}
		count[min(int((d-3*time.Second)*bins/time.Second), bins-1)]++
	}
	for i, n := range count {
		if n < draws/bins*9/10 || n > draws/bins*11/10 { // ten times its standard deviation
			t.Errorf("%d of %d draws are in bin %d of %d", n, draws, i, bins)
		}
	}
}

// TestAgainDecides: the user's function stands in the place of ours, and may ask it.
func TestAgainDecides(t *testing.T) {
	s, d, k := newShore(t, refusing(401)), newDiary(t), newHandClock()
	asked := 0
	begin(t, s.ws(), d, Options{Again: func(e engine.CloseEvent) bool {
		if Again(e) {
			t.Error("401 is another attempt's reason")
		}
		asked++
		return asked < 3
	}}, k.clock())
	for range 2 {
		d.wants("lost 1006 CONNECTING")
		k.fire(t)
	}
	d.wants("close 1006 CLOSED")
	if why := d.end(); !errors.Is(why, ErrUnwelcome) {
		t.Error(why)
	}
}

// TestPermanentErrors: what can not become better is not tried again.
func TestPermanentErrors(t *testing.T) {
	if Again(engine.CloseEvent{Code: engine.StatusMandatoryExt, WasClean: true}) { // only a server that errs sends it
		t.Error("after 1010")
	}
	wrong := errors.New("the account is gone")
	for _, e := range []error{backoff.Permanent(wrong), fmt.Errorf("no token: %w", backoff.Permanent(wrong))} {
		if Again(engine.CloseEvent{Code: 1006, Err: e}) {
			t.Error(e)
		}
	}
	if !Again(engine.CloseEvent{Code: 1006, Err: engine.ErrTooManyConns}) || !Again(engine.CloseEvent{Code: 1006, Err: engine.ErrInvalidUTF8}) {
		t.Error("what may become better is not tried again")
	}
}
