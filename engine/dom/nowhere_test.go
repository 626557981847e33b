package dom

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

var errNowhere = errors.New("nowhere")

// noNames is a resolver that knows nobody.
type noNames struct{}

func (noNames) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, errNowhere
}

// lonely is a client that reaches nobody.
func lonely(t testing.TB) *engine.Client {
	t.Helper()
	c, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{Loops: 1, Logger: quiet, DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, errNowhere
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// nameless is a client that finds no name's address.
func nameless(t testing.TB) *engine.Client {
	t.Helper()
	c, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{Loops: 1, Logger: quiet, Resolver: noNames{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// dialTells is a DialContext that reaches nobody, and tells that it was called.
func dialTells(tried *bool) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		*tried = true
		return nil, errNowhere
	}
}
