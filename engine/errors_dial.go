package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
)

// ErrSecurity: a connection that would not be safe to make: to a port that browsers refuse, or over ws where only wss may
// be (WHATWG SecurityError).
var ErrSecurity = errors.New("gannet: refused for security")

// ErrClientClosed: Start and Dial return it after Shutdown or Close, which end with it what is CONNECTING.
var ErrClientClosed = errors.New("gannet: client closed")

// ErrTooManyConns: Start and Dial answer it at ClientOptions.MaxConns.
var ErrTooManyConns = errors.New("gannet: ClientOptions.MaxConns connections are there already")

// portError is ErrSecurity.
type portError struct{ port uint16 }

func (e *portError) Error() string {
	return fmt.Sprintf("%v: port %d speaks another protocol, and browsers do not connect to it (Fetch, \"bad ports\"); "+
		"DialOptions.AllowPort lets this one through", ErrSecurity, e.port)
}

func (e *portError) Unwrap() error { return ErrSecurity }

// DialError is why a connection was not made: nobody was there, nobody answered, or the attempt was ended from here. Dial answers
// it, and CloseEvent.Err leads to it by errors.As. One that took too long is os.ErrDeadlineExceeded and context.DeadlineExceeded.
type DialError struct {
	// Op is what failed: "resolve", "connect", "proxy" or "tls"; "dial" is all of it, where the attempt was ended from here.
	Op string
	// Addr is what it failed for: a name, an address, a proxy without its user information.
	Addr string
	// Reason is a stable slug: "not-found", "refused", "unreachable", "timeout", "no-ports" (of this machine), "too-many-files",
	// "permission", "certificate", "not-tls", "alpn" (no HTTP/1.1 over TLS), "proxy-auth" and "proxy-refused" (CONNECT); "canceled" by the caller's context, "ended" by Close or
	// Terminate, "client-closed"; or "other". Of several addresses it is that of the one that came farthest.
	Reason string
	// Err is the system's error, or a library's; of several addresses it is all of theirs, each with its address.
	Err error
}

func newDialError(op, addr string, err error) *DialError {
	return &DialError{op, addr, dialReason(err), err}
}

func (e *DialError) Error() string {
	text := "gannet: " + e.words()
	if advice := e.advice(); advice != "" {
		text += ": " + advice
	}
	return text
}

// words are what happened, without advice. One that led to another one says both.
func (e *DialError) words() string {
	text := e.Op + " " + e.Addr + ": "
	if inner, ok := e.Err.(*DialError); ok {
		return text + inner.words()
	}
	return text + e.Err.Error()
}

// Unwrap gives Err.
func (e *DialError) Unwrap() error { return e.Err }

// Is makes what took too long os.ErrDeadlineExceeded and context.DeadlineExceeded.
func (e *DialError) Is(target error) bool {
	return e.Timeout() && (target == os.ErrDeadlineExceeded || target == context.DeadlineExceeded)
}

// Timeout tells whether it took too long.
func (e *DialError) Timeout() bool { return e.Reason == "timeout" }

// HandshakeError is an answer of a server that opened no WebSocket (RFC 6455 4.1), or none at all. Dial answers it, and
// CloseEvent.Err leads to it by errors.As. One that took too long is os.ErrDeadlineExceeded.
type HandshakeError struct {
	Reason string      // a stable slug, one per rule; "status" is that the server refused, "connection-lost" and "timeout" that it did not answer
	Status int         // the HTTP status; 0: the answer was not understood so far
	Header http.Header // the answer's fields
	Body   []byte      // the first KiB of its body at most, of an answer with another status than 101
	Err    error       // says in a sentence what is wrong
}

func (e *HandshakeError) Error() string {
	if e.Status != 0 && e.Status != http.StatusSwitchingProtocols {
		return fmt.Sprintf("gannet: the server answered %d %s%s", e.Status, http.StatusText(e.Status), e.advice())
	}
	return "gannet: " + e.Err.Error()
}

// Unwrap gives what is wrong with the answer.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Timeout tells whether the answer took too long.
func (e *HandshakeError) Timeout() bool { return e.Reason == "timeout" }

// errNoAnswer: the answer was not whole in HandshakeTimeout.
var errNoAnswer error = &sentinel{
	"the server did not answer within HandshakeTimeout", []error{ErrHandshakeTimeout, os.ErrDeadlineExceeded, context.DeadlineExceeded},
}

// errConnectTimeout: an address did not answer within ConnectTimeout.
var errConnectTimeout = errors.New("no answer within ConnectTimeout")

// errClientEnded: the client was closed while a connection was CONNECTING.
var errClientEnded error = &sentinel{"the client was closed", []error{ErrTerminated, ErrClientClosed}}

// errDialExit: a Resolver, a DialContext or a Jar ended its goroutine.
var errDialExit error = &sentinel{"a Resolver, a DialContext or a Jar ended its goroutine (runtime.Goexit)", []error{ErrHandlerExit}}

// errEndedEarly: Close or Terminate, of a connection that is CONNECTING.
var errEndedEarly error = &sentinel{"it was closed before it was open", []error{ErrTerminated}}

// lostAnswer is a transport that ended before the answer did. It is ErrAbnormal and what the system said, if that was anything.
type lostAnswer struct {
	cause error
	mute  bool // it said nothing at all, and not over TLS
}

func (e *lostAnswer) Error() string {
	text := "the connection ended before the server's answer was whole"
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	if e.mute { // many servers that wait for TLS do so without a word
		text += ": does the server speak wss there, and not ws?"
	}
	return text
}

func (e *lostAnswer) Unwrap() []error {
	if e.cause == nil {
		return []error{ErrAbnormal}
	}
	return []error{ErrAbnormal, e.cause}
}

// contextError is why the caller's context ended: its error, and the cause, if there is another one.
func contextError(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if cause == err {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}

// triedErrors are those of several addresses.
type triedErrors []error

// mostTried is how many of them are shown: a name may have a thousand addresses.
const mostTried = 8

func (t triedErrors) Error() string {
	var b strings.Builder
	for i, err := range t {
		if i == mostTried {
			fmt.Fprintf(&b, "; and %d more", len(t)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return b.String()
}

func (t triedErrors) Unwrap() []error { return t }

// addrError is what one of several addresses said.
type addrError struct {
	addr string
	err  error
}

func (e *addrError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *addrError) Unwrap() error { return e.err }

// forAddr is the error of a name, or of the one address that there was.
func (t triedErrors) forAddr(addr string) error {
	if one := new(addrError); len(t) == 1 && errors.As(t[0], &one) {
		return newDialError("connect", one.addr, one.err)
	}
	return newDialError("connect", addr, t)
}
