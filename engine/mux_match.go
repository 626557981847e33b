package engine

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// choice is what a ServeMux answers to. An entry says that it is the one; anything else is a redirect, a 404 or a 405.
type choice struct{ entry *entry }

func (c *choice) Header() http.Header         { return http.Header{} }
func (c *choice) Write(p []byte) (int, error) { return len(p), nil }
func (c *choice) WriteHeader(int)             {}

// ServeHTTP is how a ServeMux says that the entry's pattern matches.
func (e *entry) ServeHTTP(w http.ResponseWriter, _ *http.Request) { w.(*choice).entry = e }

// find is the entry for a request, nil if there is none, and a request that knows the path's values.
func (m *Mux) find(host string, u *url.URL) (*entry, *http.Request) {
	r := &http.Request{Method: http.MethodGet, Host: host, URL: u}
	var c choice
	m.serve.ServeHTTP(&c, r)
	return c.entry, r
}

// useMux makes the routes of a Mux the engine's.
func (e *engine) useMux(m *Mux) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.failed != nil:
		return m.failed
	case len(m.entries) == 0:
		return fmt.Errorf("gannet: NewServer: %w", handlerError("the Mux has no route, and none can be added later: call Handle before"))
	}
	routes := make([]*route, len(m.entries))
	for i, x := range m.entries {
		r, err := x.within(e.conf)
		if err != nil {
			return err
		}
		routes[i] = r
	}
	e.mux, e.routes, m.served = m, routes, true
	return nil
}

// routeOf is the route for a request, nil if there is none, and a request that knows the path's values.
func (e *engine) routeOf(host string, u *url.URL) (*route, *http.Request) {
	x, found := e.mux.find(host, u)
	if x == nil {
		return nil, nil
	}
	return e.routes[x.index], found
}

// takeRoute finds the route for a request that came to a listener of ours.
func (c *Conn) takeRoute(req *handshake.Request) (found *http.Request, refused *handshake.Refusal) {
	e := c.loop.engine
	if e.mux == nil {
		return nil, nil
	}
	u, err := url.ParseRequestURI(string(req.Target))
	if err != nil {
		return nil, noRoute
	}
	r, found := e.routeOf(string(req.Host), u)
	if r == nil {
		return nil, noRoute
	}
	c.limits.Store(r.limits)
	return found, nil
}

// routeHTTP finds the route for a request that came by ServeHTTP, and tells it what was found, beside what a router in front has.
func (e *engine) routeHTTP(hr *http.Request) (*route, *handshake.Refusal) {
	if e.mux == nil {
		return e.own, nil
	}
	r, found := e.routeOf(hr.Host, hr.URL)
	if r == nil {
		return nil, noRoute
	}
	r.tell(hr, found)
	return r, nil
}

// tell gives a request the pattern that it matched, and the values of its path, which found knows.
func (r *route) tell(to, found *http.Request) {
	for _, name := range r.names {
		to.SetPathValue(name, found.PathValue(name))
	}
	to.Pattern = r.pattern
}

var noRoute = refusal(404, "no-route", "There is no WebSocket endpoint at this path")
