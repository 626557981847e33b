package handshake

import (
	"regexp"
	"strings"
)

// twin reads a head the slow and obvious way: split at CR LF, hold each line to its grammar as a
// regular expression. It shares nothing with the parser but the host's grammar.
type twin struct {
	method, target, proto string
	names, values         []string
}

var (
	twinLine  = regexp.MustCompile(`^([!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]{1,32}) ((?s:[^\x00-\x20\x7f#]+)) (HTTP/1\.[0-9])$`)
	twinField = regexp.MustCompile(`^([!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]+):[ \t]*((?s:[^\x00-\x08\x0a-\x1f\x7f]*))$`)
	twinToken = regexp.MustCompile(`^[!#$%&'*+\-.^_` + "`" + `|~0-9A-Za-z]+$`)
	twinURL   = regexp.MustCompile(`^(?i:https?|wss?)://([^/?]+)(?:[/?].*)?$`)
)

// readTwin returns nil for what must be refused. The head is whole and within the limits.
func readTwin(head string) *twin {
	lines := strings.Split(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n")
	// One octet, one rune: the expressions then mean octets.
	m := twinLine.FindStringSubmatch(latin1(lines[0]))
	if m == nil {
		return nil
	}
	tw := &twin{method: m[1], target: octetsOf(m[2]), proto: m[3]}
	for _, line := range lines[1:] {
		m := twinField.FindStringSubmatch(latin1(line))
		if m == nil {
			return nil
		}
		tw.names = append(tw.names, m[1])
		tw.values = append(tw.values, octetsOf(strings.TrimRight(m[2], " \t")))
	}
	if !tw.targetIsLegal() || !tw.hostIsLegal() {
		return nil
	}
	return tw
}

func (tw *twin) targetIsLegal() bool {
	if tw.target == "*" {
		return tw.method == "OPTIONS"
	}
	if strings.HasPrefix(tw.target, "/") {
		return true
	}
	m := twinURL.FindStringSubmatch(latin1(tw.target))
	return m != nil && m[1][0] != ':' && validAuthority([]byte(octetsOf(m[1])))
}

func (tw *twin) hostIsLegal() bool {
	hosts := tw.all("host")
	if len(hosts) == 0 {
		return tw.proto == "HTTP/1.0"
	}
	return len(hosts) == 1 && validAuthority([]byte(hosts[0]))
}

func (tw *twin) all(name string) (values []string) {
	for i := range tw.names {
		if strings.EqualFold(tw.names[i], name) {
			values = append(values, tw.values[i])
		}
	}
	return values
}

// list is all of a field's lines as one list, empty elements dropped.
func (tw *twin) list(name string) (elements []string) {
	for _, e := range strings.Split(strings.Join(tw.all(name), ","), ",") {
		if e = strings.Trim(e, " \t"); e != "" {
			elements = append(elements, e)
		}
	}
	return elements
}

// protocols are the sub-protocols offered: the tokens of the list.
func (tw *twin) protocols() (offered []string) {
	for _, e := range tw.list("Sec-WebSocket-Protocol") {
		if twinToken.MatchString(latin1(e)) {
			offered = append(offered, e)
		}
	}
	return offered
}

func (tw *twin) asksFor(field, token string) bool {
	for _, e := range tw.list(field) {
		if strings.EqualFold(latin1(e), token) {
			return true
		}
	}
	return false
}

func latin1(s string) string {
	runes := make([]rune, 0, len(s))
	for i := range len(s) {
		runes = append(runes, rune(s[i]))
	}
	return string(runes)
}

func octetsOf(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return string(b)
}
