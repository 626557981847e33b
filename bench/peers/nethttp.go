package main

import (
	"net"
	"net/http"
)

// overHTTP serves a library whose connections come from net/http, with TLS as net/http sets it up.
func overHTTP(build func(settings) (http.Handler, error)) peer {
	return func(s settings, addr string, up func(net.Addr)) error {
		handler, err := build(s)
		if err != nil {
			return err
		}
		listener, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		defer listener.Close()
		up(listener.Addr())
		if s.cert != "" {
			return http.ServeTLS(listener, handler, s.cert, s.key)
		}
		return http.Serve(listener, handler)
	}
}
