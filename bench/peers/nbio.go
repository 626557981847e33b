package main

import (
	"log"
	"math"
	"net"
	"net/http"

	"github.com/lesismal/llib/std/crypto/tls"
	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// nbioBlocking is how many connections nbio reads by a goroutine each, which its README calls faster for a low number of
// them; the others are read by its pollers. 1,000 leaves those of the idle cells above the first count to the pollers.
const nbioBlocking = 1000

// serveNbio sets nbio up as its README advises:
//   - IOModMixed, "better than std when there are not too many connections" and sparing when there are.
//   - ReleaseWebsocketPayload: payloads come from a pool and go back to it after each callback.
//   - BlockingModAsyncWrite off: an echo is written where it is made. On, each passes to another goroutine.
//   - One frame a message, whatever its length: the default cuts what is sent into frames of 32 KiB.
//   - Pollers and the pool of goroutines for callbacks are as many as it chooses.
//   - A broadcast is a WriteMessage to each: it has no way to frame once.
//   - An empty message is lost: its parser calls nobody for one. No cell sends any.
//   - TLS is its own copy of crypto/tls, which can wait for the rest of a record without a goroutine.
func serveNbio(s settings, addr string, up func(net.Addr)) error {
	if err := s.plain("nbio"); err != nil {
		return err
	}
	logging.SetLevel(logging.LevelNone)
	config := nbhttp.Config{
		Network:                      "tcp",
		IOMod:                        nbhttp.IOModMixed,
		MaxBlockingOnline:            nbioBlocking,
		MaxLoad:                      math.MaxInt32,
		MaxWebsocketFramePayloadSize: math.MaxInt32,
		ReleaseWebsocketPayload:      true,
		Handler:                      nbioHandler(s.mode),
		Listen: func(network, addr string) (net.Listener, error) {
			listener, err := net.Listen(network, addr)
			if err == nil {
				up(listener.Addr())
			}
			return listener, err
		},
	}
	if s.cert == "" {
		config.Addrs = []string{addr}
	} else {
		certificate, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return err
		}
		config.AddrsTLS, config.TLSConfig = []string{addr}, &tls.Config{Certificates: []tls.Certificate{certificate}}
	}
	engine := nbhttp.NewEngine(config)
	if err := engine.Start(); err != nil {
		return err
	}
	select {}
}

func nbioHandler(m mode) http.Handler {
	send := func(c *websocket.Conn, opcode byte, p []byte) {
		if c.WriteMessage(websocket.MessageType(opcode), p) != nil {
			_ = c.Close()
		}
	}
	in := newRoom(m, sender[*websocket.Conn]{send: send, prepare: func(opcode byte, p []byte) func(*websocket.Conn) {
		return func(c *websocket.Conn) { send(c, opcode, p) }
	}})
	upgrader := websocket.NewUpgrader()
	upgrader.BlockingModAsyncWrite = false
	upgrader.KeepaliveTime = 0
	upgrader.MessageLengthLimit = math.MaxInt32
	upgrader.CheckOrigin = func(*http.Request) bool { return true }
	upgrader.OnOpen(in.enter)
	upgrader.OnClose(func(c *websocket.Conn, _ error) { in.leave(c) })
	upgrader.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, p []byte) { in.message(c, byte(kind), p) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := upgrader.Upgrade(w, r, nil); err != nil {
			log.Print(err)
		}
	})
}
