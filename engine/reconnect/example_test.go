package reconnect_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/engine/reconnect"
)

// serve is a server of the examples: its Handler may close a connection, and refuse may refuse one.
func serve(h engine.Funcs, refuse func(r *http.Request) int) (url string, stop func()) {
	server, err := engine.NewServer(h, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := refuse(r); status != 0 {
			w.WriteHeader(status)
			return
		}
		server.ServeHTTP(w, r)
	}))
	return "ws" + strings.TrimPrefix(web.URL, "http"), func() {
		_ = server.Close()
		web.Close()
	}
}

// A server drops its client, which comes back and subscribes again.
func ExampleStart() {
	dropped := false
	url, stop := serve(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		fmt.Printf("server: %s\n", m.Data)
		if !dropped {
			dropped = true
			_ = c.CloseWith(engine.StatusGoingAway, "")
			return
		}
		_ = c.SendText("a price")
	}}, func(*http.Request) int { return 0 })
	defer stop()

	client, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	over := make(chan error)
	_, err = reconnect.Start(context.Background(), client, url, reconnect.Funcs{
		Open: func(_ *reconnect.Conn, now *engine.Conn, times int) {
			_ = now.SendText(fmt.Sprint("subscribe, time ", times)) // comes before all that is sent elsewhere
		},
		Message: func(c *reconnect.Conn, m engine.Message) {
			fmt.Printf("client: %s\n", m.Data)
			_ = c.Close()
		},
		Lost: func(_ *reconnect.Conn, l reconnect.Loss) {
			fmt.Println("client: closed with", l.Event.Code, "attempt", l.Attempt, "within 100 ms:", l.Delay <= 100*time.Millisecond)
		},
		Close: func(_ *reconnect.Conn, _ reconnect.Loss, why error) { over <- why },
	}, reconnect.Options{FirstDelay: 100 * time.Millisecond})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("over:", <-over)
	// Output:
	// server: subscribe, time 1
	// client: closed with 1001 attempt 2 within 100 ms: true
	// server: subscribe, time 2
	// client: a price
	// over: <nil>
}

// Each attempt brings a fresh token, and an old one is no reason to stop.
func ExampleOptions() {
	url, stop := serve(engine.Funcs{}, func(r *http.Request) int {
		if r.Header.Get("Authorization") != "Bearer 2" {
			return http.StatusUnauthorized
		}
		return 0
	})
	defer stop()

	client, err := engine.NewClient(engine.Funcs{}, engine.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	over := make(chan error)
	_, err = reconnect.Start(context.Background(), client, url, reconnect.Funcs{
		Open: func(c *reconnect.Conn, _ *engine.Conn, _ int) {
			fmt.Println("open")
			_ = c.Close()
		},
		Lost: func(_ *reconnect.Conn, l reconnect.Loss) {
			if refused, ok := errors.AsType[*engine.HandshakeError](l.Event.Err); ok {
				fmt.Println("refused with", refused.Status)
			}
		},
		Close: func(_ *reconnect.Conn, _ reconnect.Loss, why error) { over <- why },
	}, reconnect.Options{
		FirstDelay: 10 * time.Millisecond,
		Prepare: func(_ context.Context, a *reconnect.Attempt) error {
			a.Dial.Header.Set("Authorization", fmt.Sprint("Bearer ", a.Number)) // from whoever gives tokens
			return nil
		},
		Again: func(e engine.CloseEvent) bool {
			refused, ok := errors.AsType[*engine.HandshakeError](e.Err)
			return reconnect.Again(e) || ok && refused.Status == http.StatusUnauthorized
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("over:", <-over)
	// Output:
	// refused with 401
	// open
	// over: <nil>
}
