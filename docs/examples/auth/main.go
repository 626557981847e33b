// Command auth asks a slow service who a client is before it may connect, and then echoes what it says. A client proves itself
// by the header "Authorization: Bearer secret", or by the cookie token=secret.
package main

import (
	"context"
	"errors"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// accounts stands for a database: it takes a while.
type accounts map[string]string

var errUnknown = errors.New("no such token")

func (a accounts) userOf(token string) (string, error) {
	time.Sleep(50 * time.Millisecond)
	if name, ok := a[token]; ok {
		return name, nil
	}
	return "", errUnknown
}

type service struct{ accounts accounts }

// OnUpgrade runs on a loop, which serves others: it must not wait. Later puts the decision off.
func (s *service) OnUpgrade(u *engine.Upgrade) {
	u.Later()
	go s.decide(u)
}

func (s *service) decide(u *engine.Upgrade) {
	token := strings.TrimPrefix(u.Header("Authorization"), "Bearer ")
	if c, err := u.Cookie("token"); err == nil { // browsers can not set a header of a WebSocket's request
		token = c.Value
	}
	name, err := s.accounts.userOf(token)
	if err != nil {
		_ = u.AddHeader("WWW-Authenticate", "Bearer")
		_ = u.Refuse(http.StatusUnauthorized, "who are you?\n")
		return
	}
	u.SetValue(name)
	if err := u.Accept(); err != nil {
		log.Println(name, "did not wait:", err)
	}
}

func (s *service) OnOpen(c *engine.Conn) { log.Println(c.Value(), "is here") }

func (s *service) OnMessage(c *engine.Conn, m engine.Message) {
	if err := c.Send(m.Op, m.Data); err != nil { // it copies m.Data, which is lent until return
		log.Println(c.Value(), err)
	}
}

func (s *service) OnClose(c *engine.Conn, e engine.CloseEvent) {
	log.Println(c.Value(), "left:", e.Code, e.Reason, e.Err)
}

func main() {
	server, err := engine.NewServer(&service{accounts{"secret": "Ada"}}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	go func() {
		if err := server.ListenAndServe("tcp", ":8080"); err != engine.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	stop() // a second signal ends the program at once
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		log.Fatal("shutdown: ", err)
	}
}
