// Command conversations holds a list of conversations with a WebSocket server that nobody here wrote, through our client, and says
// which of them went as they should. What the server has to do for it is in ../README.md, "What a server does".
//
//	conversations -url ws://127.0.0.1:9001 -server ws -mode on
package main

import (
	"crypto/x509"
	"flag"
	"fmt"
	"log"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	var to target
	flag.StringVar(&to.url, "url", "ws://127.0.0.1:9001", "the server's URL, without a path")
	flag.StringVar(&to.server, "server", "", "whose server it is, as negotiated.txt calls it")
	flag.StringVar(&to.mode, "mode", "off", "its compression: off, on, alone or small")
	flag.StringVar(&to.via, "via", "", "the proxy in between: nginx or haproxy")
	lacks := flag.String("lacks", "", "conversations that the server has no means for, by name, with commas")
	authority := flag.String("ca", "", "a PEM file: who may sign the server's certificate; default: the system's authorities")
	only := flag.String("run", "", "hold the conversations that match this regular expression only")
	flag.Parse()
	if *authority != "" {
		pem, err := os.ReadFile(*authority)
		if err != nil {
			log.Fatal("conversations: ", err)
		}
		to.roots = x509.NewCertPool()
		if !to.roots.AppendCertsFromPEM(pem) {
			log.Fatal("conversations: there is no certificate in ", *authority)
		}
	}
	if *lacks != "" {
		to.lacks = strings.Split(*lacks, ",")
	}
	for _, name := range to.lacks {
		if !slices.ContainsFunc(conversations, func(k conversation) bool { return k.name == name }) {
			log.Fatalf("conversations: -lacks: there is none of the name %q", name)
		}
	}
	if !to.holdAll(regexp.MustCompile(*only)) {
		os.Exit(1)
	}
}

// target is a server to talk to.
type target struct {
	url, server, mode, via string
	lacks                  []string
	roots                  *x509.CertPool
}

// conversation is one that is held with each server.
type conversation struct {
	name  string
	about about
	hold  func(*talk)
}

// about says when a conversation is worth holding.
type about int

const (
	anything    about = iota // with every server, once with compression and once without
	compression              // with whatever is offered
	proxies                  // through a proxy
	secrecy                  // over TLS
)

var conversations = slices.Concat(openings, echoes, closings, compressions, proxied, secured)

// holdAll holds every conversation that there is occasion for. It reports whether all of them went well.
func (to *target) holdAll(only *regexp.Regexp) bool {
	began := time.Now()
	passed, failed := 0, 0
	for _, o := range offers {
		for _, k := range conversations {
			if !to.occasion(k, o) || !only.MatchString(k.name) {
				continue
			}
			if fault := to.hold(k, o); fault != "" {
				failed++
				fmt.Printf("FAIL %s, %s offered: %s\n", k.name, o.name, fault)
			} else {
				passed++
			}
		}
	}
	fmt.Printf("conversations: %d passed, %d failed, %.1f s\n", passed, failed, time.Since(began).Seconds())
	return failed == 0 && passed > 0
}

// occasion tells whether a conversation is held with this server, after this offer.
func (to *target) occasion(k conversation, o offer) bool {
	if slices.Contains(to.lacks, k.name) {
		return false
	}
	switch k.about {
	case compression:
		return o.policy != nil
	case proxies:
		return to.via != "" && o.name == "shared"
	case secrecy:
		return to.roots != nil && o.name == "shared"
	}
	return o.name == "shared" || o.name == "none"
}

// holdWithin is how long a conversation may take on a busy machine. Nothing is lost by waiting longer: only a fault waits so long.
const holdWithin = 3 * time.Minute

// hold holds a conversation, in a goroutine that a fault ends, and says what went wrong.
func (to *target) hold(k conversation, o offer) (fault string) {
	t := &talk{to: to, offer: o, conversation: k.name}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer t.end()
		k.hold(t)
	}()
	select {
	case <-done:
		return t.fault
	case <-time.After(holdWithin):
		stacks := make([]byte, 64<<10)
		return fmt.Sprintf("not over after %v\n%s", holdWithin, stacks[:runtime.Stack(stacks, true)])
	}
}
