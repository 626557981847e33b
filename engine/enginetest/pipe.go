package enginetest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
)

// pipes makes the connections of a Server, and knows what happens on them.
type pipes struct {
	conns  chan net.Conn
	done   chan struct{}
	end    sync.Once
	moved  atomic.Uint64 // counts everything that happens
	idle   atomic.Int64  // ends in which nothing is under way but a Read
	open   atomic.Int64  // ends that are not closed
	writes atomic.Int64  // Writes under way
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.end.Do(func() { close(p.done) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "enginetest" }

// dial is the client's end of a connection whose other one is accepted.
func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	p.moved.Add(1)
	near, far := p.newEnd(a), p.newEnd(b)
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
	case <-ctx.Done():
	}
	_, _ = near.Close(), far.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, net.ErrClosed
}

// end is one end of a pipe.
type end struct {
	net.Conn
	pipes *pipes
	once  sync.Once
}

func (p *pipes) newEnd(c net.Conn) *end {
	p.open.Add(1)
	return &end{Conn: c, pipes: p}
}

// Read implements net.Conn.
func (e *end) Read(b []byte) (int, error) {
	e.pipes.idle.Add(1)
	n, err := e.Conn.Read(b)
	e.pipes.moved.Add(1) // first: whoever sees it idle no more sees why
	e.pipes.idle.Add(-1)
	return n, err
}

// Write implements net.Conn.
func (e *end) Write(b []byte) (int, error) {
	e.pipes.writes.Add(1)
	e.pipes.moved.Add(1)
	n, err := e.Conn.Write(b)
	e.pipes.writes.Add(-1)
	return n, err
}

// Close implements net.Conn.
func (e *end) Close() error {
	e.once.Do(func() {
		e.pipes.moved.Add(1)
		e.pipes.open.Add(-1)
	})
	return e.Conn.Close()
}
