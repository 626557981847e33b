package main

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// dialTimeout is for one connection and its opening handshake.
const dialTimeout = 10 * time.Second

// connect opens connections, o.count at a time, and resets each as soon as the server has answered: in TIME_WAIT they would
// use up the kernel's outgoing ports. The server's CPU time holds accepting, the handshake, and the end.
func connect(ctx context.Context, o order) (string, error) {
	idle, err := rig.ResidentKiB(o.pid)
	if err != nil {
		return "", err
	}
	c := comers{order: o, measuring: make(chan struct{})}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	for range o.count {
		all.Go(func() {
			if err := c.comeAndGo(ctx); err != nil {
				cancel(err)
			}
		})
	}
	wait(ctx, o.time/5)
	from := begin(o.pid)
	close(c.measuring)
	wait(ctx, o.time)
	line, err := from.line(c.result(idle))
	failed := context.Cause(ctx)
	cancel(nil)
	all.Wait()
	if failed != nil {
		return "", failed
	}
	return line, err
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// comers are clients that come and go.
type comers struct {
	order
	measuring chan struct{} // closed when the warm-up is over
	mu        sync.Mutex
	took      []time.Duration
}

func (c *comers) result(idleKiB int64) (messages int, took []time.Duration, idle int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	took, c.took = c.took, nil
	return len(took), took, idleKiB
}

func (c *comers) comeAndGo(ctx context.Context) error {
	for ctx.Err() == nil {
		begun := time.Now()
		conn, err := open(c.addr)
		if err != nil {
			return err
		}
		took := time.Since(begun)
		reset(conn)
		select {
		case <-c.measuring:
			c.mu.Lock()
			c.took = append(c.took, took)
			c.mu.Unlock()
		default:
		}
	}
	return nil
}

// open connects and shakes hands.
func open(addr string) (net.Conn, error) {
	conn, err := net.DialTimeout("tcp", addr, dialTimeout)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	if err := rig.Upgrade(conn, addr); err != nil {
		reset(conn)
		return nil, err
	}
	return conn, conn.SetDeadline(time.Time{})
}

func reset(conn net.Conn) {
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}
