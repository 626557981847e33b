// Command autobahnclient is the peer of Autobahn's fuzzingserver: it runs cases of its suite through our client, which echoes. The
// suite judges what it sees; here nothing may be left behind.
//
//	autobahnclient -url ws://127.0.0.1:9001 -agent gannet -first 1 -last 517
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

func main() {
	server := flag.String("url", "ws://127.0.0.1:9001", "the fuzzingserver's URL")
	agent := flag.String("agent", "gannet", "the name in its report")
	first := flag.Int("first", 1, "the first case")
	last := flag.Int("last", 0, "the last case; 0: all there are")
	each := flag.Duration("each", 10*time.Minute, "how long a case may take")
	carried := flag.Bool("carried", false, "connections carried by goroutines, and not by native loops")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	s := &suite{server: *server, agent: *agent, each: *each}
	if err := s.run(ctx, *first, *last, *carried); err != nil {
		log.Fatal("autobahnclient: ", err)
	}
}

// suite is a client for the suite's cases, which come one after the other.
type suite struct {
	server, agent string
	each          time.Duration
	client        *engine.Client
	hear          func(*engine.Conn, engine.Message) // what this case does with a message
	closed        chan struct{}
}

// run runs the cases, and has the server write its report.
func (s *suite) run(ctx context.Context, first, last int, carried bool) (err error) {
	options := engine.ClientOptions{Loops: 1, Deflate: &deflate.Policy{}}
	if carried {
		options.DialContext = new(net.Dialer).DialContext
	}
	s.closed = make(chan struct{}, 1)
	s.client, err = engine.NewClient(engine.Funcs{
		Message: func(c *engine.Conn, m engine.Message) { s.hear(c, m) },
		Close:   func(*engine.Conn, engine.CloseEvent) { s.closed <- struct{}{} },
	}, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.end()) }()
	count, err := s.count(ctx)
	if err != nil {
		return err
	}
	if last == 0 {
		last = count
	}
	for n := first; n <= min(last, count); n++ {
		if err := s.visit(ctx, "/runCase?case="+strconv.Itoa(n)+"&agent="+url.QueryEscape(s.agent), echo); err != nil {
			return fmt.Errorf("case %d: %w", n, err)
		}
	}
	return s.visit(ctx, "/updateReports?agent="+url.QueryEscape(s.agent), echo)
}

// count is how many cases there are.
func (s *suite) count(ctx context.Context) (n int, err error) {
	err = s.visit(ctx, "/getCaseCount", func(_ *engine.Conn, m engine.Message) {
		n, _ = strconv.Atoi(string(m.Data))
	})
	if err == nil && n == 0 {
		err = fmt.Errorf("%s says of no case", s.server)
	}
	return n, err
}

func echo(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }

// visit is one connection, from its beginning to its end. How it ends is the suite's business.
func (s *suite) visit(ctx context.Context, path string, hear func(*engine.Conn, engine.Message)) error {
	ctx, cancel := context.WithTimeout(ctx, s.each)
	defer cancel()
	s.hear = hear
	if _, err := s.client.Dial(ctx, s.server+path, engine.DialOptions{}); err != nil {
		return err
	}
	select {
	case <-s.closed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// end ends the client, with which nothing may have gone wrong.
func (s *suite) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.client.Shutdown(ctx), settled(s.client.Stats()))
}

// settled tells what a client that has ended holds, or has suffered.
func settled(s engine.Stats) error {
	var faults []error
	for what, n := range map[string]int64{
		"open": s.Open, "connecting": s.Connecting, "closing": s.Closing, "deflate conns": s.Deflate.Conns,
		"inbound bytes": s.InboundBytes, "queued bytes": s.QueuedBytes, "buffers": s.Buffers.Out, "panics": int64(s.Panics),
	} {
		if n != 0 {
			faults = append(faults, fmt.Errorf("after the end, %s is %d", what, n))
		}
	}
	return errors.Join(faults...)
}
