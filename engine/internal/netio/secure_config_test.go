package netio

import (
	"crypto/tls"
	"testing"
)

func serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testCertificate()}}
}

func versions(t *testing.T, f func(t *testing.T, version uint16)) {
	for name, v := range map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) { f(t, v) })
	}
}

func clientConfig(version uint16) *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, MinVersion: version, MaxVersion: version}
}
