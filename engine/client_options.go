package engine

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

// ClientOptions configure a client. The zero value is a safe one. Where a field has the name of one of Options it means the
// same, for connections that begin here; pings, time-outs of open connections and backpressure are in Limits. What Options has and this has not
// is about who comes in: origins, sub-protocols (DialOptions.Protocols offers them), proxies in front, addresses that are counted, Fallback.
type ClientOptions struct {
	Loops         int    // default: GOMAXPROCS
	Limits        Limits // what each connection starts with
	MaxConns      int    // connections at a time, those that are CONNECTING among them; one more is ErrTooManyConns. 0: no limit
	InboundBudget int64
	MaxClosing    time.Duration

	// ConnectTimeout bounds what comes before the handshake of each connection: its name is resolved, and its addresses are
	// tried. Default 10 s, at most 200 days; it cannot be off.
	ConnectTimeout time.Duration
	// TLSTimeout bounds the handshake of TLS. Default 10 s, at most 200 days; it cannot be off.
	TLSTimeout time.Duration
	// HandshakeTimeout bounds the opening handshake, from the request to the end of the answer. The body of an answer that refuses
	// is waited for a second at most. Default 10 s, at most 200 days; it
	// cannot be off.
	HandshakeTimeout time.Duration
	// MaxHandshakeBytes bounds an answer's head, in bytes, and those of all answers of 100 to 199 before it together. Default 16 KiB, from 512 to 256 KiB.
	MaxHandshakeBytes int

	// LocalAddrs are the addresses that connections come from, in turn; those of a target's family alone. From one address there are as
	// many connections to one target as the system has ephemeral ports, some 28,000 by default on Linux. Default: the system chooses.
	LocalAddrs []netip.Addr
	// Resolver resolves names. Default: net.DefaultResolver.
	Resolver Resolver
	// DialContext, if set, makes the connections of all addresses; names are its own to resolve. They are carried by goroutines,
	// whatever they are. It is called in a goroutine of its own, with ConnectTimeout as the context's deadline. A connection that comes
	// after its time is closed; one that heeds no context is not waited for. It excludes Resolver and LocalAddrs.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)

	RepeatCloseReason bool
	// SendBuffer and ReceiveBuffer are set before a connection begins, so that a window follows that fits; on what
	// DialContext made, when it is there.
	SendBuffer, ReceiveBuffer int

	Deflate    *deflate.Policy // what is offered; nil: no compression
	Compress   func(op Opcode, size int) bool
	Workers    int
	InboxBytes int64
	Logger     *slog.Logger
}

// Resolver finds the addresses of a name; *net.Resolver is one. It is called in a goroutine of its own, with
// network "ip" and ConnectTimeout as the context's deadline. What it answers is not kept: put a cache in front of it, if you dial a name often. The addresses are tried in its order, the families by turns (RFC 8305).
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// dialing is what the connections of a client have in common while they are made.
type dialing struct {
	connect, tls time.Duration // time-outs
	local4       []netip.Addr
	local6       []netip.Addr
	resolver     Resolver
	dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	offer        string // Sec-WebSocket-Extensions; empty: none is offered
}

// config is what ClientOptions become.
func (o ClientOptions) config() (*config, error) {
	k, err := Options{
		Loops: o.Loops, Limits: o.Limits, MaxConns: o.MaxConns, InboundBudget: o.InboundBudget, MaxClosing: o.MaxClosing,
		HandshakeTimeout: o.HandshakeTimeout, MaxHandshakeBytes: o.MaxHandshakeBytes, Deflate: o.Deflate, Compress: o.Compress,
		Workers: o.Workers, InboxBytes: o.InboxBytes, Logger: o.Logger,
		RepeatCloseReason: o.RepeatCloseReason, SendBuffer: o.SendBuffer, ReceiveBuffer: o.ReceiveBuffer,
	}.config()
	if bad := new(badOption); errors.As(err, &bad) {
		bad.place = "ClientOptions"
	}
	if err != nil {
		return nil, err
	}
	d := &dialing{connect: o.ConnectTimeout, tls: o.TLSTimeout, resolver: o.Resolver, dial: o.DialContext}
	orDefault(&d.connect, 10*time.Second)
	orDefault(&d.tls, 10*time.Second)
	switch {
	case d.connect < 0 || d.connect > maxTimeout:
		return nil, &badOption{"ClientOptions", "ConnectTimeout", d.connect, "above 0, at most 200 days"}
	case d.tls < 0 || d.tls > maxTimeout:
		return nil, &badOption{"ClientOptions", "TLSTimeout", d.tls, "above 0, at most 200 days"}
	case d.dial != nil && (d.resolver != nil || len(o.LocalAddrs) > 0):
		return nil, misused("ClientOptions: DialContext makes the connections: Resolver and LocalAddrs have no effect beside it")
	}
	if d.resolver == nil {
		d.resolver = net.DefaultResolver
	}
	for _, a := range o.LocalAddrs {
		switch a = a.Unmap(); {
		case !a.IsValid() || a.IsUnspecified() || a.IsMulticast():
			return nil, misused("ClientOptions: LocalAddrs: %v is no address that a connection could come from", a)
		case a.Is4():
			d.local4 = append(d.local4, a)
		default:
			d.local6 = append(d.local6, a)
		}
	}
	if k.deflate != nil {
		d.offer = k.deflate.Offer()
	}
	k.dialing = d
	return k, nil
}
