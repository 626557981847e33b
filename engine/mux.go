package engine

import (
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Mux is a Handler for each path: give it to NewServer, and all its routes are served on the same loops. It is http.ServeMux for
// WebSockets: the patterns are that one's, with hosts and wildcards, and so is which of them a request matches.
//
//	mux := engine.NewMux()
//	err := mux.Handle("/chat/{room}", chat, engine.Route{Limits: engine.Limits{MaxMessageSize: 4 << 10}})
//
// There are no redirects, because a browser's WebSocket does not follow them: where http.ServeMux answers one (a path that is not
// clean, or lacks its trailing slash), and where no pattern matches, the answer is 404, counted as "no-route". Nothing of the
// program's runs then. Requests that do not ask for a WebSocket go to Options.Fallback, as ever. By ServeHTTP the request's URL and
// Host count, as middleware has left them: the path without the prefix that http.StripPrefix took.
//
// The zero Mux is ready for use. Routes are looked up without a lock of the program's: once a server was made of a Mux, none can
// be added. Several servers may be made of one, each with Options of its own.
type Mux struct {
	mu      sync.Mutex
	serve   http.ServeMux
	entries []*entry
	failed  error // the first that Handle answered
	served  bool  // a server was made of it
}

// entry is what Handle was given.
type entry struct {
	pattern string
	names   []string // of its wildcards
	index   int      // in Mux.entries, and in engine.routes
	hooks   hooks
	route   Route
}

// NewMux returns an empty Mux.
func NewMux() *Mux { return new(Mux) }

// Handle has h serve the requests that match a pattern: "/chat/{room}", "/files/{path...}", "/{$}", "example.com/". See
// http.ServeMux, whose rules hold: the more specific pattern comes first. A method in front says nothing more, because a
// handshake is a GET: "GET /chat" is "/chat", and any other method an error.
//
// h is looked at as NewServer looks at a handler: each route has the optional methods that its handler has.
//
// Errors name the pattern, and another one that it conflicts with. They are ErrSyntax: for what is no pattern or could never
// match, a handler that NewServer would not take, and a Route of which something could never work. What does not go together with
// the server's Options is NewServer's error. NewServer also answers the first error of Handle, so that no program serves
// without a route that it meant to have. After NewServer the error is ErrInvalidState, and changes nothing.
func (m *Mux) Handle(pattern string, h Handler, o Route) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.served {
		return &sentinel{fmt.Sprintf("gannet: route %q comes too late: a server was made of this Mux already; call Handle before NewServer", pattern), []error{ErrInvalidState}}
	}
	err := m.add(pattern, h, o)
	if err != nil && m.failed == nil {
		m.failed = err
	}
	return err
}

func (m *Mux) add(pattern string, h Handler, o Route) error {
	hooks, err := routeHooks(h)
	if err != nil {
		return fmt.Errorf("gannet: %s: %w", placeOf(pattern), err)
	}
	if err := o.check(pattern); err != nil {
		return err
	}
	o.Origins, o.Protocols = slices.Clone(o.Origins), slices.Clone(o.Protocols)
	e := &entry{pattern: pattern, names: wildcards(pattern), index: len(m.entries), hooks: hooks, route: o}
	if err := m.register(e); err != nil {
		return fmt.Errorf("gannet: %s: %w", placeOf(pattern), err)
	}
	m.entries = append(m.entries, e)
	return nil
}

func routeHooks(h Handler) (hooks, error) {
	switch h.(type) {
	case nil:
		return hooks{}, handlerError("it needs a Handler, and this one is nil")
	case *Mux:
		return hooks{}, handlerError("its Handler is a Mux, whose routes nobody would ask for: give the patterns to one Mux")
	}
	return findHooks(h)
}

// register gives the pattern to the ServeMux: as a GET's, so that paths that are not clean, and could never match, are refused.
func (m *Mux) register(e *entry) error {
	if err := tryHandle(new(http.ServeMux), e.pattern, e); err != nil { // in the words of the pattern as it was given
		return err
	}
	rest := e.pattern
	if i := strings.IndexAny(rest, " \t"); i >= 0 {
		if rest[:i] != http.MethodGet {
			return handlerError("a handshake is a GET (RFC 6455 4.1), and a %s never comes: leave the method out", rest[:i])
		}
		rest = strings.TrimLeft(rest[i:], " \t")
	}
	host, _, _ := strings.Cut(rest, "/")
	if name, _, err := net.SplitHostPort(host); err == nil {
		return handlerError("it could never match, because a request's port does not count: write %q without one", name)
	}
	return tryHandle(&m.serve, http.MethodGet+" "+rest, e)
}

// tryHandle is ServeMux.Handle, which panics, with an error.
func tryHandle(to *http.ServeMux, pattern string, e *entry) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = handlerError("%s", inOurWords.Replace(registeredAt.ReplaceAllString(fmt.Sprint(r), "")))
		}
	}()
	to.Handle(pattern, e)
	return nil
}

// inOurWords takes back what register adds.
var inOurWords = strings.NewReplacer("\n", " ", `"GET `, `"`)

// registeredAt is where ServeMux says that a pattern was registered: here, for all.
var registeredAt = regexp.MustCompile(` \(registered at [^)]*\)`)

// wildcards are the names of a pattern's wildcards.
func wildcards(pattern string) (names []string) {
	for _, segment := range strings.Split(pattern, "/") {
		name, wild := strings.CutPrefix(strings.TrimSuffix(segment, "}"), "{")
		if wild && name != "$" {
			names = append(names, strings.TrimSuffix(name, "..."))
		}
	}
	return names
}

// OnOpen, like OnMessage and OnClose, makes a Mux a Handler, for NewServer, which calls the routes' handlers instead. A handler of
// the program's must not call it, because no route is looked up then: the connection is closed (1011), and that is logged.
func (m *Mux) OnOpen(c *Conn) {
	if c.CloseWith(StatusInternalServerError, "") == nil {
		c.home().engine.log().Error("gannet: a handler called Mux.OnOpen, which serves nobody: give the Mux itself to NewServer, and wrap the handlers of its routes; the connection is closed (1011)",
			"conn", c.id, "remote", c.peer.addrPort())
	}
}

// OnMessage does nothing: see OnOpen.
func (m *Mux) OnMessage(*Conn, Message) {}

// OnClose does nothing: see OnOpen.
func (m *Mux) OnClose(*Conn, CloseEvent) {}
