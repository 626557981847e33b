package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
)

// listen binds what the flags name: a TCP address, a unix socket, or both. Whoever connects from now on is served.
func listen(ctx context.Context, addr, unix string) (all []net.Listener, err error) {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // the engine's own sockets are plain TCP, too
	for _, k := range []struct{ flag, network, at string }{{"--addr", "tcp", addr}, {"--unix", "unix", unix}} {
		if k.at == "" {
			continue
		}
		ln, err := plain.Listen(ctx, k.network, k.at)
		if err != nil {
			for _, ln := range all {
				_ = ln.Close()
			}
			return nil, fmt.Errorf("%s: %w", k.flag, err)
		}
		all = append(all, ln)
	}
	if len(all) == 0 {
		return nil, errors.New("nothing to listen on: give --addr or --unix")
	}
	return all, nil
}

// pageURL is where a browser on this machine finds the page; "" where none can.
func pageURL(at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := tcp.AddrPort()
	if host.Addr().Unmap().IsUnspecified() {
		return fmt.Sprintf("http://localhost:%d/", host.Port())
	}
	u := url.URL{Scheme: "http", Host: netip.AddrPortFrom(host.Addr().Unmap(), host.Port()).String(), Path: "/"}
	return u.String()
}
