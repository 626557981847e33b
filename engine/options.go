package engine

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// MaxMessage is the ceiling of a message's size each way: 2147483647 bytes (2 GiB - 1).
const MaxMessage = 1<<31 - 1

// Overflow says what happens to a message that would pass MaxBufferedAmount.
type Overflow uint8

const (
	// CloseSlow closes the connection (1013): the peer does not read what it asked for.
	CloseSlow Overflow = iota + 1
	// DropMessage drops this message: Send answers ErrBufferFull.
	DropMessage
)

// Limits protect an engine from one connection. Zero means the default; they may be
// changed for one connection with Upgrade.SetLimits or Conn.SetLimits, where zero means: as it is.
// For durations a negative value means: off; the longest is 200 days. Values that cannot work together are an error.
type Limits struct {
	// MaxMessageSize is the longest message accepted, in bytes, after inflation.
	// Default and ceiling: MaxMessage. A frame header that would pass it is answered
	// with 1009 before anything is allocated; so is that of a compressed frame of more than
	// 2147483647 bytes, or with which its message would take more than 16 times MaxMessageSize,
	// and 1 KiB, on the wire. Lower it to what your messages need:
	// it bounds what one connection may make you hold.
	MaxMessageSize int64
	// MaxFragments is the most frames one message may have. Default 1,048,576; over it: 1008.
	// It stops floods of empty fragments, which MaxMessageSize does not count.
	MaxFragments int
	// MaxControlRate is the most pings, pongs and their like accepted per second. Default 10,000; over it: 1008. They are
	// counted as they arrive, so leave room for what a network that fails for a while delivers at once.
	MaxControlRate int

	// HighWater is how many bytes may be queued for the peer before OnHighWater is called. Above it a server stops reading
	// from that peer until it has read its answers; a client reads on, for its server may do the same. The part of a long message that is not compressed yet counts at
	// its uncompressed size as soon as another message waits behind it.
	// Default 1 MiB, or MaxBufferedAmount / 2 if that is less. It must be below MaxBufferedAmount: at it
	// reading would never pause, and who asks for much would be closed instead.
	HighWater int64
	// LowWater is where OnDrain is called and reading goes on. Default HighWater / 4, at most HighWater.
	LowWater int64
	// MaxBufferedAmount is the most that may be queued, in bytes. A message whose first bytes have left is queued in part, and
	// counts whole in BufferedAmount. Default 64 MiB, or 2 * HighWater
	// where HighWater was set to as much; -1: no limit. A message into an empty queue always passes.
	MaxBufferedAmount int64
	// Overflow is what happens past MaxBufferedAmount (never, without one). Default CloseSlow.
	Overflow Overflow

	// IdleTimeout closes (1001) a connection from which nothing was received for so long, pongs included. It stands while the
	// peer still takes what was sent to it, and while it is not read. Default 2 min.
	IdleTimeout time.Duration
	// PingInterval pings a peer from which nothing was received for so long. Default 50 s, or IdleTimeout / 2 if
	// that is less. It must be below IdleTimeout: a live peer that has nothing to say answers pings, and is not idle.
	PingInterval time.Duration
	// PongTimeout ends a connection (1006) whose ping was not answered, by anything, for so long. It begins when the ping has
	// left and the peer has taken what was sent before. Default 30 s.
	// IdleTimeout may end it earlier: a peer has the difference of IdleTimeout and PingInterval to answer in.
	// Without PingInterval it has no effect.
	PongTimeout time.Duration
	// CloseTimeout ends a closing handshake (1006) whose Close frame the peer has taken, and not answered, for so long. While the
	// peer takes what was sent before, or sends the message that it is in, it has not started: WriteStallTimeout
	// and Options.MaxClosing bound that. A peer that takes nothing at all has CloseTimeout too (but 2 s at least). Default 10 s; above 0.
	CloseTimeout time.Duration
	// WriteStallTimeout ends a connection (1013) whose peer took less than 4 KiB, or all there was, of what was sent to
	// it for so long. Taken is what the peer's machine has acknowledged, or where nobody knows that, what
	// has left for the network. Default 30 s.
	WriteStallTimeout time.Duration
	// MaxLifetime closes (1001) a connection that was open for so long. Default off.
	MaxLifetime time.Duration
}

// Options configure an engine. The zero value is a safe server.
type Options struct {
	// Loops is the number of event loops, at most 1024; connections over TLS have as many of their own. Default: GOMAXPROCS. A loop that waits in the
	// kernel keeps its P, so a GOMAXPROCS above Loops spares the scheduler's monitor work.
	Loops int
	// Limits are what each connection starts with.
	Limits Limits

	// MaxConns is the most connections at a time; one more is answered 503 and closed. 0: no limit but the system's.
	MaxConns int
	// MaxConnsPerAddress is the same for one remote IP address (a /64 for IPv6). 0: no limit.
	// With ProxyProtocol and TrustedProxies it is the address that the proxy names; the proxy's own is not counted.
	MaxConnsPerAddress int
	// InboundBudget is how many bytes the engine holds of unfinished, paused and waiting
	// messages and undecided handshakes of all connections, beyond 64 KiB each; at least 1 MiB. Default: a quarter of the memory
	// of the machine or its cgroup; in a 32-bit process at most 256 MiB. Past it the connection that holds most is closed (1013).
	InboundBudget int64

	// HandshakeTimeout bounds the opening handshake, that of TLS before it and a decision by Upgrade.Later included. A request that is not whole by then is
	// answered 408, one that is not decided about 503; a connection on which nothing came is closed without an answer.
	// Default 10 s, at most 200 days; it cannot be off.
	HandshakeTimeout time.Duration
	// MaxClosing ends a closing handshake (1006) after so long, whatever the peer takes or sends meanwhile: who reads
	// 4 KiB in each WriteStallTimeout could keep it for ever. Default 5 min, or Limits.CloseTimeout if that is longer; at most
	// 200 days; it cannot be off.
	MaxClosing time.Duration
	// RepeatCloseReason answers a peer's Close with its own reason as well as its code (RFC 6455 5.5.1): the close event of a
	// browser then shows the reason that its page gave. Default: the code alone.
	RepeatCloseReason bool
	// MaxHandshakeBytes bounds a request's head, in bytes, also of one that comes by ServeHTTP. Default 16 KiB, from 512 to
	// 256 KiB; over it: 431. The other limits on a head follow it: the request line may have all of it but 8 KiB, and 8 KiB at
	// least (over it: 414), and there may be 100 header fields for each 16 KiB, and 100 at least (over it: 431).
	MaxHandshakeBytes int

	// Origins are the origins that browsers may connect from, besides the server's own: "https://example.com",
	// "https://example.com:8443", "https://example.com:*" (any port), "https://*.example.com" (its subdomains, not itself),
	// "https://*", or "*" for any, an empty one too. What no browser sends, as with a slash at its end, is an error.
	// "null" is the origin of sandboxed frames, of data: URLs and in most browsers of files, and "file://" that of files
	// in others and of some apps and devices: each admits any page that the user has on disk, and "null" any site's, too.
	// Requests without an Origin header (which are not a browser's) always pass.
	//
	// The server's own origin is found from Host, and from whether TLS ends here. Behind a proxy that ends TLS, or that
	// changes Host (nginx does, and its $host is without the port), list the origin that browsers see; or, where
	// only TLS ends there, name the proxy in TrustedProxies, and have it send X-Forwarded-Proto.
	// A refused origin (403) is logged at Warn, once a minute, with how many were.
	Origins []string
	// CheckOrigin, if set, decides instead of Origins and of the same-origin rule, neither of which is looked at.
	CheckOrigin func(u *Upgrade) bool
	// Protocols are the sub-protocols that the server speaks, in its order of preference: tokens (RFC 6455 4.1), at most
	// 64, each once. The first that the client offers is agreed on, unless Upgrade.SetProtocol chooses. An empty
	// Sec-WebSocket-Protocol offers none, and what is no token in one counts as not offered.
	Protocols []string
	// ProtocolPolicy says what happens when the client offers none of Protocols. Default ProtocolOptional: the answer names none,
	// and a browser that offered some fails the connection.
	ProtocolPolicy ProtocolPolicy
	// Fallback serves requests that do not ask for a WebSocket. nil answers 426. A handshake that has lost its Upgrade or
	// Connection header to a proxy is none of them: the answer (426) names the header.
	// A connection that it takes leaves the loops and is served by net/http; it counts
	// against MaxConns and MaxConnsPerAddress as long as net/http has it.
	Fallback http.Handler
	// TLSConfig is what ServeTLS and ListenAndServeTLS serve with; Serve and ListenAndServe do not look at it. It needs a source of
	// certificates: Certificates, GetCertificate or GetConfigForClient. It is cloned, once: session ticket keys that were set before
	// (SetSessionTicketKeys) hold, and later ones are Server.SetSessionTicketKeys's to set. Client certificates that ClientAuth asks for are
	// in Upgrade.TLS. Its functions run in goroutines of the handshakes, some at a time: one that blocks holds up other handshakes, and no loop.
	//
	// A WebSocket opens with HTTP/1.1 (RFC 6455 4.1), so NextProtos has to name "http/1.1", or is empty, which means that alone; "h2" is left out of
	// it, since nobody here speaks that. What GetConfigForClient answers is used as it is: it should name "http/1.1" alone. Renegotiation is refused.
	// A client that speaks no TLS is answered 400 in plain text.
	TLSConfig *tls.Config
	// ProxyProtocol demands a PROXY protocol header (version 1 or 2) in front of each
	// connection and takes the peer's address from it. Only behind a proxy that sends one. With ServeTLS it comes before
	// TLS, in plain text, as proxies send it (HAProxy's send-proxy and ssl).
	ProxyProtocol bool
	// TrustedProxies are the proxies in front whose word about their client is taken: addresses ("192.0.2.1"), prefixes ("10.0.0.0/8",
	// "2001:db8::/32"), and "unix" for those that come by a unix socket. Of a request that comes from one of them the peer's address
	// is what ForwardedHeader says, read from its end past addresses that are trusted as well, 32 of them at most: what a client
	// puts there itself stands before what the nearest proxy adds, and is not looked at. That address is what Conn.RemoteAddr and Upgrade.RemoteAddr answer,
	// with port 0 where the proxy does not tell it, and what MaxConnsPerAddress counts by; the proxies' own addresses are not
	// counted. Where the proxy names nobody, or what it says is no address ("unknown"), the last address that it did name stands,
	// or its own. X-Forwarded-Proto says whether Conn.URL is wss and a page of the same origin https; the host is the Host field's. List no proxy that
	// passes these fields on as clients wrote them. Default: nobody, and none of the fields is looked at. Not with
	// ProxyProtocol. A request that goes to Fallback keeps the proxy's address: one connection carries those of many.
	TrustedProxies []string
	// ForwardedHeader is the field that TrustedProxies write the client's address to: "X-Forwarded-For", the default, or
	// "Forwarded" (RFC 7239). Name the one that the nearest proxy sets: the other may be the client's own.
	ForwardedHeader string

	// Deflate is how messages are compressed (permessage-deflate, RFC 7692), where the client offers it.
	// Each of its fields says what it costs. nil: not at all. Of a message of more than 128 KiB (32, 16 and 4 at levels 7, 8
	// and 9) as much is compressed in each turn of the loop; it leaves in one frame when it is whole, in fragments if it
	// becomes longer than Deflate.FrameBytes.
	Deflate *deflate.Policy
	// Compress, if set, decides for each message of at least Deflate.MinSize bytes whether it may be compressed, from
	// its opcode and length (-1: NewWriter's, which is not known yet). It runs in whichever goroutine sends, often in
	// several at a time, and must be quick. Messages sent as they are do not count as history. NoCompress decides for
	// one message. A secret and text that an attacker chooses do not belong into one compressed message (RFC 7692 8).
	Compress func(op Opcode, size int) bool

	// Workers moves the callbacks (all but OnUpgrade) to so many goroutines, in order per connection,
	// where they may block: what is sent while one runs leaves when it returns, or a millisecond later, or with Flush.
	// 0: they run on the loops. At most 1048576. With workers each message is copied out of the loop's slab.
	Workers int
	// InboxBytes is how many bytes may wait for the workers per connection before its reading pauses, what they take in
	// memory: an empty message counts 64 bytes. Default 1 MiB. Without Workers it has no effect.
	InboxBytes int64

	// SendBuffer and ReceiveBuffer are the sizes of each connection's buffers in the kernel, in bytes (SO_SNDBUF, SO_RCVBUF),
	// from 4096 to 1 GiB. 0: the system's own, which Linux lets grow with what a connection needs (net.ipv4.tcp_wmem, tcp_rmem).
	// A size given here turns that off: it bounds what many slow peers hold of the kernel's memory, and it bounds the speed, to
	// so many bytes a round trip (64 KiB at 50 ms is 1.3 MB/s). Linux cuts the number to net.core.wmem_max and rmem_max, and
	// doubles it, to have room for its own accounts. What lies in the send buffer has left, for BufferedAmount,
	// HighWater and MaxBufferedAmount.
	//
	// A listener has them before it listens (one that Serve is given: from then on), so that a window follows that fits;
	// a connection that ServeHTTP takes over, or that is bridged, when it comes. On what is no socket they have no effect.
	SendBuffer, ReceiveBuffer int

	// Logger receives what the engine has to say. Default: slog.Default().
	Logger *slog.Logger
}

func orDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// withDefaults returns l with its zeros filled from d.
func (l Limits) withDefaults(d Limits) Limits {
	orDefault(&l.MaxMessageSize, d.MaxMessageSize)
	orDefault(&l.MaxFragments, d.MaxFragments)
	orDefault(&l.MaxControlRate, d.MaxControlRate)
	orDefault(&l.HighWater, d.HighWater)
	orDefault(&l.LowWater, d.LowWater)
	orDefault(&l.MaxBufferedAmount, d.MaxBufferedAmount)
	if l.Overflow == 0 {
		l.Overflow = d.Overflow
	}
	orDefault(&l.IdleTimeout, d.IdleTimeout)
	orDefault(&l.PingInterval, d.PingInterval)
	orDefault(&l.PongTimeout, d.PongTimeout)
	orDefault(&l.CloseTimeout, d.CloseTimeout)
	orDefault(&l.WriteStallTimeout, d.WriteStallTimeout)
	orDefault(&l.MaxLifetime, d.MaxLifetime)
	return l
}

// defaultLimits: each number with its reason stands at the field's comment.
var defaultLimits = Limits{
	MaxMessageSize:    MaxMessage,
	MaxFragments:      1 << 20,
	MaxControlRate:    10_000,
	HighWater:         1 << 20,
	LowWater:          256 << 10,
	MaxBufferedAmount: 64 << 20,
	Overflow:          CloseSlow,
	IdleTimeout:       2 * time.Minute,
	PingInterval:      50 * time.Second,
	PongTimeout:       30 * time.Second,
	CloseTimeout:      10 * time.Second,
	WriteStallTimeout: 30 * time.Second,
	MaxLifetime:       -1,
}

// maxTimeout is the longest duration that a clock may have: nobody who waits longer means it.
const maxTimeout = 200 * 24 * time.Hour

// check tells whether each field is in its range; see limits.contradiction for those that do not go together.
func (l *Limits) check() error {
	switch {
	case l.MaxMessageSize < 0 || l.MaxMessageSize > MaxMessage:
		return optionError("MaxMessageSize", l.MaxMessageSize, "1 to 2147483647 bytes")
	case l.MaxFragments < 0:
		return optionError("MaxFragments", l.MaxFragments, "at least 1")
	case l.MaxControlRate < 0:
		return optionError("MaxControlRate", l.MaxControlRate, "at least 1 a second")
	case l.HighWater < 0:
		return optionError("HighWater", l.HighWater, "at least 1 byte")
	case l.LowWater < 0:
		return optionError("LowWater", l.LowWater, "1 byte to HighWater")
	case l.MaxBufferedAmount < -1:
		return optionError("MaxBufferedAmount", l.MaxBufferedAmount, "at least 1 byte, or -1 for no limit")
	case l.Overflow > DropMessage:
		return optionError("Overflow", int(l.Overflow), "CloseSlow or DropMessage")
	}
	for name, d := range map[string]time.Duration{
		"IdleTimeout": l.IdleTimeout, "PingInterval": l.PingInterval, "PongTimeout": l.PongTimeout,
		"CloseTimeout": l.CloseTimeout, "WriteStallTimeout": l.WriteStallTimeout, "MaxLifetime": l.MaxLifetime,
	} {
		if d > maxTimeout {
			return optionError(name, d, "at most 200 days, or negative for off")
		}
	}
	if l.CloseTimeout < 0 {
		return optionError("CloseTimeout", l.CloseTimeout, "above 0: a peer that never closes would be kept for ever")
	}
	return nil
}

// config is what Options become.
type config struct {
	Options
	limits   *limits
	entrance *entrance
	dialing  *dialing // of a client
	trusted  *trusted // nil: nobody is

	deflate    *deflate.Extension // nil: Options.Deflate is
	deflateMin int                // the shortest message that is compressed
	slice      int                // how much of a long one in one turn
	collecting int                // how many a loop collects at the same time
	frame      int64              // the longest compressed frame of one; negative: each slice is a frame
}

func (o Options) config() (*config, error) {
	l, err := newLimits(o.Limits)
	if err != nil {
		return nil, err
	}
	k := &config{Options: o, limits: l}
	orDefault(&k.Loops, runtime.GOMAXPROCS(0))
	orDefault(&k.InboundBudget, min(defaultInboundBudget(), mostBudget))
	orDefault(&k.HandshakeTimeout, 10*time.Second)
	orDefault(&k.MaxClosing, max(5*time.Minute, k.limits.CloseTimeout))
	orDefault(&k.MaxHandshakeBytes, 16<<10)
	orDefault(&k.InboxBytes, 1<<20)
	if k.Logger == nil {
		k.Logger = slog.Default()
	}
	if err := k.checkRanges(); err != nil {
		return nil, err
	}
	if k.entrance, err = newEntrance("Options", o.Origins, o.CheckOrigin, o.Protocols, o.ProtocolPolicy); err != nil {
		return nil, err
	}
	if k.trusted, err = newTrusted(&o); err != nil {
		return nil, err
	}
	if k.TLSConfig, err = serverTLS(o.TLSConfig); err != nil {
		return nil, err
	}
	return k, k.setDeflate()
}

// mostBudget is the highest default of InboundBudget. A 32-bit process has 3 or 4 GiB of addresses, whatever the
// machine has, and messages that grow need twice their size: one peer's long message ended the process.
const mostBudget = 1 << (28 + 34*(strconv.IntSize/64))

func (k *config) setDeflate() error {
	k.slice, k.collecting = outgoing.SliceBytes, outgoing.MostCollecting
	if k.Deflate == nil {
		if k.Compress != nil {
			return fmt.Errorf("gannet: Options: Compress is set and Deflate is not: %w", ErrSyntax)
		}
		return nil
	}
	x, err := deflate.New(*k.Deflate)
	if err != nil {
		return fmt.Errorf("gannet: Options: Deflate: %w: %w", ErrSyntax, err)
	}
	k.deflate, k.deflateMin, k.slice = x, x.Policy().MinSize, outgoing.SliceAt(x.Policy().Level)
	k.frame = int64(x.Policy().FrameBytes)
	return nil
}

func (k *config) checkRanges() error {
	switch {
	case k.Loops < 1 || k.Loops > 1024:
		return optionError("Loops", k.Loops, "1 to 1024")
	case k.MaxConns < 0:
		return optionError("MaxConns", k.MaxConns, "0 (no limit) or more")
	case k.MaxConnsPerAddress < 0:
		return optionError("MaxConnsPerAddress", k.MaxConnsPerAddress, "0 (no limit) or more")
	case k.InboundBudget < 1<<20:
		return optionError("InboundBudget", k.InboundBudget, "at least 1 MiB")
	case k.HandshakeTimeout < 0 || k.HandshakeTimeout > maxTimeout:
		return optionError("HandshakeTimeout", k.HandshakeTimeout, "above 0, at most 200 days")
	case k.MaxClosing < 0 || k.MaxClosing > maxTimeout:
		return optionError("MaxClosing", k.MaxClosing, "above 0, at most 200 days")
	case k.MaxHandshakeBytes < 512 || k.MaxHandshakeBytes > slabBytes/2:
		return optionError("MaxHandshakeBytes", k.MaxHandshakeBytes, fmt.Sprintf("512 to %d", slabBytes/2))
	case !isBuffer(k.SendBuffer):
		return optionError("SendBuffer", k.SendBuffer, "4096 to 1073741824 bytes, or 0 for the system's own")
	case !isBuffer(k.ReceiveBuffer):
		return optionError("ReceiveBuffer", k.ReceiveBuffer, "4096 to 1073741824 bytes, or 0 for the system's own")
	case k.Workers < 0 || k.Workers > 1<<20:
		return optionError("Workers", k.Workers, "0 (callbacks run on the loops) to 1048576")
	case k.InboxBytes < 1:
		return optionError("InboxBytes", k.InboxBytes, "at least 1")
	}
	return nil
}

// isBuffer tells whether n is a size of a kernel's buffer: below a page nothing works well, and above 1 GiB the doubled number
// has no room in the kernel's own.
func isBuffer(n int) bool { return n == 0 || n >= 4096 && n <= 1<<30 }

// buffers are SendBuffer and ReceiveBuffer.
func (k *config) buffers() netio.Buffers {
	return netio.Buffers{Send: k.SendBuffer, Receive: k.ReceiveBuffer}
}

// badOption is an option out of range, or one that does not go with another.
type badOption struct {
	place, name string
	got         any
	want        string
}

func optionError(name string, got any, want string) error {
	return &badOption{"Options", name, got, want}
}

func (b *badOption) Error() string {
	return fmt.Sprintf("gannet: %s: %s is %v, must be %s: %v", b.place, b.name, b.got, b.want, ErrSyntax)
}

func (b *badOption) Unwrap() error { return ErrSyntax }
