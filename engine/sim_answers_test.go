package engine

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/engine/internal/sim"
)

// A simulated client's peer: what it asks for, and what a server says to that, written anew and without package handshake.

// simAsk is what a simulated connection asks for.
type simAsk struct {
	DialOptions
	url, target, host string // host is for the Host field
	offer             string // of extensions
}

// randomAsk is what a connection to this host asks for.
func randomAsk(r *rand.Rand, host string, id int, offer string) simAsk {
	a := simAsk{url: fmt.Sprintf("ws://%s/%d", host, id), target: fmt.Sprintf("/%d", id), host: host, offer: offer}
	a.Protocols = [][]string{nil, nil, {"chat"}, {"a", "b", "c"}}[r.IntN(4)]
	if r.IntN(4) == 0 {
		a.Origin = "https://origin.test"
	}
	if r.IntN(4) == 0 {
		a.host, a.Host = "other.test:81", "other.test:81"
	}
	if r.IntN(4) == 0 {
		a.Header = map[string][]string{"X-B": {"2", "3"}, "X-A": {strings.Repeat("1", r.IntN(2000))}}
	}
	return a
}

// request is what the engine has to send with this key, to the byte.
func (a *simAsk) request(key string) string {
	b := "GET " + a.target + " HTTP/1.1\r\nHost: " + a.host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if a.Origin != "" {
		b += "Origin: " + a.Origin + "\r\n"
	}
	if len(a.Protocols) > 0 {
		b += "Sec-WebSocket-Protocol: " + strings.Join(a.Protocols, ", ") + "\r\n"
	}
	if a.offer != "" {
		b += "Sec-WebSocket-Extensions: " + a.offer + "\r\n"
	}
	for _, name := range []string{"X-A", "X-B"} {
		for _, value := range a.Header[name] {
			b += name + ": " + value + "\r\n"
		}
	}
	return b + "\r\n"
}

// check returns the key of a request, or what is wrong with it.
func (a *simAsk) check(request string) (key string, wrong error) {
	_, rest, _ := strings.Cut(request, "Sec-WebSocket-Key: ")
	key, _, _ = strings.Cut(rest, "\r\n")
	if nonce, err := base64.StdEncoding.DecodeString(key); err != nil || len(nonce) != 16 {
		return key, fmt.Errorf("the key %q", key)
	}
	if want := a.request(key); request != want {
		return key, fmt.Errorf("the request %q, not %q", request, want)
	}
	return key, nil
}

// simAcceptKey is RFC 6455 4.2.2, 5.4.
func simAcceptKey(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// simAnswer is a server's answer.
type simAnswer struct {
	status, upgrade, connection, accept, protocol, extensions string // "": no such field
	more                                                      string // further lines
}

// rightAnswer opens the connection: with the first, or some, of the sub-protocols, and permessage-deflate or not.
func rightAnswer(r *rand.Rand, a *simAsk, key string) simAnswer {
	k := simAnswer{status: "101 Switching Protocols", upgrade: "websocket", connection: "Upgrade", accept: simAcceptKey(key)}
	if len(a.Protocols) > 0 {
		k.protocol = a.Protocols[r.IntN(len(a.Protocols))]
	}
	if a.offer != "" && r.IntN(5) != 0 {
		k.extensions = randomAgreement(r, a.offer)
	}
	if r.IntN(4) == 0 {
		k.upgrade, k.connection, k.more = "WebSocket", "keep-alive, upgrade", "Server: sim\r\n"
	}
	return k
}

func (k *simAnswer) String() string {
	b := "HTTP/1.1 " + k.status + "\r\n"
	for _, f := range [...]struct{ name, value string }{
		{"Upgrade", k.upgrade}, {"Connection", k.connection}, {"Sec-WebSocket-Accept", k.accept},
		{"Sec-WebSocket-Protocol", k.protocol}, {"Sec-WebSocket-Extensions", k.extensions},
	} {
		if f.value != "" {
			b += f.name + ": " + f.value + "\r\n"
		}
	}
	return b + k.more + "\r\n"
}

// randomAgreement is what a server may say to one of the offers (RFC 7692 7.1).
func randomAgreement(r *rand.Rand, offers string) string {
	all := strings.Split(offers, ", ")
	offer := all[r.IntN(len(all))]
	b := "permessage-deflate"
	add := func(some bool, format string, args ...any) {
		if some {
			b += "; " + fmt.Sprintf(format, args...)
		}
	}
	rarely := func() bool { return r.IntN(5) == 0 }
	add(strings.Contains(offer, "server_no_context_takeover") || rarely(), "server_no_context_takeover")
	add(strings.Contains(offer, "client_no_context_takeover") || rarely(), "client_no_context_takeover")
	server, asked := offeredBits(offer, "server")
	add(asked || rarely(), "server_max_window_bits=%d", 8+r.IntN(server-7))
	client, _ := offeredBits(offer, "client")
	add(r.IntN(3) == 0, "client_max_window_bits=%d", 8+r.IntN(client-7))
	return b
}

func offeredBits(offer, end string) (bits int, asked bool) {
	_, value, asked := strings.Cut(offer, end+"_max_window_bits=")
	if value, _, _ = strings.Cut(value, ";"); !asked {
		return 15, false
	}
	bits, _ = strconv.Atoi(value)
	return bits, true
}

// answerFault is a server's mistake, or its refusal, and the reason that a HandshakeError has for it.
type answerFault struct {
	reason string
	make   func(k *simAnswer)
	when   func(a *simAsk) bool // nil: always
}

func offersProtocols(a *simAsk) bool  { return len(a.Protocols) > 0 }
func offersNoProtocol(a *simAsk) bool { return len(a.Protocols) == 0 }

// answerFaults are what RFC 6455 4.1 and the WebSocket Standard fail a connection for.
var answerFaults = []answerFault{
	{"status", func(k *simAnswer) { k.status, k.more = "200 OK", "Content-Length: 0\r\n" }, nil},
	{"status", func(k *simAnswer) { k.status, k.more = "302 Found", "Location: /\r\nContent-Length: 3\r\n\r\nfar" }, nil},
	{"status", func(k *simAnswer) { k.status, k.more = "503 No", "Retry-After: 1\r\nContent-Length: 0\r\n" }, nil},
	{"no-upgrade", func(k *simAnswer) { k.upgrade = "" }, nil},
	{"no-upgrade", func(k *simAnswer) { k.upgrade = "websocket, h2c" }, nil},
	{"no-upgrade", func(k *simAnswer) { k.more = "Upgrade: websocket\r\n" }, nil},
	{"no-connection-upgrade", func(k *simAnswer) { k.connection = "" }, nil},
	{"no-connection-upgrade", func(k *simAnswer) { k.connection = "keep-alive, upgraded" }, nil},
	{"no-accept", func(k *simAnswer) { k.accept = "" }, nil},
	{"wrong-accept", func(k *simAnswer) { k.accept = simAcceptKey("dGhlIHNhbXBsZSBub25jZQ==") }, nil},
	{"wrong-accept", func(k *simAnswer) { k.accept = strings.ToUpper(k.accept) + "a" }, nil},
	{"repeated-accept", func(k *simAnswer) { k.more = "Sec-WebSocket-Accept: " + k.accept + "\r\n" }, nil},
	{"no-protocol", func(k *simAnswer) { k.protocol = "" }, offersProtocols},
	{"wrong-protocol", func(k *simAnswer) { k.protocol = strings.ToUpper(k.protocol) }, offersProtocols},
	{"wrong-protocol", func(k *simAnswer) { k.protocol = "none" }, offersProtocols},
	{"repeated-protocol", func(k *simAnswer) { k.more = "Sec-WebSocket-Protocol: " + k.protocol + "\r\n" }, offersProtocols},
	{"repeated-protocol", func(k *simAnswer) { k.protocol += ", " + k.protocol }, offersProtocols},
	{"protocol-unasked", func(k *simAnswer) { k.protocol = "chat" }, offersNoProtocol},
	{"extension", func(k *simAnswer) { k.extensions = "x-unasked" }, nil},
	{"extension", func(k *simAnswer) { k.extensions = "permessage-deflate; x=1" }, nil},
	{"extension", func(k *simAnswer) { k.extensions = "permessage-deflate, permessage-deflate" }, nil},
	{"extension", func(k *simAnswer) { k.extensions = "permessage-deflate" }, func(a *simAsk) bool { return a.offer == "" }},
	{"http-1.0", func(k *simAnswer) { k.status = "\x00" + k.status }, nil}, // see wrongAnswer
	{"not-http", func(k *simAnswer) { k.status = "\x01" + k.status }, nil},
	{"bad-status-line", func(k *simAnswer) { k.status = "1o1 Switching" }, nil},
	{"bare-lf", func(k *simAnswer) { k.more = "A: b\n" }, nil},
	{"bad-field-name", func(k *simAnswer) { k.more = "A(b): c\r\n" }, nil},
	{"bad-field-value", func(k *simAnswer) { k.more = "A: \x00\r\n" }, nil},
	{"space-before-colon", func(k *simAnswer) { k.more = "A : c\r\n" }, nil},
	{"folded-field", func(k *simAnswer) { k.more = "A: b\r\n c\r\n" }, nil},
	{"too-many-fields", func(k *simAnswer) { k.more = strings.Repeat("A: b\r\n", 200) }, nil},
	{"head-too-long", func(k *simAnswer) { k.more = "A: " + strings.Repeat("b", 20<<10) + "\r\n" }, nil},
}

// wrongAnswer is one of answerFaults.
func wrongAnswer(r *rand.Rand, a *simAsk, key string) (answer, reason string) {
	f := answerFaults[r.IntN(len(answerFaults))]
	for f.when != nil && !f.when(a) {
		f = answerFaults[r.IntN(len(answerFaults))]
	}
	return f.answer(r, a, key), f.reason
}

func (f *answerFault) answer(r *rand.Rand, a *simAsk, key string) string {
	k := rightAnswer(r, a, key)
	f.make(&k)
	text := k.String()
	text = strings.Replace(text, "HTTP/1.1 \x00", "HTTP/1.0 ", 1)
	return strings.Replace(text, "HTTP/1.1 \x01", "SSH-2.0-", 1)
}

// newSimServer is a peer that plays the server of a connection which the engine begins.
func newSimServer(r *rand.Rand, end *sim.Peer, id int, ask *simAsk) *simPeer {
	p := newSimPeer(r, end, id)
	p.pend, p.eager, p.ask, p.scanner.client = nil, false, ask, true
	return p
}

// answers is what a server does when it has the request.
func (p *simPeer) answers(request string) {
	key, wrong := p.ask.check(request)
	if wrong != nil {
		return // the ledger has found out as well
	}
	switch r := p.rng.IntN(20); {
	case r < 15 || p.kind:
		k := rightAnswer(p.rng, p.ask, key)
		text := k.String()
		p.pend = append(p.pend, text...)
		p.open, p.protocol = true, k.protocol
		if p.agreed = parseSimAgreement(text, "client", "server"); p.agreed != nil {
			p.deflater = newSimDeflater(p.rng, p.agreed)
		}
		if p.onAnswer != nil {
			p.onAnswer()
		}
	case r < 18:
		var text string
		text, p.fault = wrongAnswer(p.rng, p.ask, key)
		p.pend = append(p.pend, text...)
		p.over, p.polite = true, false
	case r == 18: // it says nothing
		p.over, p.polite, p.fault = true, false, "timeout"
	default: // it breaks off in the middle
		k := rightAnswer(p.rng, p.ask, key)
		text := k.String()
		p.pend = append(p.pend, text[:p.rng.IntN(len(text))]...)
		p.over, p.polite, p.fault, p.breaksOff = true, false, "connection-lost", true
	}
}
