// Command behind is a server that a proxy stands in front of, for the tests with foreign proxies: it echoes, and answers "who" with the address
// and the URL of its client, as the proxy has told it of them.
package main

import (
	"crypto/tls"
	"flag"
	"fmt"
	"log"

	"github.com/gannet-ws/gannet/engine"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "where to listen")
	proxied := flag.Bool("proxy-protocol", false, "the proxy sends a PROXY header; else X-Forwarded-For and X-Forwarded-Proto")
	cert := flag.String("cert", "", "PEM file of the certificate; none: without TLS")
	key := flag.String("key", "", "PEM file of its key")
	flag.Parse()
	o := engine.Options{ProxyProtocol: *proxied, CheckOrigin: func(*engine.Upgrade) bool { return true }}
	if !*proxied {
		o.TrustedProxies = []string{"127.0.0.1"}
	}
	if *cert != "" {
		k, err := engine.WatchCertificate(*cert, *key, nil)
		if err != nil {
			log.Fatal(err)
		}
		o.TLSConfig = &tls.Config{GetCertificate: k.GetCertificate}
	}
	s, err := engine.NewServer(engine.Funcs{Message: answer}, o)
	if err != nil {
		log.Fatal(err)
	}
	if o.TLSConfig != nil {
		log.Fatal(s.ListenAndServeTLS("tcp", *addr))
	}
	log.Fatal(s.ListenAndServe("tcp", *addr))
}

func answer(c *engine.Conn, m engine.Message) {
	if string(m.Data) == "who" {
		_ = c.SendText(fmt.Sprintf("%v %s", c.RemoteAddr(), c.URL()))
		return
	}
	_ = c.Send(m.Op, m.Data)
}
