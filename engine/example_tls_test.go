package engine_test

import (
	"crypto/tls"
	"log"
	"net"
	"net/http"

	"github.com/gannet-ws/gannet/engine"
)

// A server that ends TLS itself. Pages may come by the same port: Options.Fallback.
func ExampleServer_ListenAndServeTLS() {
	certificate, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	s, err := engine.NewServer(echo{}, engine.Options{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}},
		Fallback:  http.FileServer(http.Dir("public")),
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(s.ListenAndServeTLS("tcp", ":443"))
}

// A net/http server that ends TLS, with WebSockets on one of its paths: their connections move to the loops. Where http.Server.ServeTLS was
// called before, Serve is called with a WrapListener.
func ExampleWrapListener() {
	certificate, err := tls.LoadX509KeyPair("cert.pem", "key.pem")
	if err != nil {
		log.Fatal(err)
	}
	s, err := engine.NewServer(echo{}, engine.Options{})
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("/chat", s)
	ln, err := net.Listen("tcp", ":443")
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"h2", "http/1.1"}}
	log.Fatal(new(http.Server).Serve(engine.WrapListener(ln, config)))
}

// A server whose certificate, and whose clients' authorities, may be replaced while it runs.
func ExampleWatchCertificate() {
	certificate, err := engine.WatchCertificate("/etc/chat/fullchain.pem", "/etc/chat/privkey.pem", nil)
	if err != nil {
		log.Fatal(err)
	}
	config := &tls.Config{GetCertificate: certificate.GetCertificate}
	clients, err := engine.WatchClientCAs("/etc/chat/clients.pem", nil)
	if err != nil {
		log.Fatal(err)
	}
	clients.Require(config) // who shows no certificate of theirs is refused
	s, err := engine.NewServer(echo{}, engine.Options{TLSConfig: config})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(s.ListenAndServeTLS("tcp", ":443"))
}
