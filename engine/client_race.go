package engine

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// The race of a name's addresses where a goroutine makes the transport (RFC 8305 5). On a native loop it is in conn_dial.go.

// race tries the addresses of a name, one after the other and side by side.
func (e *engine) race(ctx context.Context, addr string) (net.Conn, error) {
	targets, err := e.raceTargets(ctx, addr)
	if err != nil {
		return nil, err
	}
	r := &race{ctx: ctx, engine: e, outcomes: make(chan outcome)}
	var end context.CancelFunc
	r.ctx, end = context.WithCancel(ctx)
	defer r.drain(end)
	for next := 0; next < len(targets) || r.left > 0; {
		var stagger <-chan time.Time
		if next < len(targets) {
			r.try(targets[next])
			if next++; next < len(targets) {
				stagger = time.After(connectStagger)
			}
		}
		select {
		case o := <-r.outcomes:
			if r.left--; o.err == nil {
				return o.nc, nil
			}
			r.tried = append(r.tried, &addrError{targetName(o.to), r.wordsFor(o.err)})
		case <-stagger:
		}
	}
	return nil, r.tried.forAddr(addr)
}

type race struct {
	ctx      context.Context
	engine   *engine
	outcomes chan outcome
	trying   sync.WaitGroup
	left     int
	tried    triedErrors
}

type outcome struct {
	to  netio.Target
	nc  net.Conn
	err error
}

func (r *race) try(to netio.Target) {
	r.left++
	r.trying.Go(func() {
		nc, err := r.engine.dialTarget(r.ctx, to)
		r.outcomes <- outcome{to, nc, err}
	})
}

// wordsFor is an attempt's error; that of all which ConnectTimeout has ended is the same.
func (r *race) wordsFor(err error) error {
	if r.ctx.Err() == context.DeadlineExceeded {
		return errConnectTimeout
	}
	return plainDial(err)
}

// drain ends the attempts that are under way, and closes what connects too late.
func (r *race) drain(end context.CancelFunc) {
	end()
	go func() { r.trying.Wait(); close(r.outcomes) }()
	go func() {
		for o := range r.outcomes {
			if o.nc != nil {
				_ = o.nc.Close()
			}
		}
	}()
}

func (e *engine) raceTargets(ctx context.Context, addr string) ([]netio.Target, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	number, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	if a, err := netip.ParseAddr(host); err == nil {
		return e.targets([]netip.Addr{a}, uint16(number)), nil
	}
	return e.lookUp(ctx, host, uint16(number))
}

func (e *engine) dialTarget(ctx context.Context, to netio.Target) (net.Conn, error) {
	d := net.Dialer{Control: netio.BeforeConnect(e.conf.buffers())}
	if to.Local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(to.Local, 0))
	}
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", to.Addr.String())
}
