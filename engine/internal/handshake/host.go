package handshake

import "bytes"

// validAuthority checks RFC 9110 7.2: uri-host [ ":" port ]. The empty value is valid: it says
// that the target has no authority.
func validAuthority(b []byte) bool {
	name, port := splitPort(b)
	return validHost(name) && (len(port) == 0 || validPort(port))
}

// splitPort cuts host[:port]. It finds the colon that is not inside an IPv6 literal; without
// one, or with nothing behind it, port is empty.
func splitPort(b []byte) (name, port []byte) {
	colon := bytes.LastIndexByte(b, ':')
	if colon < 0 || bytes.IndexByte(b[colon:], ']') >= 0 {
		return b, nil
	}
	return b[:colon], b[colon+1:]
}

// validHost checks RFC 3986 3.2.2. IPvFuture and zones are not accepted; nothing sends them.
func validHost(b []byte) bool {
	if len(b) > 0 && b[0] == '[' {
		return b[len(b)-1] == ']' && validIPv6(b[1:len(b)-1])
	}
	for i := 0; i < len(b); i++ {
		if octets[b[i]]&inRegName != 0 {
			continue
		}
		if b[i] != '%' || i+2 >= len(b) || !all(b[i+1:i+3], inHex) {
			return false
		}
		i += 2
	}
	return true
}

// validIPv6 checks RFC 3986 3.2.2 IPv6address: eight groups, or fewer around one "::".
func validIPv6(b []byte) bool {
	groups, gap := 0, false
	if bytes.HasPrefix(b, doubleColon) {
		gap, b = true, b[2:]
	}
	for len(b) > 0 {
		n := hexRun(b)
		if n < len(b) && b[n] == '.' {
			groups += 2
			return validIPv4(b) && fitsIPv6(groups, gap)
		}
		if n == 0 || n > 4 {
			return false
		}
		groups++
		if b = b[n:]; len(b) == 0 {
			break
		}
		if b[0] != ':' || len(b) == 1 {
			return false
		}
		if b = b[1:]; b[0] == ':' {
			if gap {
				return false
			}
			gap, b = true, b[1:]
		}
	}
	return fitsIPv6(groups, gap)
}

var doubleColon = []byte("::")

// fitsIPv6 lets "::" stand for one group or more, never for none.
func fitsIPv6(groups int, gap bool) bool { return groups == 8 && !gap || groups < 8 && gap }

func hexRun(b []byte) (n int) {
	for n < len(b) && octets[b[n]]&inHex != 0 {
		n++
	}
	return n
}

func validIPv4(b []byte) bool {
	for part := 0; part < 4; part++ {
		octet, rest, more := bytes.Cut(b, dot)
		if more != (part < 3) || len(octet) == 0 || len(octet) > 3 || len(octet) > 1 && octet[0] == '0' {
			return false
		}
		if n, ok := decimal(octet); !ok || n > 255 {
			return false
		}
		b = rest
	}
	return true
}

var dot = []byte{'.'}

// decimal reads at most nine digits, so that it cannot overflow.
func decimal(b []byte) (n int, ok bool) {
	if len(b) == 0 || len(b) > 9 {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// portNumber reads a port; ok is false for an empty or impossible one.
func portNumber(b []byte) (n int, ok bool) {
	n, ok = decimal(b)
	return n, ok && n <= 65535
}

func validPort(b []byte) bool { _, ok := portNumber(b); return ok }

func defaultPort(tls bool) int {
	if tls {
		return 443
	}
	return 80
}
