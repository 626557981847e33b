package main

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"

	"github.com/gannet-ws/gannet/engine"
)

// parts are what a run starts this program as, for a process of its own.
var parts = map[string]func(ctx context.Context, args []string, stdout io.Writer) error{
	"serve":  func(_ context.Context, args []string, _ io.Writer) error { return serve(args) },
	"shake":  func(_ context.Context, args []string, stdout io.Writer) error { return shake(args, stdout) },
	"storm":  storm,
	"burst":  func(_ context.Context, args []string, stdout io.Writer) error { return burst(args, stdout) },
	"silent": func(_ context.Context, args []string, stdout io.Writer) error { return silent(args, stdout) },
}

// serve is a server of one kind, until the process is killed: both have the same tls.Config, the same certificate, and nothing to
// say but to refuse a request. Gannet's has one loop, and echoes what WebSockets send.
func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	kind := flags.String("kind", "", "gannet or net/http")
	addr := flags.String("addr", "", "where to listen")
	cert := flags.String("cert", "", "PEM file of the certificate")
	key := flags.String("key", "", "PEM file of its key")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(*cert, *key)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", *addr)
	if err != nil {
		return err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	switch *kind {
	case kindGannet:
		echo := engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}
		server, err := engine.NewServer(echo, engine.Options{Loops: 1, TLSConfig: config, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			return err
		}
		return server.ServeTLS(ln)
	case kindNetHTTP:
		server := &http.Server{Handler: http.NotFoundHandler(), TLSConfig: config, ErrorLog: log.New(io.Discard, "", 0)}
		return server.ServeTLS(ln, "", "")
	}
	return fmt.Errorf("-kind %q: want %s or %s", *kind, kindGannet, kindNetHTTP)
}
