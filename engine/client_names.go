package engine

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// From a name to the addresses that are tried, and where each connection comes from.

// literal is the target of a URL that names an address, or of a unix socket; nil: there is a name to resolve.
func (d *dialState) literal() []netio.Target {
	if d.Unix != "" {
		return []netio.Target{{Unix: d.Unix}}
	}
	a, err := netip.ParseAddr(strings.Trim(d.url.Host, "[]"))
	if err != nil {
		return nil
	}
	return d.conn.loop.engine.targets([]netip.Addr{a}, d.url.DialPort())
}

// resolve finds the addresses of the connection's name, and leaves them to its loop.
func (c *Conn) resolve(ctx context.Context, d *dialState) {
	e := c.loop.engine
	defer c.bounded(ctx, e.conf.dialing.connect, "resolve", d.url.Host)()
	targets, err := e.lookUp(ctx, d.url.Host, d.url.DialPort())
	if err != nil {
		c.failFrom(phaseDialing, err)
		return
	}
	c.loop.post(task{call: func() {
		if c.phase == phaseDialing {
			c.beginDial(targets)
		}
	}})
}

// lookUp resolves a name within ConnectTimeout.
func (e *engine) lookUp(ctx context.Context, name string, port uint16) ([]netio.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, e.conf.dialing.connect)
	defer cancel()
	addrs, err := guarded(func() ([]netip.Addr, error) { return e.conf.dialing.resolver.LookupNetIP(ctx, "ip", name) })
	if err != nil {
		return nil, newDialError("resolve", name, err)
	}
	targets := e.targets(addrs, port)
	if len(targets) == 0 {
		return nil, newDialError("resolve", name, &reasonError{reason: "not-found", text: "the name has no address"})
	}
	return targets, nil
}

// guarded calls a function of the user's: its panic is an error.
func guarded[T any](f func() (T, error)) (v T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it panicked: %v", r)
		}
	}()
	return f()
}

// targets are addresses in the order in which they are tried. What is none is left out: its zero bytes would be this machine.
func (e *engine) targets(addrs []netip.Addr, port uint16) []netio.Target {
	all := make([]netio.Target, 0, len(addrs))
	turn := e.turn.Add(1)
	for _, a := range byTurns(addrs) {
		if a.IsValid() {
			all = append(all, netio.Target{Addr: netip.AddrPortFrom(a.Unmap(), port), Local: e.conf.dialing.local(a, turn)})
		}
	}
	return all
}

// local is the address that a connection to a comes from, the next one in turn; invalid: the system chooses.
func (k *dialing) local(to netip.Addr, turn uint64) netip.Addr {
	from := k.local6
	if to.Is4() || to.Is4In6() {
		from = k.local4
	}
	if len(from) == 0 {
		return netip.Addr{}
	}
	return from[turn%uint64(len(from))]
}

// byTurns has the families of addresses by turns, that of the first one first (RFC 8305 4).
func byTurns(all []netip.Addr) []netip.Addr {
	if len(all) == 1 {
		return all
	}
	var first, second []netip.Addr
	for _, a := range all {
		if a.Unmap().Is4() == all[0].Unmap().Is4() {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	out := make([]netip.Addr, 0, len(all))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			out = append(out, first[i])
		}
		if i < len(second) {
			out = append(out, second[i])
		}
	}
	return out
}

func targetName(to netio.Target) string {
	if to.Unix != "" {
		return to.Unix
	}
	return to.Addr.String()
}

// bounded fails the connection when what its goroutine does has not ended dialGrace after its time is up: a Resolver,
// a DialContext or its net.Conn may not heed their context. The goroutine itself ends when they let it. done is called when it is over.
func (c *Conn) bounded(ctx context.Context, most time.Duration, op, addr string) (done func()) {
	t := time.AfterFunc(most+dialGrace, func() {
		if ctx.Err() == nil {
			c.failFrom(phaseDialing, newDialError(op, addr, errConnectTimeout))
		}
	})
	return func() { t.Stop() }
}

// dialGrace is for the words that a function of the user's has for its time being up.
const dialGrace = 100 * time.Millisecond
