package netio

import (
	"crypto/tls"
	"runtime"
	"testing"
)

// TestSecureCallbackKeepsItsThread: a callback of the tls.Config may leave its goroutine locked to a thread, as one over a C library does.
func TestSecureCallbackKeepsItsThread(t *testing.T) {
	versions(t, func(t *testing.T, v uint16) {
		server, client := serverConfig(), clientConfig(v)
		own := server.Certificates[0]
		server.Certificates = nil
		server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			runtime.LockOSThread()
			return &own, nil
		}
		newLineOf(t, server, clientConfig(v), true)
		client.VerifyConnection = func(tls.ConnectionState) error {
			runtime.LockOSThread()
			return nil
		}
		newLineOf(t, serverConfig(), client, false)
	})
}
