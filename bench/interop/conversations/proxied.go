package main

import (
	"errors"
	"strings"

	"github.com/gannet-ws/gannet/engine"
)

var proxied = []conversation{
	{"a proxy without its server", proxies, withoutServer},
	{"a proxy that removes Upgrade", proxies, withoutUpgrade},
	{"a proxy that ends what is idle", proxies, idle},
}

// withoutServer: under /dead/ the proxy has nobody to ask.
func withoutServer(t *talk) {
	h := t.refused("/dead/echo", engine.DialOptions{})
	t.want(h.Status == 502 || h.Status == 503, "a proxy without its server: %+v", h)
	t.want(strings.Contains(string(h.Body), "<h1>"), "the proxy's page: %q", h.Body)
	t.tell("no server behind it: %v", h)
}

// withoutUpgrade: under /plain/ the proxy passes requests on as if they were for pages.
func withoutUpgrade(t *talk) {
	h := t.refused("/plain/echo", engine.DialOptions{})
	t.want(h.Status >= 400 || h.Reason == "no-upgrade", "a proxy that removes Upgrade: %+v", h)
	t.tell("Upgrade removed: %v", h)
}

// idle: under /idle/ the proxy ends a connection on which nothing was said for a second.
func idle(t *talk) {
	c := t.open("/idle/echo", engine.DialOptions{})
	t.echoed(c, 0, engine.OpText, []byte("one word"))
	e := t.ended("open message error close")
	t.want(e.Code == 1006 && !e.WasClean && errors.Is(e.Err, engine.ErrAbnormal), "closed with %+v by a proxy's time-out", e)
	t.tell("idle: %v", e.Err)
}
