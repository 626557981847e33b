package engine

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Limits fit together: what was not given is made to fit what was, and what was given and cannot
// work is an error that names both.

func limitsOf(t *testing.T, l Limits) Limits {
	t.Helper()
	s, err := NewServer(Funcs{}, Options{Limits: l})
	if err != nil {
		t.Fatalf("%+v: %v", l, err)
	}
	return s.conf.limits.Limits
}

// TestLimitsDerived: HighWater, LowWater, MaxBufferedAmount and PingInterval follow what is given.
func TestLimitsDerived(t *testing.T) {
	type marks struct{ high, low, most int64 }
	for _, k := range []struct {
		give Limits
		want marks
	}{
		{Limits{}, marks{1 << 20, 256 << 10, 64 << 20}},
		{Limits{MaxBufferedAmount: 1 << 20}, marks{512 << 10, 128 << 10, 1 << 20}}, // README's
		{Limits{MaxBufferedAmount: 2 << 20}, marks{1 << 20, 256 << 10, 2 << 20}},
		{Limits{MaxBufferedAmount: -1}, marks{1 << 20, 256 << 10, -1}},
		{Limits{MaxBufferedAmount: 2}, marks{1, 0, 2}},
		{Limits{MaxBufferedAmount: 1}, marks{0, 0, 1}},
		{Limits{MaxBufferedAmount: math.MaxInt64}, marks{1 << 20, 256 << 10, math.MaxInt64}},
		{Limits{HighWater: 1000}, marks{1000, 250, 64 << 20}},
		{Limits{HighWater: 64<<20 - 1}, marks{64<<20 - 1, 16<<20 - 1, 64 << 20}},
		{Limits{HighWater: 64 << 20}, marks{64 << 20, 16 << 20, 128 << 20}},
		{Limits{HighWater: math.MaxInt64}, marks{math.MaxInt64, math.MaxInt64 / 4, -1}},
		{Limits{HighWater: 8 << 20, MaxBufferedAmount: -1}, marks{8 << 20, 2 << 20, -1}},
		{Limits{HighWater: 9, MaxBufferedAmount: 10}, marks{9, 2, 10}},
		{Limits{LowWater: 100, MaxBufferedAmount: 1000}, marks{500, 100, 1000}},
		{Limits{LowWater: 1 << 20}, marks{1 << 20, 1 << 20, 64 << 20}},
	} {
		l := limitsOf(t, k.give)
		if got := (marks{l.HighWater, l.LowWater, l.MaxBufferedAmount}); got != k.want {
			t.Errorf("%+v: %+v, want %+v", k.give, got, k.want)
		}
	}
	for _, k := range []struct{ idle, ping, want time.Duration }{
		{0, 0, 50 * time.Second},
		{30 * time.Second, 0, 15 * time.Second},
		{time.Second, 0, time.Second / 2},
		{100 * time.Second, 0, 50 * time.Second},
		{time.Hour, 0, 50 * time.Second},
		{-1, 0, 50 * time.Second},
		{30 * time.Second, -1, -1},
		{-1, time.Hour, time.Hour},
		{30 * time.Second, 29 * time.Second, 29 * time.Second},
	} {
		if l := limitsOf(t, Limits{IdleTimeout: k.idle, PingInterval: k.ping}); l.PingInterval != k.want {
			t.Errorf("idle %v, ping %v: %v, want %v", k.idle, k.ping, l.PingInterval, k.want)
		}
	}
}

// TestLimitsContradict: the error names both, and says what to do.
func TestLimitsContradict(t *testing.T) {
	c := newConn(t, Limits{})
	for _, k := range []struct {
		give Limits
		says []string
	}{
		{Limits{HighWater: 1 << 20, MaxBufferedAmount: 1 << 20}, []string{"HighWater is 1048576", "MaxBufferedAmount (1048576)", "lower", "raise"}},
		{Limits{HighWater: 2 << 20, MaxBufferedAmount: 1 << 20}, []string{"HighWater", "MaxBufferedAmount"}},
		{Limits{HighWater: 1, MaxBufferedAmount: 1}, []string{"HighWater", "MaxBufferedAmount"}},
		{Limits{HighWater: 100, LowWater: 101}, []string{"LowWater", "HighWater"}},
		{Limits{LowWater: 1<<20 + 1}, []string{"LowWater", "HighWater"}},
		{Limits{LowWater: 600, MaxBufferedAmount: 1000}, []string{"LowWater", "HighWater"}},
		{Limits{PingInterval: time.Minute, IdleTimeout: time.Minute}, []string{"PingInterval is 1m0s", "IdleTimeout (1m0s)", "-1 (off)"}},
		{Limits{PingInterval: time.Minute, IdleTimeout: time.Second}, []string{"PingInterval", "IdleTimeout"}},
		{Limits{PingInterval: 2 * time.Minute}, []string{"PingInterval", "IdleTimeout (2m0s)"}},
	} {
		s, err := NewServer(Funcs{}, Options{Limits: k.give})
		before := c.Limits()
		for _, err := range []error{err, c.SetLimits(k.give)} {
			if s != nil || !errors.Is(err, ErrSyntax) {
				t.Errorf("%+v: %v", k.give, err)
				continue
			}
			for _, want := range k.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%+v: %v\ndoes not say %q", k.give, err, want)
				}
			}
		}
		if c.Limits() != before {
			t.Errorf("%+v changed the limits to %+v", k.give, c.Limits())
		}
	}
}

// newConn is a connection with an engine behind it, and nothing else.
func newConn(t *testing.T, l Limits) *Conn {
	t.Helper()
	_, _, c := meteredConn(t, Funcs{}, Options{Limits: l})
	return c
}

// changes are one for each field, all of which may be made in any order.
var changes = map[string]Limits{
	"MaxMessageSize": {MaxMessageSize: 1000}, "MaxFragments": {MaxFragments: 10}, "MaxControlRate": {MaxControlRate: 20},
	"HighWater": {HighWater: 2 << 20}, "LowWater": {LowWater: 10 << 10}, "MaxBufferedAmount": {MaxBufferedAmount: 5 << 20}, "Overflow": {Overflow: DropMessage},
	"IdleTimeout": {IdleTimeout: 3 * time.Minute}, "PingInterval": {PingInterval: 7 * time.Second}, "PongTimeout": {PongTimeout: -1},
	"CloseTimeout": {CloseTimeout: 9 * time.Second}, "WriteStallTimeout": {WriteStallTimeout: 11 * time.Second}, "MaxLifetime": {MaxLifetime: time.Hour},
}

// given overlays the fields of l that are not 0.
func given(base, l Limits) Limits {
	b, v := reflect.ValueOf(&base).Elem(), reflect.ValueOf(l)
	for i := range v.NumField() {
		if !v.Field(i).IsZero() {
			b.Field(i).Set(v.Field(i))
		}
	}
	return base
}

// TestSetLimitsChangesOneField: a change of one field changes this field, whatever was changed before.
func TestSetLimitsChangesOneField(t *testing.T) {
	for first, a := range changes {
		for second, b := range changes {
			c := newConn(t, Limits{})
			want := c.Limits()
			for _, l := range []Limits{a, b, {}} {
				if err := c.SetLimits(l); err != nil {
					t.Fatal(first, second, err)
				}
				if want = given(want, l); c.Limits() != want {
					t.Fatalf("%s, then %s:\n%+v\nwant\n%+v", first, second, c.Limits(), want)
				}
			}
		}
	}
	if n := reflect.TypeFor[Limits]().NumField(); n != len(changes) {
		t.Errorf("%d fields of Limits, %d changes in this test", n, len(changes))
	}
}

// TestSetLimitsFollows: what is not given and no longer fits steps aside, and comes back.
func TestSetLimitsFollows(t *testing.T) {
	c := newConn(t, Limits{})
	set := func(l Limits) Limits {
		t.Helper()
		if err := c.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		return c.Limits()
	}
	if l := set(Limits{HighWater: 100 << 10}); l.LowWater != 25<<10 {
		t.Error("LowWater is above the new HighWater:", l.LowWater)
	}
	if l := set(Limits{HighWater: 1 << 20}); l.LowWater != 256<<10 {
		t.Error("LowWater did not come back:", l.LowWater)
	}
	if l := set(Limits{MaxBufferedAmount: 100 << 10}); l.HighWater != 50<<10 || l.LowWater != 12800 {
		t.Error("HighWater is not below the new MaxBufferedAmount:", l.HighWater, l.LowWater)
	}
	isAll(t, c.SetLimits(Limits{HighWater: 100 << 10}), ErrSyntax)
	if l := set(Limits{MaxBufferedAmount: -1}); l.HighWater != 1<<20 || l.LowWater != 256<<10 {
		t.Error("HighWater did not come back:", l.HighWater, l.LowWater)
	}
	if l := set(Limits{IdleTimeout: time.Second}); l.PingInterval != time.Second/2 {
		t.Error("PingInterval is above the new IdleTimeout:", l.PingInterval)
	}
	if l := set(Limits{IdleTimeout: time.Hour}); l.PingInterval != 50*time.Second {
		t.Error("PingInterval did not come back:", l.PingInterval)
	}
	if l := set(Limits{PingInterval: 40 * time.Second, IdleTimeout: 50 * time.Second}); l.PingInterval != 40*time.Second {
		t.Error("PingInterval was given, and can work:", l.PingInterval)
	}
	if l := set(Limits{IdleTimeout: 30 * time.Second}); l.PingInterval != 15*time.Second {
		t.Error("PingInterval was given earlier, and can not work any more:", l.PingInterval)
	}
	if l := set(Limits{IdleTimeout: -1}); l.IdleTimeout != -1 || l.PingInterval != 40*time.Second {
		t.Error("idle is off:", l.IdleTimeout, l.PingInterval)
	}
	if l := set(Limits{PingInterval: -1, IdleTimeout: 1}); l.PingInterval != -1 {
		t.Error("pings are off:", l.PingInterval)
	}
}

// TestSetLimitsOfAll: what Limits answers may be given back with one field changed.
func TestSetLimitsOfAll(t *testing.T) {
	for name, change := range changes {
		c := newConn(t, Limits{MaxBufferedAmount: 1 << 20})
		if name == "HighWater" {
			change = Limits{HighWater: 1000}
		}
		whole := given(c.Limits(), change)
		sparse, err := newConn(t, Limits{MaxBufferedAmount: 1 << 20}).limits.Load().with(change)
		if err != nil {
			t.Fatal(name, err)
		}
		if err := c.SetLimits(whole); err != nil || c.Limits() != sparse.Limits {
			t.Errorf("%s: %v\n%+v\nwant\n%+v", name, err, c.Limits(), sparse.Limits)
		}
	}
	c := newConn(t, Limits{})
	l := c.Limits()
	l.IdleTimeout = time.Second // which PingInterval does not fit
	if err := c.SetLimits(l); err != nil || c.Limits().PingInterval != time.Second/2 {
		t.Error(err, c.Limits())
	}
}

// TestSetLimitsKeepsWhatItHas: a field that was made to fit the engine's options stays as it is when another
// one changes and leaves it more room.
func TestSetLimitsKeepsWhatItHas(t *testing.T) {
	c := newConn(t, Limits{IdleTimeout: 10 * time.Second, MaxBufferedAmount: 1 << 20})
	want := c.Limits()
	for _, l := range []Limits{{IdleTimeout: time.Hour}, {MaxBufferedAmount: 1 << 30}, {HighWater: 100 << 20}} {
		if err := c.SetLimits(l); err != nil {
			t.Fatal(err)
		}
		if want = given(want, l); c.Limits() != want {
			t.Errorf("%+v:\n%+v\nwant\n%+v", l, c.Limits(), want)
		}
	}
}

// TestSetLimitsInAnyOrder: changes of different fields come to the same in every order that is accepted, and
// whatever is in force fits together, and could be given as it is.
func TestSetLimitsInAnyOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	sizes := []int64{1, 2, 3, 4, 1000, 64 << 10, 256 << 10, 512 << 10, 1 << 20, 2 << 20, 64 << 20, 1 << 30}
	spans := []time.Duration{-1, 1, time.Second, 25 * time.Second, 50 * time.Second, time.Minute, 100 * time.Second, 3 * time.Minute}
	one := func() Limits {
		switch r.IntN(5) {
		case 0:
			return Limits{HighWater: sizes[r.IntN(len(sizes))]}
		case 1:
			return Limits{LowWater: sizes[r.IntN(len(sizes))]}
		case 2:
			return Limits{MaxBufferedAmount: append(sizes, -1)[r.IntN(len(sizes)+1)]}
		case 3:
			return Limits{IdleTimeout: spans[r.IntN(len(spans))]}
		}
		return Limits{PingInterval: spans[r.IntN(len(spans))]}
	}
	for range 20_000 {
		a, b := one(), one()
		base, err := newLimits(given(one(), one()))
		if err != nil {
			continue
		}
		forth, forthErr := after(base, a, b)
		back, backErr := after(base, b, a)
		if forthErr == nil && backErr == nil && given(a, b) == given(b, a) && forth.Limits != back.Limits {
			t.Fatalf("%+v, then %+v:\n%+v\nthe other way round\n%+v", a, b, forth.Limits, back.Limits)
		}
		if forthErr != nil {
			continue
		}
		l := forth.Limits
		if l.LowWater > l.HighWater || l.MaxBufferedAmount > 0 && l.HighWater >= l.MaxBufferedAmount || l.IdleTimeout > 0 && l.PingInterval >= l.IdleTimeout {
			t.Fatalf("does not fit together: %+v", l)
		}
		if again, err := newLimits(l); err != nil || again.Limits != given(again.Limits, l) {
			t.Fatalf("in force, and could not be given: %+v: %v", l, err)
		}
	}
}

func after(k *limits, changes ...Limits) (_ *limits, err error) {
	for _, l := range changes {
		if k, err = k.with(l); err != nil {
			return nil, err
		}
	}
	return k, nil
}

// TestSetLimitsAtOnce: no goroutine undoes what another one changes. Each has a field of its own, which
// nobody else touches.
func TestSetLimitsAtOnce(t *testing.T) {
	c := newConn(t, Limits{})
	own := []struct {
		give func(n int) Limits
		got  func(l Limits) int
	}{
		{func(n int) Limits { return Limits{MaxFragments: n} }, func(l Limits) int { return l.MaxFragments }},
		{func(n int) Limits { return Limits{MaxControlRate: n} }, func(l Limits) int { return l.MaxControlRate }},
		{func(n int) Limits { return Limits{MaxMessageSize: int64(n)} }, func(l Limits) int { return int(l.MaxMessageSize) }},
		{func(n int) Limits { return Limits{CloseTimeout: time.Duration(n)} }, func(l Limits) int { return int(l.CloseTimeout) }},
	}
	var all sync.WaitGroup
	for _, f := range own {
		all.Go(func() {
			for n := 1; n <= 10_000; n++ {
				if err := c.SetLimits(f.give(n)); err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
				if got := f.got(c.Limits()); got != n {
					t.Errorf("set to %d, found %d", n, got)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestUpgradeLimits: what Upgrade.SetLimits and its Conn's SetLimits change holds from OnOpen on, with what
// the engine's options say of the rest.
func TestUpgradeLimits(t *testing.T) {
	seen := make(chan string, 10)
	s := startServer(t, Funcs{
		Upgrade: func(u *Upgrade) {
			for _, err := range []error{
				u.SetLimits(Limits{MaxMessageSize: 10}), u.Conn().SetLimits(Limits{MaxFragments: 4}), u.SetLimits(Limits{IdleTimeout: 10 * time.Second}),
			} {
				if err != nil {
					t.Error(err)
				}
			}
			if u.Limits() != u.Conn().Limits() {
				t.Errorf("%+v, %+v", u.Limits(), u.Conn().Limits())
			}
			u.SetValue(u)
		},
		Open: func(c *Conn) {
			l := c.Limits()
			seen <- fmt.Sprint(l.MaxMessageSize, l.MaxFragments, l.IdleTimeout, l.PingInterval, l.MaxControlRate)
			if u := c.Value().(*Upgrade); u.Limits() != (Limits{}) || u.SetLimits(Limits{MaxFragments: 5}) != ErrInvalidState {
				t.Error("the handshake is over:", u.Limits())
			}
		},
	}, Options{Limits: Limits{MaxControlRate: 77}})
	dialForeign(t, s, 0)
	if got, want := <-seen, "10 4 10s 5s 77"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestIdleClientLives: a live client that has nothing to say answers pings, and is not idle (RFC 6455 5.5.2
// and 5.5.3), whatever IdleTimeout is, and though nobody has given a PingInterval.
func TestIdleClientLives(t *testing.T) {
	idle := aliveWithin()
	for name, set := range map[string]func(*Conn) error{
		"option": nil, "SetLimits": func(c *Conn) error { return c.SetLimits(Limits{IdleTimeout: idle}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDiary(t)
			o := Options{Limits: Limits{IdleTimeout: idle}}
			if set != nil {
				o = Options{}
			}
			s := startServer(t, d.handler(Funcs{}), o)
			f := dialForeign(t, s, 0)
			c := d.conn()
			if set != nil {
				if err := set(c); err != nil {
					t.Fatal(err)
				}
			}
			for began := time.Now(); time.Since(began) < 3*idle/2; {
				f.wants(ws.OpPing, "")
				f.send(ws.OpPong, true, "")
			}
			if c.ReadyState() != Open {
				t.Error("it is", c.ReadyState())
			}
		})
	}
}
