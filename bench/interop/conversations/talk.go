package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// talk is one conversation: a client of its own, and connections one after the other. Like a test's T it ends the goroutine at the
// first fault.
type talk struct {
	to           *target
	offer        offer
	conversation string
	options      engine.ClientOptions // a conversation may change them before it opens anything
	opened       func(*engine.Conn)   // called in OnOpen, if there is one
	client       *engine.Client
	fault        string

	mu    sync.Mutex
	heard heard // of the latest connection
}

// heard is what a connection has told its handler.
type heard struct {
	events       []string // open, message, error and close, as they came; messages that follow each other count once
	messages     []message
	pings, pongs []string
	why          error // what OnError was told
	closed       engine.CloseEvent
}

type message struct {
	op   engine.Opcode
	data []byte
}

// patience is how long a conversation waits for what comes at once where nobody disturbs.
const patience = time.Minute

// fail ends the conversation.
func (t *talk) fail(format string, of ...any) {
	t.fault = fmt.Sprintf(format, of...)
	runtime.Goexit()
}

// want ends the conversation unless something is so.
func (t *talk) want(so bool, format string, of ...any) {
	if !so {
		t.fail(format, of...)
	}
}

// tell prints what a person would be told.
func (t *talk) tell(format string, of ...any) {
	if t.offer.name == "shared" {
		fmt.Printf("%s: %s\n", t.conversation, fmt.Sprintf(format, of...))
	}
}

// note records an event of the connection's.
func (t *talk) note(event string, also func(*heard)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.heard.events); event != "" && (event != "message" || t.heard.events[n-1] != event) {
		t.heard.events = append(t.heard.events, event)
	}
	if also != nil {
		also(&t.heard)
	}
}

func (t *talk) handler() engine.Handler {
	return engine.Funcs{
		Open: func(c *engine.Conn) {
			t.note("open", nil)
			if t.opened != nil {
				t.opened(c)
			}
		},
		Message: func(_ *engine.Conn, m engine.Message) {
			t.note("message", func(h *heard) { h.messages = append(h.messages, message{m.Op, bytes.Clone(m.Data)}) })
		},
		Ping:  func(_ *engine.Conn, p []byte) { t.note("", func(h *heard) { h.pings = append(h.pings, string(p)) }) },
		Pong:  func(_ *engine.Conn, p []byte) { t.note("", func(h *heard) { h.pongs = append(h.pongs, string(p)) }) },
		Error: func(_ *engine.Conn, err error) { t.note("error", func(h *heard) { h.why = err }) },
		Close: func(_ *engine.Conn, e engine.CloseEvent) { t.note("close", func(h *heard) { h.closed = e }) },
	}
}

// dial begins a connection, after the one before it has ended, and waits for what comes of it.
func (t *talk) dial(path string, o engine.DialOptions) (*engine.Conn, error) {
	if t.client == nil {
		t.options.Loops = 1
		t.options.Deflate = t.offer.policy
		t.options.Workers = t.offer.workers
		if t.offer.carried {
			t.options.DialContext = new(net.Dialer).DialContext
		}
		client, err := engine.NewClient(t.handler(), t.options)
		t.want(err == nil, "NewClient: %v", err)
		t.client = client
	} else {
		t.await("the end of the connection before", func(h *heard) bool { return slices.Contains(h.events, "close") })
	}
	t.note("", func(h *heard) { *h = heard{} })
	if t.to.roots != nil && o.TLSConfig == nil {
		o.TLSConfig = &tls.Config{RootCAs: t.to.roots}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	url := t.to.url + path
	if strings.Contains(path, "://") {
		url = path
	}
	return t.client.Dial(ctx, url, o)
}

// open is a connection that has to be OPEN, with what the server should agree to. It ends the conversation if that is unlawful.
func (t *talk) open(path string, o engine.DialOptions) *engine.Conn {
	agreed, known := t.to.negotiated(t.offer)
	if agreed == unlawful {
		h := t.refused(path, o)
		t.want(h.Reason == "extension", "an answer that the offer forbids: %+v", h)
		fmt.Printf("%s, %s offered: %v\n", t.conversation, t.offer.name, h)
		runtime.Goexit() // there is nothing to talk about
	}
	c, err := t.dial(path, o)
	t.want(err == nil, "%s: %v", path, err)
	t.want(known, "negotiated.txt does not have: %s %s %s: %s", t.to.server, t.to.mode, t.offer.name, c.Extensions())
	t.want(c.Extensions() == agreed, "agreed on %q, negotiated.txt says %q", c.Extensions(), agreed)
	return c
}

// refused is an opening that has to fail by the server's answer. The handler has to hear of it, as Dial does.
func (t *talk) refused(path string, o engine.DialOptions) *engine.HandshakeError {
	_, err := t.dial(path, o)
	var h *engine.HandshakeError
	t.want(errors.As(err, &h), "%s: %v, want a HandshakeError", path, err)
	e := t.ended("error close")
	t.want(e.Code == 1006 && !e.WasClean && errors.Is(e.Err, h), "closed with %+v after %v", e, err)
	return h
}

// await waits until something has been heard.
func (t *talk) await(what string, so func(*heard) bool) {
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		t.mu.Lock()
		is := so(&t.heard)
		t.mu.Unlock()
		if is {
			return
		}
		if time.Now().After(end) {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.fail("never came: %s; heard were %v, %d messages, %v", what, t.heard.events, len(t.heard.messages), t.heard.why)
		}
	}
}

// message waits for the n-th message and takes it.
func (t *talk) message(n int) (m message) {
	t.await(fmt.Sprintf("message %d", n), func(h *heard) bool {
		if len(h.messages) > n {
			m = h.messages[n]
		}
		return len(h.messages) > n
	})
	return m
}

// ended waits until the connection is CLOSED and checks what has been heard of it, in this order.
func (t *talk) ended(events string) (e engine.CloseEvent) {
	t.await("the close event", func(h *heard) bool {
		e = h.closed
		return slices.Contains(h.events, "close")
	})
	t.mu.Lock()
	got := strings.Join(t.heard.events, " ")
	t.mu.Unlock()
	t.want(got == events, "events were %q, want %q; closed with %+v", got, events, e)
	return e
}

// closeCleanly ends a connection that has nothing more to say.
func (t *talk) closeCleanly(c *engine.Conn, events string) {
	t.want(c.Close() == nil, "Close answered an error")
	e := t.ended(events)
	t.want(e.WasClean && e.Code == 1000 && e.Err == nil, "closed with %+v after Close", e)
}

// end ends the client, which may hold nothing then.
func (t *talk) end() {
	if t.client == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err := t.client.Shutdown(ctx)
	s := t.client.Stats()
	if held := s.Open + s.Connecting + s.Closing + s.Deflate.Conns + s.QueuedBytes + s.InboundBytes + s.Buffers.Out + int64(s.Panics); t.fault == "" && (err != nil || held != 0) {
		t.fault = fmt.Sprintf("the client's end: %v, %+v", err, s)
	}
}
