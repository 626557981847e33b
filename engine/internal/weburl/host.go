package weburl

import (
	"math"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// parseHost is the URL Standard's host parser for special schemes.
func parseHost(s string) (string, error) {
	if s[0] == '[' {
		return parseIPv6(s)
	}
	domain, err := toASCII(strings.ToValidUTF8(decode(s), "\uFFFD"))
	if err != nil || domain == "" || strings.ContainsFunc(domain, forbidden) {
		return "", ErrHost
	}
	if endsInNumber(domain) {
		return parseIPv4(domain)
	}
	return domain, nil
}

// forbidden tells whether a domain can not hold r.
func forbidden(r rune) bool {
	return r <= ' ' || r == 0x7f || strings.ContainsRune("#%/:<>?@[\\]^|", r)
}

// lookup is the URL Standard's domain to ASCII, not strict: UTS 46, not transitional.
var lookup = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.CheckHyphens(false),
	idna.CheckJoiners(true), idna.BidiRule(), idna.VerifyDNSLength(false))

func toASCII(domain string) (string, error) {
	if isPlain(domain) {
		return strings.ToLower(domain), nil
	}
	for label := range strings.FieldsFuncSeq(domain, isDot) {
		// Punycode is ASCII; the library decodes what is not.
		if len(label) >= 4 && strings.EqualFold(label[:4], "xn--") && !isPlain(label[4:]) {
			return "", ErrHost
		}
	}
	return lookup.ToASCII(domain)
}

// isDot tells whether r ends a label (UTS 46 2.3).
func isDot(r rune) bool { return r == '.' || r == '\u3002' || r == '\uff0e' || r == '\uff61' }

// isPlain tells whether a domain is ASCII, and has no label that claims to be encoded already.
func isPlain(domain string) bool {
	for i := 0; i < len(domain); i++ {
		if domain[i] >= 0x80 {
			return false
		}
	}
	return !strings.Contains(strings.ToLower(domain), "xn--")
}

// endsInNumber tells whether a domain's last label is a number: then it is an IPv4 address, or nothing.
func endsInNumber(domain string) bool {
	domain = strings.TrimSuffix(domain, ".")
	last := domain[strings.LastIndexByte(domain, '.')+1:]
	if last == "" {
		return false
	}
	if strings.Trim(last, "0123456789") == "" {
		return true
	}
	_, ok := ipv4Number(last)
	return ok
}

// parseIPv4 reads one to four numbers, of which the last one fills what is left of the address.
func parseIPv4(s string) (string, error) {
	rest := strings.TrimSuffix(s, ".")
	var address uint64
	for i, more := 0, true; more; i++ {
		var part string
		part, rest, more = strings.Cut(rest, ".")
		n, ok := ipv4Number(part)
		if !ok || i > 3 || more && n > 255 || !more && n >= 1<<(8*(4-i)) {
			return "", ErrHost
		}
		if more {
			n <<= 8 * (3 - i)
		}
		address |= n
	}
	a := uint32(address)
	var room [15]byte
	usual := netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}).AppendTo(room[:0])
	if string(usual) == s { // as most are written
		return s, nil
	}
	return string(usual), nil
}

// ipv4Number reads a decimal, octal or hexadecimal number.
func ipv4Number(s string) (n uint64, ok bool) {
	base := 10
	switch {
	case s == "":
		return 0, false
	case strings.HasPrefix(s, "0x") || strings.HasPrefix(s, "0X"):
		s, base = s[2:], 16
	case len(s) > 1 && s[0] == '0':
		s, base = s[1:], 8
	}
	if s == "" {
		return 0, true
	}
	for i := 0; i < len(s); i++ {
		if d := unhex(s[i]); d < 0 || d >= base {
			return 0, false
		}
	}
	if n, err := strconv.ParseUint(s, base, 64); err == nil {
		return n, true
	}
	return math.MaxUint64, true // more than fits is more than an address
}

// parseIPv6 reads an address in brackets. A zone belongs to one machine, and to no URL.
func parseIPv6(s string) (string, error) {
	inner, ok := strings.CutSuffix(s[1:], "]")
	a, err := netip.ParseAddr(inner)
	if !ok || err != nil || !a.Is6() || a.Zone() != "" {
		return "", ErrHost
	}
	return "[" + serializeIPv6(a.As16()) + "]", nil
}

// serializeIPv6 leaves out the first of the longest runs of two zero pieces or more. An IPv4 address inside is written in
// pieces, too: netip would not.
func serializeIPv6(a [16]byte) string {
	from, n := longestZeros(a)
	var b []byte
	for i := 0; i < 8; i++ {
		if n > 1 && i == from {
			b = append(b, "::"...)
			i += n - 1
			continue
		}
		if len(b) > 0 && b[len(b)-1] != ':' {
			b = append(b, ':')
		}
		b = strconv.AppendUint(b, uint64(a[2*i])<<8|uint64(a[2*i+1]), 16)
	}
	return string(b)
}

func longestZeros(a [16]byte) (from, n int) {
	run := 0
	for i := range 8 {
		if a[2*i] != 0 || a[2*i+1] != 0 {
			run = 0
			continue
		}
		if run++; run > n {
			from, n = i-run+1, run
		}
	}
	return from, n
}
