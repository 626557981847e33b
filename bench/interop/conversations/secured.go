package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/gannet-ws/gannet/engine"
)

var secured = []conversation{
	{"a certificate that nobody vouches for", secrecy, unknownAuthority},
	{"a certificate for another name", secrecy, otherName},
	{"ws to a port that speaks TLS", secrecy, plainToTLS},
}

func unknownAuthority(t *talk) {
	var why x509.UnknownAuthorityError
	t.unsafe(t.to.url, engine.DialOptions{TLSConfig: &tls.Config{RootCAs: x509.NewCertPool()}}, &why)
}

func otherName(t *talk) {
	var why x509.HostnameError
	t.unsafe(t.to.url, engine.DialOptions{Host: "example.org"}, &why)
}

// unsafe is an opening that TLS has to prevent, for a reason of this type.
func (t *talk) unsafe(url string, o engine.DialOptions, why any) {
	_, err := t.dial(url+"/echo", o)
	var d *engine.DialError
	t.want(errors.As(err, &d) && d.Op == "tls" && errors.As(err, why), "want a %T, got %v", why, err)
	e := t.ended("error close")
	t.want(e.Code == 1006 && !e.WasClean, "closed with %+v", e)
	t.tell("%v", err)
}

func plainToTLS(t *talk) {
	h := t.refused(strings.Replace(t.to.url, "wss:", "ws:", 1)+"/echo", engine.DialOptions{})
	t.tell("ws where wss is spoken: %v", h)
}
