package engine

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/gannet-ws/gannet/engine/internal/handshake"
)

// What this package's values are in a log line: one line that names them, whatever the verb, and never what is inside. A dump
// of the inside would be pages long, show what others wrote just then, and hold payloads, cookies and tokens. None of
// these waits for anybody.

// formatAs writes a value's one line. Width and flags are the verb's; %q quotes it.
func formatAs(f fmt.State, verb rune, line string) {
	if verb != 'q' {
		verb = 's'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), line)
}

// String names the connection in one line: its ID, its state, the peer's address where it has one, and the route's pattern behind
// a Mux. It never waits, and works in every state.
func (c *Conn) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "conn %d %v", c.id, c.ReadyState())
	if a := c.peerAddrPort(); a.IsValid() {
		fmt.Fprintf(&b, " %v", a)
	}
	if r := c.Route(); r != "" {
		fmt.Fprintf(&b, " (%s)", r)
	}
	return b.String()
}

// Format writes String, for every verb.
func (c *Conn) Format(f fmt.State, verb rune) { formatAs(f, verb, c.String()) }

// LogValue is the connection for package slog: id, state, remote, and the url without its query, where tokens are.
func (c *Conn) LogValue() slog.Value {
	if c == nil {
		return slog.StringValue("<nil>")
	}
	all := append(make([]slog.Attr, 0, 5), slog.Uint64("id", c.id), slog.String("state", c.ReadyState().String()))
	if a := c.peerAddrPort(); a.IsValid() {
		all = append(all, slog.String("remote", a.String()))
	}
	if c.home() != nil && c.ReadyState() != Connecting { // before, nobody waits for the lock
		a := c.agreement()
		all = append(all, slog.String("url", string(handshake.AppendURL(nil, a.tls, []byte(a.host), []byte(withoutQuery(a.target))))))
	}
	if r := c.Route(); r != "" {
		all = append(all, slog.String("route", r))
	}
	return slog.GroupValue(all...)
}

// withoutQuery is a target without its query.
func withoutQuery(target string) string {
	path, _, _ := strings.Cut(target, "?")
	return path
}

// String names the server in one line: where it listens, and how many connections are OPEN.
func (s *Server) String() string {
	where := make([]string, 0, 1)
	for _, a := range s.Addrs() {
		where = append(where, a.String())
	}
	if len(where) == 0 {
		where = append(where, "nowhere")
	}
	return fmt.Sprintf("server on %s, %d open", strings.Join(where, " "), s.stats.open.Load())
}

// Format writes String, for every verb.
func (s *Server) Format(f fmt.State, verb rune) { formatAs(f, verb, s.String()) }

// String names the handshake in one line: its method, its path without the query, and the connection to be.
func (u *Upgrade) String() string {
	if u.ended() {
		return "upgrade that is decided"
	}
	return fmt.Sprintf("upgrade %s %s, %v", u.Method(), withoutQuery(u.Target()), u.conn)
}

// Format writes String, for every verb.
func (u *Upgrade) Format(f fmt.State, verb rune) { formatAs(f, verb, u.String()) }

// String is the message's kind and length; print Data for what it says.
func (m Message) String() string {
	return fmt.Sprintf("%s message, %d bytes", kindOf(m.Op), len(m.Data))
}

// Format writes String, for every verb.
func (m Message) Format(f fmt.State, verb rune) { formatAs(f, verb, m.String()) }

// String is the chunk's kind and length, and where it stands in its message.
func (k Chunk) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s chunk, %d bytes", kindOf(k.Op), len(k.Data))
	if k.First {
		b.WriteString(", first")
	}
	if k.Last {
		b.WriteString(", last")
	}
	return b.String()
}

// Format writes String, for every verb.
func (k Chunk) Format(f fmt.State, verb rune) { formatAs(f, verb, k.String()) }

// String is the message's kind and length.
func (p *Prepared) String() string {
	if p.usable() != nil {
		return "prepared message, not made by Prepare"
	}
	return fmt.Sprintf("prepared %s message, %d bytes", kindOf(p.made.Op()), len(p.made.Payload()))
}

// Format writes String, for every verb.
func (p *Prepared) Format(f fmt.State, verb rune) { formatAs(f, verb, p.String()) }

// kindOf is what people call a message of this opcode.
func kindOf(op Opcode) string {
	switch op {
	case OpText:
		return "text"
	case OpBinary:
		return "binary"
	}
	return fmt.Sprintf("opcode %d", op)
}

// String is how many patterns the Mux has.
func (m *Mux) String() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("mux of %d patterns", len(m.entries))
}

// Format writes String, for every verb.
func (m *Mux) Format(f fmt.State, verb rune) { formatAs(f, verb, m.String()) }
