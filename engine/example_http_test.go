package engine_test

import (
	"context"
	"net/http"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// What is written for net/http decides about a handshake: here whoever lacks the token is told how to get one.
func ExampleUpgrade_Request() {
	authorised := func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer secret" }
	_ = engine.Funcs{Upgrade: func(u *engine.Upgrade) {
		if authorised(u.Request()) {
			return
		}
		_ = u.AddHeader("WWW-Authenticate", `Bearer realm="chat"`)
		_ = u.AddHeader("Content-Type", "application/json")
		_ = u.Refuse(http.StatusUnauthorized, `{"error":"token missing"}`)
	}}
}

// A slow question is asked elsewhere, and given up when the client goes.
func ExampleUpgrade_Context() {
	ask := func(ctx context.Context, token string) error { return ctx.Err() }
	_ = engine.Funcs{Upgrade: func(u *engine.Upgrade) {
		u.Later()
		go func() {
			if ask(u.Context(), u.Header("Authorization")) != nil {
				_ = u.Refuse(http.StatusForbidden, "not you")
				return
			}
			_ = u.Accept()
		}()
	}}
}

// What is done on a connection's behalf ends with it.
func ExampleConn_Context() {
	_ = engine.Funcs{Open: func(c *engine.Conn) {
		go func() {
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for {
				select {
				case now := <-tick.C:
					_ = c.SendText(now.Format(time.TimeOnly))
				case <-c.Context().Done():
					return
				}
			}
		}()
	}}
}
