package handshake

import "bytes"

// Parser remembers how far an unfinished head was looked at, so that a head that comes one
// byte at a time costs no more than one that comes whole. The zero value is ready, and it is
// zero again after a head has ended or was refused.
type Parser struct {
	lineStart uint32 // where the line that is not finished yet starts
	scanned   uint32 // no LF between lineStart and here
	lines     uint32 // finished lines, the request line included
	method    bool   // the method and the space after it were seen
}

// Parse looks for a whole request head in b, which starts at the request's first byte and,
// after a call that asked for more, holds at least the bytes it held then (elsewhere in memory
// if need be).
//
// With n > 0 the head took the first n bytes: r holds views of them and b[n:] is what came
// after it, perhaps the first frames. With n == 0 and no error, more bytes are needed. An error
// is always a *Refusal, and is the same wherever the bytes were cut. Unless n > 0, r is
// undefined.
//
// Any request is parsed, not upgrades only: what else there is to know of a handshake is
// CheckUpgrade's to say.
func (p *Parser) Parse(b []byte, r *Request, l Limits) (n int, err error) {
	end, refused := p.scan(b, l.effective())
	if end > 0 {
		refused = r.parse(b[:end:end])
	}
	if refused != nil {
		*p = Parser{}
		return 0, refused
	}
	if end > 0 {
		*p = Parser{}
	}
	return end, nil
}

// scan finds the empty line that ends the head, and refuses what can be told without it: the
// limits, the framing of lines, and bytes that are no HTTP at all. It visits each byte once,
// in order, which is why cuts change neither cost nor verdict.
func (p *Parser) scan(b []byte, l Limits) (end int, refused *Refusal) {
	if len(b) < int(p.scanned) {
		panic("handshake: Parse was given fewer bytes than before")
	}
	b = b[:min(len(b), l.MaxBytes)]
	if refused = p.scanMethod(b[:min(len(b), l.MaxLine)]); refused != nil {
		return 0, refused
	}
	for {
		i := bytes.IndexByte(b[p.scanned:], '\n')
		if i < 0 {
			p.scanned = uint32(len(b))
			return 0, p.overLimit(len(b), l)
		}
		lf := int(p.scanned) + i
		if p.lines == 0 && lf >= l.MaxLine {
			return 0, errLineTooLong
		}
		length := lf - int(p.lineStart) // the LF not counted
		if length == 0 || b[lf-1] != '\r' {
			return 0, errBareLF
		}
		if length == 1 {
			return lf + 1, nil
		}
		p.scanned, p.lineStart = uint32(lf+1), uint32(lf+1)
		if p.lines++; int(p.lines)-1 > l.MaxHeaders {
			return 0, errTooManyFields
		}
	}
}

// scanMethod refuses at the first byte that cannot be part of a method: a TLS ClientHello or
// other noise need not time out. RFC 9112 2.2 suggests to skip an empty line before the
// request, for clients of old that sent one after a POST; it is refused here, because nothing
// came before.
func (p *Parser) scanMethod(b []byte) *Refusal {
	for i := int(p.scanned); !p.method && i < len(b); i++ {
		switch {
		case b[i] == ' ' && i > 0:
			p.method = true
		case octets[b[i]]&inToken == 0:
			return errMethod
		case i >= maxMethod:
			return errMethodTooLong // RFC 9112 3: 501
		}
	}
	return nil
}

// overLimit decides whether n bytes that do not end the head are already too many.
func (p *Parser) overLimit(n int, l Limits) *Refusal {
	switch {
	case p.lines == 0 && n >= l.MaxLine:
		return errLineTooLong
	case n >= l.MaxBytes:
		return errTooLong
	}
	return nil
}
