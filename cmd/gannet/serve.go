package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/cmd/gannet/processes"
	"github.com/gannet-ws/gannet/engine"
)

// shutdownTime is how long connections have to close after SIGTERM: engine.Options.MaxClosing, for those who take
// slowly what was sent to them, and a little more. Those who take nothing, or do not answer, end in seconds.
const shutdownTime = 5*time.Minute + 10*time.Second

func serveCommand() *cli.Command {
	return &cli.Command{
		Name:  "serve",
		Usage: "serve WebSocket connections on every path, with a page to try it at / and figures at /stats",
		Description: "The line that it logs first says where: url is for a browser, and try is what to type in another terminal (gannet connect).\n\n" +
			"Where systemd has opened sockets for it (systemd.socket), it serves those, and needs neither --addr nor --unix.\n\n" +
			"With --cert or --self-signed it speaks TLS on all of them: the page is at https://, and WebSockets are wss://.\n\n" +
			"--procs N starts N processes that share the port, each with its own descriptors and memory, for more connections than one process may have. " +
			"The first line names their ids (pids), and /stats has the figures of all. When one of them ends, the others are shut down.",
		OnUsageError: usageError,
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "addr", OnlyOnce: true, Value: ":8080", Usage: "TCP `address` to listen on; port 0: a free one, which the log names; empty: none"},
			&cli.StringFlag{Name: "unix", OnlyOnce: true, Usage: "unix socket `path` to listen on as well"},
			&cli.StringFlag{Name: "mode", OnlyOnce: true, Value: "echo", Usage: "what to do with messages: echo, discard or broadcast"},
			&cli.IntFlag{Name: "loops", OnlyOnce: true, Usage: "event loops of each process; 0: one a core, with --procs its share of the cores"},
			&cli.IntFlag{Name: "procs", OnlyOnce: true, Value: 1, Usage: "processes that share the port (Linux)"},
			&cli.Int64Flag{Name: "max-message", OnlyOnce: true, Value: engine.MaxMessage, Usage: "longest message accepted, in `bytes`"},
			&cli.DurationFlag{Name: "idle", OnlyOnce: true, Value: 2 * time.Minute, Usage: "close a connection from which nothing was received for so long; negative: never"},
			&cli.StringSliceFlag{Name: "origin", Usage: "origin that browsers may connect from besides the server's own, such as https://*.example.com, or *; may be given again"},
			&cli.StringFlag{Name: "deflate", OnlyOnce: true, Value: "off", Usage: "permessage-deflate: off; shared: compressors that connections share, with a short history each; alone: without any; own: a compressor for each connection"},
			&cli.IntFlag{Name: "deflate-level", OnlyOnce: true, Usage: "`level` 1 to 9; 0: the default"},
			&cli.IntFlag{Name: "deflate-window", OnlyOnce: true, Usage: "window `bits` each way, 8 to 15; 0: 15"},
			&cli.IntFlag{Name: "deflate-history", OnlyOnce: true, Usage: "history of each connection in `bytes`, with shared; 0: the default"},
			&cli.IntFlag{Name: "deflate-frame", OnlyOnce: true, Usage: "the longest compressed message that is sent in one frame, in `bytes`; 0: 4 MiB; -1: long ones leave in fragments at once"},
			&cli.DurationFlag{Name: "shutdown-time", OnlyOnce: true, Value: shutdownTime, Usage: "how long connections have to close after SIGTERM or an interrupt; a second one ends at once"},
			&cli.StringFlag{Name: "log", OnlyOnce: true, Value: "info", Usage: "`level`: debug, info, warn or error"},
		}, secureFlags()...),
		Action: runServe,
	}
}

// runServe serves until ctx ends, as one process, as the parent of several, or as one of those.
func runServe(ctx context.Context, c *cli.Command) error {
	if err := errors.Join(noArguments(c), saidRight(c)); err != nil {
		return err
	}
	member, err := processes.Inherited()
	if err != nil {
		return err
	}
	loops := int(c.Int("loops"))
	if loops == 0 {
		loops = max(1, runtime.GOMAXPROCS(0)/int(c.Int("procs")))
	}
	s, err := newService(c, loops)
	if err != nil {
		return err
	}
	switch {
	case member != nil:
		leaveRoomBeside(loops)
		return s.runMember(member)
	case c.Int("procs") > 1:
		return s.runGroup(ctx, c)
	}
	all, err := listeners(ctx, c)
	if err != nil {
		return err
	}
	if err := s.sign(c.String("addr"), all); err != nil {
		closeAll(all)
		return err
	}
	leaveRoomBeside(loops)
	return s.run(ctx, all)
}

// saidRight refuses a 0 that the engine would take for its default, and whoever gives it for none.
func saidRight(c *cli.Command) error {
	switch {
	case c.Int64("max-message") == 0:
		return errors.New("--max-message is 0, must be 1 to 2147483647 bytes")
	case c.Duration("idle") == 0:
		return errors.New("--idle is 0, must be a time, or negative for never")
	case c.Duration("shutdown-time") <= 0:
		return fmt.Errorf("--shutdown-time is %v, must be above 0", c.Duration("shutdown-time"))
	}
	return procsSaidRight(c)
}

// leaveRoomBeside lets the scheduler run one thread more than there are loops. A loop
// that waits in the kernel keeps its processor; when no other is idle, the runtime's
// monitor looks every 20 microseconds whether to take it away, which costs a tenth of an
// echo (docs/decisions/0009).
func leaveRoomBeside(loops int) {
	if runtime.GOMAXPROCS(0) <= loops && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(loops + 1)
	}
}

// service is the server and what stands around it.
type service struct {
	*engine.Server
	log          *slog.Logger
	tls          *security         // nil: without
	member       *processes.Member // nil: one process
	shutdownTime time.Duration
}

func newService(c *cli.Command, loops int) (*service, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.String("log"))); err != nil {
		return nil, fmt.Errorf("--log: %w", err)
	}
	s := &service{shutdownTime: c.Duration("shutdown-time"), log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))}
	h, err := s.handler(c.String("mode"))
	if err != nil {
		return nil, err
	}
	policy, err := deflatePolicy(c)
	if err != nil {
		return nil, err
	}
	if s.tls, err = newSecurity(c, s.log); err != nil {
		return nil, err
	}
	o := engine.Options{
		Deflate:  policy,
		Loops:    loops,
		Limits:   engine.Limits{MaxMessageSize: c.Int64("max-message"), IdleTimeout: c.Duration("idle")},
		Origins:  c.StringSlice("origin"),
		Fallback: s.pages(),

		RepeatCloseReason: true, // for the page, which shows what comes back
		Logger:            s.log,
	}
	if s.tls != nil {
		o.TLSConfig = s.tls.config
	}
	s.Server, err = engine.NewServer(h, o)
	if n := c.Int("procs"); n > 1 && err == nil { // by default each process would hold what is one process's share of the machine's memory
		o.InboundBudget = max(minInboundBudget, s.Stats().InboundBudgetBytes/int64(n))
		s.Server, err = engine.NewServer(h, o)
	}
	return s, err
}

// sign makes a certificate for where the server listens, if it was told to.
func (s *service) sign(addr string, listeners []net.Listener) error {
	if s.tls == nil || s.tls.certificate() != nil {
		return nil
	}
	var at []net.Addr
	for _, ln := range listeners {
		at = append(at, ln.Addr())
	}
	return s.tls.signFor(addr, at)
}

// serve serves a listener, with TLS or without.
func (s *service) serve(ln net.Listener) error {
	if s.tls != nil {
		return s.ServeTLS(ln)
	}
	return s.Serve(ln)
}

// handler is what a mode does with messages.
func (s *service) handler(mode string) (engine.Handler, error) {
	switch mode {
	case "echo":
		return engine.Funcs{Message: echo}, nil
	case "discard":
		return engine.Funcs{}, nil
	case "broadcast":
		return engine.Funcs{Message: s.broadcast}, nil
	}
	return nil, fmt.Errorf("--mode: %q is none of echo, discard, broadcast", mode)
}

// ownedBytes is the length from which an assembled message is echoed from its own buffer.
const ownedBytes = 64 << 10

// echo answers each message with itself. What can not be sent any more, because the
// connection closes, is nobody's loss.
func echo(c *engine.Conn, m engine.Message) {
	if len(m.Data) >= ownedBytes {
		_ = c.SendOwned(m.Op, m.Retain())
		return
	}
	_ = c.Send(m.Op, m.Data)
}

func (s *service) broadcast(c *engine.Conn, m engine.Message) {
	p, err := engine.Prepare(m.Op, m.Data)
	if err != nil {
		s.log.Error("a received message can not be sent", "err", err)
		return
	}
	s.Broadcast(p, nil)
	if s.member != nil {
		s.member.Tell(processes.Message{Op: byte(m.Op), Data: bytes.Clone(m.Data)}, c)
	}
}

// run serves until ctx ends, and then closes what is open in good order.
func (s *service) run(ctx context.Context, listeners []net.Listener) error {
	failed := make(chan error, len(listeners))
	for _, ln := range listeners {
		s.logListening(ln.Addr())
		go func() { failed <- s.serve(ln) }()
	}
	select {
	case err := <-failed:
		_ = s.Close()
		return err
	case <-ctx.Done():
	}
	s.log.Info("shutting down")
	return s.shutDown()
}

// shutDown closes what is open in good order, within --shutdown-time.
func (s *service) shutDown() error {
	late, cancel := context.WithTimeout(context.Background(), s.shutdownTime)
	defer cancel()
	if err := s.Shutdown(late); err != nil {
		return fmt.Errorf("connections were still open after %v and were terminated: %w", s.shutdownTime, err)
	}
	return nil
}

// logListening says where, for people, who get a link, and for scripts, which may connect from this line on. more are attributes.
func (s *service) logListening(at net.Addr, more ...any) {
	var attrs []any
	web, socket, flags := "http", "ws", ""
	if s.tls != nil {
		web, socket, flags = "https", "wss", s.tls.connectFlags()
	}
	if u := pageURL(web, at); u != "" {
		attrs = append(attrs, "url", u)
	}
	attrs = append(attrs, "network", at.Network(), "addr", at.String(), "pid", os.Getpid())
	attrs = append(append(attrs, more...), "try", connectLine(socket, flags, at))
	s.log.Info("listening", attrs...)
}
