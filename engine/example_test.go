package engine_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gannet-ws/gannet/engine"
)

// echo is a handler with methods. What it does not need of Handler it leaves empty; what
// it needs beyond, like OnError, is found when the server is made.
type echo struct{}

func (echo) OnOpen(c *engine.Conn) {}

func (echo) OnMessage(c *engine.Conn, m engine.Message) {
	// m.Data is lent until return; Send copies it.
	if err := c.Send(m.Op, m.Data); err != nil {
		log.Print(err)
	}
}

func (echo) OnError(c *engine.Conn, err error) { log.Print(err) }

func (echo) OnClose(c *engine.Conn, e engine.CloseEvent) {
	fmt.Println("closed:", e.Code, e.Reason, e.WasClean)
}

func ExampleServer() {
	s, err := engine.NewServer(echo{}, engine.Options{
		Limits:  engine.Limits{MaxMessageSize: 1 << 20},
		Origins: []string{"https://*.example.com"},
	})
	if err != nil {
		log.Fatal(err) // names the option that is out of range
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		if err := s.Serve(ln); err != engine.ErrServerClosed {
			log.Print(err)
		}
	}()

	talk(ln.Addr(), "hello")

	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		log.Print(err)
	}
	// Output:
	// the client hears: hello
	// closed: 1000 bye true
}

func ExampleFuncs() {
	s, ln := serve(engine.Funcs{
		Open: func(c *engine.Conn) { _ = c.SendText("welcome") },
		Message: func(c *engine.Conn, m engine.Message) {
			_ = c.SendText(strings.ToUpper(string(m.Data)))
		},
	})
	defer s.Close()

	talk(ln, "", "hello")
	// Output:
	// the client hears: welcome
	// the client hears: HELLO
}

// A handshake that somebody else decides: a database, say. The loop serves others meanwhile.
func ExampleUpgrade_Later() {
	users := map[string]string{"secret": "Ada"}
	s, ln := serve(engine.Funcs{
		Upgrade: func(u *engine.Upgrade) {
			u.Later()
			token := u.Header("Authorization")
			go func() {
				name, ok := users[strings.TrimPrefix(token, "Bearer ")] // where it might take a while
				if !ok {
					_ = u.Refuse(401, "who are you?")
					return
				}
				u.SetValue(name)
				if err := u.Accept(); err != nil {
					log.Print(err) // the peer did not wait
				}
			}()
		},
		Open: func(c *engine.Conn) { _ = c.SendText("hello " + c.Value().(string)) },
	})
	defer s.Close()

	for _, token := range []string{"secret", "guess"} {
		d := ws.Dialer{Header: ws.HandshakeHeaderString("Authorization: Bearer " + token + "\r\n")}
		c, early, _, err := d.Dial(context.Background(), "ws://"+ln.String())
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(hear(c, early))
		c.Close()
	}
	// Output:
	// hello Ada
	// unexpected HTTP response status: 401
}

// A message that is sent as it is made: each Write is a fragment.
func ExampleConn_NewWriter() {
	s, ln := serve(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) {
		w := c.NewWriter(engine.OpText)
		for i := range len(m.Data) {
			if _, err := fmt.Fprintf(w, "%c-", m.Data[i]); err != nil {
				return // the connection is closing
			}
		}
		_ = w.Close()
	}})
	defer s.Close()

	talk(ln, "fragments")
	// Output:
	// the client hears: f-r-a-g-m-e-n-t-s-
}

// One message to every connection that is in the room: it is framed once.
func ExampleServer_Broadcast() {
	s, ln := serve(engine.Funcs{
		Upgrade: func(u *engine.Upgrade) { u.SetValue(u.Target()) },
	})
	defer s.Close()

	var clients []net.Conn
	for _, room := range []string{"/red", "/blue", "/red"} {
		c, _, _, err := ws.Dial(context.Background(), "ws://"+ln.String()+room)
		if err != nil {
			log.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}

	for _, room := range []string{"/red", "/blue"} {
		p, err := engine.Prepare(engine.OpText, []byte("news for "+room))
		if err != nil {
			log.Fatal(err)
		}
		s.Broadcast(p, func(c *engine.Conn) bool { return c.Value() == room })
	}

	for _, c := range clients {
		fmt.Println(hear(c, nil))
	}
	// Output:
	// news for /red
	// news for /blue
	// news for /red
}

// Waiting for a slow peer, from a goroutine that may wait.
func ExampleConn_Drain() {
	s, ln := serve(engine.Funcs{Open: func(c *engine.Conn) {
		go func() {
			for _, part := range []string{"one", "two", "three"} {
				_ = c.SendText(part)
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				err := c.Drain(ctx)
				cancel()
				if err != nil {
					c.Terminate()
					return
				}
			}
			_ = c.Close()
		}()
	}})
	defer s.Close()

	talk(ln, "", "", "")
	// Output:
	// the client hears: one
	// the client hears: two
	// the client hears: three
}

// serve is ExampleServer's beginning.
func serve(h engine.Handler) (*engine.Server, net.Addr) {
	s, err := engine.NewServer(h, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go s.Serve(ln)
	return s, ln.Addr()
}

// talk is a client: it says each text, unless that is empty, and waits for a message.
func talk(addr net.Addr, texts ...string) {
	c, early, _, err := ws.Dial(context.Background(), "ws://"+addr.String()+"/room")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	for _, text := range texts {
		if text != "" {
			if err := wsutil.WriteClientText(c, []byte(text)); err != nil {
				log.Fatal(err)
			}
		}
		fmt.Println("the client hears:", hear(c, early))
	}
	_ = wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(1000, "bye"))
	_, _ = io.Copy(io.Discard, c)
}

// hear reads one text, out of what was read together with the response if there is such.
func hear(c net.Conn, early *bufio.Reader) string {
	var from io.Reader = c
	if early != nil {
		from = early
	}
	b, err := wsutil.ReadServerText(struct {
		io.Reader
		io.Writer
	}{from, c})
	if err != nil {
		log.Fatal(err)
	}
	return string(b)
}
