package engine

// route is a handler, and what holds for its connections: the engine's own, or one of a Mux's. Nobody changes it once a
// connection has it.
type route struct {
	pattern  string // of a Mux; "" is the engine's own
	hooks    hooks
	limits   *limits // what its connections start with
	entrance *entrance
}

func newRoute(pattern string, h hooks, k *limits, in *entrance) *route {
	h.highWater, h.drain = whileOpen(h.highWater), whileOpen(h.drain)
	r := &route{pattern: pattern, hooks: h, entrance: in}
	own := *k
	own.route, r.limits = r, &own
	return r
}

// route is whose connection it is: the engine's own without a Mux, and with one until the request was read.
func (c *Conn) route() *route { return c.limits.Load().route }
