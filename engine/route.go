package engine

import (
	"errors"
	"fmt"
)

// Route is what holds for the connections of one of a Mux's patterns. What is zero, or nil, is as Options say.
type Route struct {
	// Limits are what each of its connections starts with, as if OnUpgrade had called SetLimits: the fields that are not 0 count,
	// the others are those of Options.Limits. They hold from the first frame on.
	Limits Limits

	// Origins and CheckOrigin stand in the place of both those of Options: to admit the server's own origin alone give an
	// empty list that is not nil.
	Origins     []string
	CheckOrigin func(u *Upgrade) bool

	// Protocols stand in the place of Options.Protocols: for none of them give an empty list that is not nil.
	Protocols []string
	// ProtocolPolicy is Options.ProtocolPolicy for this route.
	ProtocolPolicy ProtocolPolicy
}

// route is a handler, and what holds for its connections: the engine's own, or one of a Mux's. Nobody changes it once a
// connection has it.
type route struct {
	pattern  string   // of a Mux; "" is the engine's own
	names    []string // of its wildcards
	hooks    hooks
	handler  Handler // of one connection that has its own; else nil
	limits   *limits // what its connections start with
	entrance *entrance
}

func newRoute(h hooks, k *limits, in *entrance) *route {
	h.highWater, h.drain = whileOpen(h.highWater), whileOpen(h.drain)
	r := &route{hooks: h, entrance: in}
	own := *k
	own.route, r.limits = r, &own
	return r
}

// route is whose connection it is: the engine's own without a Mux, and with one until the request was read.
func (c *Conn) route() *route { return c.limits.Load().route }

// Route is the pattern that the connection's request matched, as it was given to Mux.Handle; "" without a Mux.
func (c *Conn) Route() string {
	if k := c.limits.Load(); k != nil {
		return k.route.pattern
	}
	return "" // of the zero Conn
}

// check tells what of a route no Options could make work.
func (o *Route) check(pattern string) error {
	if err := o.Limits.check(); err != nil {
		return ofRoute(pattern, err)
	}
	alone := *o
	if alone.Protocols == nil && alone.ProtocolPolicy <= ProtocolRequired {
		alone.ProtocolPolicy = 0 // it may be about Options.Protocols
	}
	_, err := alone.entrance(pattern, &Options{})
	return err
}

// within is the route of an engine.
func (e *entry) within(k *config) (*route, error) {
	o := &e.route
	l, err := k.limits.with(o.Limits)
	if err != nil {
		return nil, ofRoute(e.pattern, err)
	}
	in := k.entrance
	if o.Origins != nil || o.CheckOrigin != nil || o.Protocols != nil || o.ProtocolPolicy != 0 {
		if in, err = o.entrance(e.pattern, &k.Options); err != nil {
			return nil, err
		}
	}
	r := newRoute(e.hooks, l, in)
	r.pattern, r.names = e.pattern, e.names
	return r, nil
}

// entrance is the route's own: what it says, and what Options do.
func (o *Route) entrance(pattern string, k *Options) (*entrance, error) {
	origins, check := o.Origins, o.CheckOrigin
	if origins == nil && check == nil {
		origins, check = k.Origins, k.CheckOrigin
	}
	protocols, policy := o.Protocols, o.ProtocolPolicy
	if protocols == nil {
		protocols = k.Protocols
	}
	if policy == 0 && len(protocols) > 0 {
		policy = k.ProtocolPolicy
	}
	return newEntrance(placeOf(pattern), origins, check, protocols, policy)
}

// placeOf is what an error calls a route.
func placeOf(pattern string) string { return fmt.Sprintf("route %q", pattern) }

// ofRoute is an error about a field of Limits that names the route.
func ofRoute(pattern string, err error) error {
	if bad := new(badOption); errors.As(err, &bad) {
		bad.place = placeOf(pattern) + ": Limits"
	}
	return err
}
