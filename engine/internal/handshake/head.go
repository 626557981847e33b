package handshake

import "bytes"

// parse fills r from a whole head. scan has made sure that it ends in an empty line and that
// every LF follows a CR; the loops below rely on the former to stay inside.
func (r *Request) parse(head []byte) *Refusal {
	r.Reset()
	at := bytes.IndexByte(head, '\n') + 1
	if refused := r.parseRequestLine(head[:at-2]); refused != nil {
		return refused
	}
	for end := len(head) - 2; at < end; {
		next, refused := r.parseField(head, at)
		if refused != nil {
			return refused
		}
		at = next
	}
	r.Upgrade = r.connectionAsks && r.upgradeNames
	return r.settleHost()
}

// parseRequestLine takes method SP request-target SP HTTP-version apart (RFC 9112 3): one
// space each, as more than one is how a target is made to look different to two readers.
func (r *Request) parseRequestLine(line []byte) *Refusal {
	method, rest, _ := bytes.Cut(line, space)
	target, proto, ok := bytes.Cut(rest, space)
	r.Method, r.Target, r.Proto = method, target, proto
	if !ok || !isHTTPVersion(proto) {
		return errVersionSyntax
	}
	if proto[5] != '1' {
		return errMajorVersion
	}
	// A higher minor version is read as the highest that is known (RFC 9110 2.5).
	r.minorVersionZero = proto[7] == '0'
	if !validTarget(method, target) {
		return errTarget
	}
	return nil
}

var space = []byte{' '}

// isHTTPVersion checks RFC 9112 2.3: "HTTP/" DIGIT "." DIGIT, and case counts.
func isHTTPVersion(b []byte) bool {
	return len(b) == 8 && string(b[:5]) == "HTTP/" &&
		isDigit(b[5]) && b[6] == '.' && isDigit(b[7])
}

// parseField takes one field line apart and records it; it returns where the next starts.
func (r *Request) parseField(head []byte, at int) (next int, refused *Refusal) {
	f, next, refused := cutField(head, at)
	if refused != nil {
		return 0, refused
	}
	return next, r.add(f.Name, f.Value)
}

// cutField takes the field line at at apart (RFC 9112 5) and returns where the next starts.
func cutField(head []byte, at int) (f Field, next int, refused *Refusal) {
	colon := at
	for octets[head[colon]]&inToken != 0 {
		colon++
	}
	if colon == at || head[colon] != ':' {
		return f, 0, nameFault(head[colon], colon == at)
	}
	value := colon + 1
	for isBlank(head[value]) {
		value++
	}
	end := valueEnd(head, value)
	if head[end] != '\r' {
		return f, 0, errFieldValue
	}
	if head[end+1] != '\n' {
		return f, 0, errBareCR
	}
	last := end
	for last > value && isBlank(head[last-1]) {
		last--
	}
	return Field{head[at:colon:colon], head[value:last:last]}, end + 2, nil
}

// nameFault names what stopped a field's name. All of it is 400; the difference is for the one
// who reads the counters.
func nameFault(c byte, first bool) *Refusal {
	switch {
	case !isBlank(c):
		return errFieldName
	case first:
		return errFold // RFC 9112 5.2: obs-fold, reject with 400
	}
	return errSpaceBeforeName // RFC 9112 5.1: must reject with 400
}

// settleHost applies RFC 9112 3.2: every HTTP/1.1 request has a Host; an absolute-form target
// overrules it (3.2.2), also when both differ.
func (r *Request) settleHost() *Refusal {
	if r.seen&seenHost == 0 && !r.minorVersionZero {
		return errNoHost
	}
	if authority, _, ok := splitAbsolute(r.Target); ok {
		r.Host = authority
	}
	return nil
}
