package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// Connections that begin here: addresses, their order, and their clocks.

var diallingTrials = []trial{
	{"addresses are tried in order", trialAttempts},
	{"a dead address and a live one", trialDeadAndLive},
	{"nobody can be reached", trialUnreachable},
	{"nobody answers the connect", trialConnectTimeout},
	{"what is left to try fails at once", trialLastFails},
	{"an attempt fails beside another", trialFailsBeside},
	{"the first one is the one", trialFirstWins},
}

// dialRig is a rig of a client, with an actor that has these addresses and begins.
func dialRig(r *rand.Rand, o ClientOptions, addrs []netip.Addr, routes func(int) sim.Route) (*rig, *actor) {
	if o.Limits == (Limits{}) {
		o.Limits = quietly()
	}
	s := newClientRig(&rig{rng: r, world: sim.New(r.Uint64(), sim.Faults{}), buf: make([]byte, 64<<10)}, o)
	return s, s.named(simAsk{}, addrs, routes)
}

// named begins a connection to a name with these addresses.
func (s *rig) named(ask simAsk, addrs []netip.Addr, routes func(int) sim.Route) *actor {
	ask.host = fmt.Sprintf("n%d.test", len(s.actors))
	if ask.Host != "" {
		ask.host = ask.Host
	}
	a := s.dials(64<<10, 64<<10, ask)
	a.addrs, a.routes = addrs, routes
	return a
}

// families are so many addresses of actor 0, those of IPv4 first.
func families(four, six int) (all []netip.Addr) {
	for k := range four {
		all = append(all, simAddr(0, 2*k))
	}
	for k := range six {
		all = append(all, simAddr(0, 2*k+1))
	}
	return all
}

var silent = sim.Route{Silent: true}

// The families take turns, that of the first address begins (RFC 8305 4), and a silent one has 250 ms before the next is
// tried beside it (5).
func trialAttempts(r *rand.Rand) error {
	four, six := 1+r.IntN(4), r.IntN(4)
	s, a := dialRig(r, ClientOptions{ConnectTimeout: time.Minute}, families(four, six), func(int) sim.Route { return silent })
	began := s.world.Now()
	s.pass(10 * time.Second)
	s.wants(len(a.tried) == four+six, "%d of %d addresses are tried", len(a.tried), four+six)
	for i, k := range a.tried {
		want := simAddr(0, i) // by turns, while there are both
		if i/2 >= min(four, six) {
			n := i - min(four, six) // of the family that is left
			if want = simAddr(0, 2*n); six > four {
				want = simAddr(0, 2*n+1)
			}
		}
		s.wants(k.addr == want, "address %d is %v, not %v", i, k.addr, want)
		due := began + time.Duration(i)*connectStagger
		s.wants(k.at >= due-early && k.at <= due+time.Duration(i+1)*late, "address %d is tried after %v", i, k.at-began)
	}
	s.wants(a.conn.ReadyState() == Connecting && len(a.events) == 0, "%v %v", a.conn.ReadyState(), a.events)
	return s.finish()
}

// A name with a dead address and a live one connects within 0.4 s (RFC 8305).
func trialDeadAndLive(r *rand.Rand) error {
	dead := []sim.Route{silent, {Fails: syscall.ETIMEDOUT, After: 5 * time.Second}, {After: time.Minute}}[r.IntN(3)]
	s, a := dialRig(r, ClientOptions{}, []netip.Addr{simAddr(0, 1), simAddr(0, 0)}, func(k int) sim.Route {
		if k == 0 {
			return dead
		}
		return sim.Route{After: 10 * time.Millisecond}
	})
	began := s.world.Now()
	s.pass(400 * time.Millisecond)
	s.wants(a.was("OnOpen") && a.when("OnOpen")-began <= 400*time.Millisecond, "OPEN after %v", a.when("OnOpen")-began)
	s.wants(a.tried[0].end.Left(), "the dead attempt is kept")
	s.pass(2 * time.Minute)
	s.wants(len(a.tried) == 2 && len(a.events) == 1, "%d attempts, %v", len(a.tried), a.events)
	return s.finish()
}

// Each that fails at once, or after a while, is followed by the next at once; with none left the first error is told.
func trialUnreachable(r *rand.Rand) error {
	var routes []sim.Route
	for range 1 + r.IntN(6) {
		routes = append(routes, []sim.Route{
			{Refuses: syscall.EADDRNOTAVAIL}, {Refuses: syscall.EMFILE}, {Refuses: syscall.ENETUNREACH},
			{Fails: syscall.ECONNREFUSED}, {Fails: syscall.ECONNREFUSED, After: 100 * time.Millisecond},
		}[r.IntN(5)])
	}
	s, a := dialRig(r, ClientOptions{}, families(len(routes), 0), func(k int) sim.Route { return routes[k] })
	s.pass(600 * time.Millisecond)
	s.wants(len(a.tried) == len(routes), "%d of %d addresses are tried", len(a.tried), len(routes))
	first := routes[0].Refuses
	if first == nil {
		first = routes[0].Fails
	}
	var d *DialError
	s.wants(errors.As(a.event.Err, &d) && d.Op == "connect" && strings.Contains(d.Error(), "10.1.0.0:80"), "the error is %v", a.event.Err)
	a.neverOpens(first)
	return s.finish()
}

// With nobody answering all ends at ConnectTimeout, in which the name was resolved as well.
func trialConnectTimeout(r *rand.Rand) error {
	timeout := between(r, 300*time.Millisecond, 20*time.Second)
	s, a := dialRig(r, ClientOptions{ConnectTimeout: timeout}, families(1+r.IntN(3), r.IntN(3)), func(int) sim.Route { return silent })
	s.turnAll()
	began := s.world.Now()
	s.world.Advance(between(r, 0, timeout/2)) // that long the name takes
	s.pass(began + timeout - early - s.world.Now())
	s.wants(len(a.events) == 0, "too early: %v", a.events)
	s.pass(early + late)
	a.cameBetween("OnClose", began, timeout, timeout)
	var d *DialError
	s.wants(errors.As(a.event.Err, &d) && d.Timeout(), "the error is %v", a.event.Err)
	a.neverOpens(nil)
	return s.finish()
}

// The clock of an attempt under way goes on when those after it fail at once.
func trialLastFails(r *rand.Rand) error {
	timeout := between(r, time.Second, 20*time.Second)
	s, a := dialRig(r, ClientOptions{ConnectTimeout: timeout}, families(1+r.IntN(3), 1+r.IntN(3)), func(k int) sim.Route {
		if k == 0 {
			return silent
		}
		return sim.Route{Refuses: syscall.ENETUNREACH}
	})
	began := s.world.Now()
	s.pass(timeout + late)
	a.cameBetween("OnClose", began, timeout, timeout)
	a.neverOpens(syscall.ENETUNREACH)
	return s.finish()
}

// Whichever attempt fails first, another one goes on, and the clocks with it.
func trialFailsBeside(r *rand.Rand) error {
	const n = 4
	lives := r.IntN(n)
	s, a := dialRig(r, ClientOptions{ConnectTimeout: time.Minute}, families(n, 0), func(k int) sim.Route {
		if k == lives {
			return sim.Route{After: 5 * time.Second}
		}
		return sim.Route{Fails: syscall.ECONNRESET, After: between(r, 0, 3*time.Second)}
	})
	s.pass(10 * time.Second)
	s.wants(a.was("OnOpen") && len(a.events) == 1 && a.chosen == a.tried[lives], "%v", a.events)
	return s.finish()
}

// Who is connected first is the one; the others are given up, and no other is tried, whatever there is still to try.
func trialFirstWins(r *rand.Rand) error {
	n := 2 + r.IntN(5)
	both := r.IntN(2) == 0 // all come out in the same turn
	s, a := dialRig(r, ClientOptions{ConnectTimeout: time.Minute}, families(n, 0), func(k int) sim.Route {
		if both {
			return sim.Route{After: time.Duration(n+1)*connectStagger - time.Duration(k)*connectStagger}
		}
		return sim.Route{After: between(r, 0, 2*time.Second)}
	})
	s.pass(10 * time.Second)
	s.wants(a.was("OnOpen") && len(a.events) == 1, "%v", a.events)
	for _, k := range a.tried {
		s.wants(k == a.chosen || k.end.Left(), "an attempt is kept")
	}
	s.wants(s.world.OpenDescriptors() == 1, "%d descriptors", s.world.OpenDescriptors())
	tried := len(a.tried)
	s.pass(time.Minute)
	s.wants(len(a.tried) == tried, "another address is tried after OPEN")
	return s.finish()
}
