package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// maxConns leaves room below a limit of 20,000 descriptors.
const maxConns = 19000

// workers is how many connections are talked on at the same time: enough to keep a server's cores busy.
const workers = 8

// crowd is all connections to one server.
type crowd struct {
	conns  []net.Conn
	agreed agreement
}

// openCrowd opens count connections. They agree on the same, or it is an error.
func openCrowd(ctx context.Context, addr string, bits, count int) (*crowd, error) {
	c := &crowd{}
	for len(c.conns) < count {
		conn, a, err := dial(addr, bits)
		if err == nil {
			c.conns = append(c.conns, conn)
			if err = ctx.Err(); err == nil && len(c.conns) > 1 && a != c.agreed {
				err = fmt.Errorf("agreed on %q and then on %q", c.agreed.text, a.text)
			}
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("connection %d: %w", len(c.conns), err)
		}
		if c.agreed = a; !a.deflate {
			break // nor will the others
		}
	}
	return c, nil
}

// talk exchanges messages on all connections: the first on each, then the second on each, as a server would meet them.
func (c *crowd) talk(ctx context.Context, t *texts, messages int) error {
	var talkers [workers]*talker
	for i := range talkers {
		var err error
		if talkers[i], err = newTalker(t, c.agreed); err != nil {
			return err
		}
	}
	for seq := range messages {
		err := c.each(func(worker, id int) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return talkers[worker].exchange(c.conns[id], id, seq)
		})
		if err != nil {
			return fmt.Errorf("message %d: %w", seq, err)
		}
	}
	return nil
}

// each calls f for every connection, from several goroutines. A worker ends at its first error.
func (c *crowd) each(f func(worker, id int) error) error {
	var wait sync.WaitGroup
	var errs [workers]error
	for w := range workers {
		wait.Go(func() {
			for id := w; id < len(c.conns) && errs[w] == nil; id += workers {
				if errs[w] = f(w, id); errs[w] != nil {
					errs[w] = fmt.Errorf("connection %d: %w", id, errs[w])
				}
			}
		})
	}
	wait.Wait()
	return errors.Join(errs[:]...)
}

// rest leaves the connections alone, but for pings, which are answered.
func (c *crowd) rest(ctx context.Context, d time.Duration) error {
	until := time.Now().Add(d)
	stop := context.AfterFunc(ctx, c.close)
	defer stop()
	var wait sync.WaitGroup
	errs := make([]error, len(c.conns))
	for id, conn := range c.conns {
		wait.Go(func() {
			if errs[id] = conn.SetDeadline(until); errs[id] != nil {
				return
			}
			if _, _, err := readMessage(conn, nil); !errors.Is(err, os.ErrDeadlineExceeded) {
				errs[id] = fmt.Errorf("connection %d: in its rest: %w", id, errors.Join(err, ctx.Err()))
			}
		})
	}
	wait.Wait()
	for _, err := range errs {
		if err != nil {
			return err // one says enough
		}
	}
	return nil
}

// close resets the connections: as many in TIME_WAIT would take most of the kernel's outgoing ports.
func (c *crowd) close() {
	for _, conn := range c.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}
