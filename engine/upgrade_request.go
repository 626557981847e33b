package engine

import (
	"context"
	"net/http"
	"net/url"
)

// Request is the request as net/http shows it to a handler: for what is written for that (authorisation, routing, forms, cookies).
// By ServeHTTP it is the very one that ServeHTTP was given, with whatever middleware and the router have made of it: the context's
// values, path parameters, a URL without its prefix, another RemoteAddr. On the engine's own listener it is made when it is
// first asked for, as net/http would have made it, in memory of its own; its context is Upgrade.Context. It has no body.
//
// The handler may keep it. It is never nil: asked for the first time when the handshake was decided, it is empty.
func (u *Upgrade) Request() *http.Request {
	if u.request == nil {
		if u.ended() {
			r := &http.Request{URL: new(url.URL), Header: http.Header{}, Body: http.NoBody}
			return r.WithContext(u.Context())
		}
		u.request = u.makeRequest()
	}
	return u.request
}

// makeRequest makes what net/http's server would have made of the same bytes.
func (u *Upgrade) makeRequest() *http.Request {
	q := u.req
	r := &http.Request{
		Method: string(q.Method), RequestURI: string(q.Target), Proto: string(q.Proto), Host: string(q.Host),
		Header: make(http.Header, len(q.Headers)), Body: http.NoBody, TLS: u.TLS(),
	}
	for _, f := range q.Headers {
		r.Header.Add(string(f.Name), string(f.Value))
	}
	r.Header.Del("Host")
	if v, ok := r.Header["Pragma"]; ok && v[0] == "no-cache" && len(r.Header["Cache-Control"]) == 0 {
		r.Header.Set("Cache-Control", "no-cache") // RFC 9111 5.4
	}
	r.ProtoMajor, r.ProtoMinor, _ = http.ParseHTTPVersion(r.Proto)
	if a := u.RemoteAddr(); a != nil {
		r.RemoteAddr = a.String()
	}
	var err error
	if r.URL, err = url.ParseRequestURI(r.RequestURI); err != nil { // net/http would have refused it
		r.URL = &url.URL{Opaque: r.RequestURI}
	}
	if u.path != nil {
		u.conn.route().tell(r, u.path)
	}
	return r.WithContext(u.Context())
}

// PathValue is what a wildcard of the pattern that the request matched stands for: with the pattern "/chat/{room}" of a Mux,
// PathValue("room"). By ServeHTTP the router in front is asked as well. "" for a name that is in none of them. It is
// Request().PathValue, and makes no request.
func (u *Upgrade) PathValue(name string) string {
	switch {
	case u.ended():
		return ""
	case u.request != nil:
		return u.request.PathValue(name)
	case u.path != nil:
		return u.path.PathValue(name)
	}
	return ""
}

// upgradeContext is what Upgrade.Context answers.
type upgradeContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

// undone is the context of a handshake that was decided before anybody asked.
var undone = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Context is for what has to be asked before the handshake can be decided, a database say. It is cancelled when there is nothing to
// decide any more: the peer has gone (as Accept notices it), HandshakeTimeout has passed, or somebody decided; context.Cause
// tells the first two (ErrAbnormal, ErrHandshakeTimeout). For what goes on while the connection is open there is Conn.Context.
// By ServeHTTP it comes from the request's own context, with its values and deadline, and when that ends the cause is what it says. On a loop it is made only when it is asked for.
func (u *Upgrade) Context() context.Context {
	if x := u.context.Load(); x != nil {
		return x
	}
	if u.ended() {
		return undone
	}
	from := context.Background()
	if u.request != nil {
		from = u.request.Context()
	}
	x := new(upgradeContext)
	x.Context, x.cancel = context.WithCancelCause(from)
	if !u.context.CompareAndSwap(nil, x) {
		x.cancel(nil)
		return u.context.Load()
	}
	if u.over.Load() { // meanwhile
		x.cancel(nil)
	}
	return x
}

// end ends the Upgrade: its methods answer zero values from here on.
func (u *Upgrade) end(why error) {
	u.over.Store(true)
	if x := u.context.Load(); x != nil {
		x.cancel(why)
	}
}
