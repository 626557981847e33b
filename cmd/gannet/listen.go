package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"os"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/engine"
)

// listeners are what systemd has opened for this process, or else what the flags name. Whoever connects from now on is served.
func listeners(ctx context.Context, c *cli.Command) (all []net.Listener, err error) {
	opened, err := engine.SystemdListeners()
	if err != nil {
		return nil, err
	}
	if len(opened) == 0 {
		return listen(ctx, c.String("addr"), c.String("unix"))
	}
	for _, o := range opened {
		all = append(all, o.Listener)
	}
	if c.IsSet("addr") || c.IsSet("unix") {
		closeAll(all)
		return nil, errors.New("systemd has opened the sockets to listen on: --addr and --unix do not go with that")
	}
	return all, nil
}

// listen binds a TCP address, a unix socket, or both.
func listen(ctx context.Context, addr, unix string) (all []net.Listener, err error) {
	var plain net.ListenConfig
	plain.SetMultipathTCP(false) // the engine's own sockets are plain TCP, too
	for _, k := range []struct{ flag, network, at string }{{"--addr", "tcp", addr}, {"--unix", "unix", unix}} {
		if k.at == "" {
			continue
		}
		ln, err := plain.Listen(ctx, k.network, k.at)
		if errors.Is(err, syscall.EADDRINUSE) && isDead(k.network, k.at) && os.Remove(k.at) == nil {
			ln, err = plain.Listen(ctx, k.network, k.at)
		}
		if err != nil {
			closeAll(all)
			return nil, fmt.Errorf("%s: %w", k.flag, err)
		}
		all = append(all, ln)
	}
	if len(all) == 0 {
		return nil, errors.New("nothing to listen on: give --addr or --unix")
	}
	return all, nil
}

// isDead tells whether an address is a unix socket's file that a server left which could not remove it: nobody answers there.
func isDead(network, path string) bool {
	if info, err := os.Lstat(path); network != "unix" || err != nil || info.Mode()&fs.ModeSocket == 0 {
		return false
	}
	c, err := net.Dial(network, path)
	if err == nil {
		_ = c.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

func closeAll(all []net.Listener) {
	for _, ln := range all {
		_ = ln.Close()
	}
}

// connectLine is what to type in another terminal on this machine to be a client of a server that listens there. flags begin with a space, if there are any:
// without one that is for TLS, an address without a scheme is ws.
func connectLine(scheme, flags string, at net.Addr) string {
	command := "gannet connect" + flags
	switch at := at.(type) {
	case *net.TCPAddr:
		host := at.AddrPort()
		if host.Addr().Unmap().IsUnspecified() {
			return fmt.Sprintf("%s :%d", command, host.Port())
		}
		return command + " " + scheme + "://" + netip.AddrPortFrom(host.Addr().Unmap(), host.Port()).String()
	default:
		return command + " --unix " + at.String()
	}
}

// pageURL is where a browser on this machine finds the page; "" where none can.
func pageURL(scheme string, at net.Addr) string {
	tcp, ok := at.(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := tcp.AddrPort()
	if host.Addr().Unmap().IsUnspecified() {
		return fmt.Sprintf("%s://localhost:%d/", scheme, host.Port())
	}
	u := url.URL{Scheme: scheme, Host: netip.AddrPortFrom(host.Addr().Unmap(), host.Port()).String(), Path: "/"}
	return u.String()
}
