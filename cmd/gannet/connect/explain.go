package connect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gannet-ws/gannet/engine"
)

// explain makes of an error of Dial what a person needs: what happened, and what to do.
func explain(url string, err error) error {
	if errors.Is(err, engine.ErrSecurity) {
		return misused("%s; here that is --allow-port PORT", plainError(err))
	}
	if errors.Is(err, engine.ErrSyntax) {
		return &Failure{statusUsage, errors.New(printable(inFlags.Replace(plainError(err))))}
	}
	text := plainError(err)
	var pin *pinError
	var certificate *tls.CertificateVerificationError
	var dialled *engine.DialError
	var refused *engine.HandshakeError
	switch {
	case errors.As(err, &pin):
		text = pin.Error()
	case errors.As(err, &certificate) && len(certificate.UnverifiedCertificates) > 0:
		text = certificate.Error() + fmt.Sprintf("\nthe certificate's pin is %v: if you know that this is the server's, --pin takes it; --ca names a file of who may sign",
			PinOf(certificate.UnverifiedCertificates[0]))
	case errors.As(err, &dialled) && dialled.Op == "tls" && errors.Is(err, io.EOF):
		text += ": the server hung up in the handshake of TLS: does it speak TLS there?"
	case strings.Contains(text, "remote error: tls: "): // an alert of the server's, which has no type of its own
		text += "\nthe server ended the handshake of TLS; if it wants a certificate of ours, --cert names it"
	case errors.As(err, &refused) && len(refused.Body) > 0:
		text += "\nits answer says:\n" + indented(refused.Body)
	case errors.As(err, &refused) && refused.Status == 0 && !isSecure(url):
		text += "\nif the server speaks TLS there, try wss:// instead of ws://"
	}
	return &Failure{statusNoConnection, errors.New(printable(text))}
}

// inFlags says what the engine has against an option in the words of the command line.
var inFlags = strings.NewReplacer("invalid argument: ", "", "DialOptions: Protocols: ", "--protocol: ", "DialOptions: Header: ", "--header: ",
	"DialOptions: Host ", "--header Host ", "DialOptions: Origin ", "--origin ", "handshake: ", "")

// indented is a body under an error.
func indented(body []byte) string {
	return "  " + strings.TrimSpace(string(appendPrintable(nil, body, "  ")))
}

// plainError is an error's text without the names of the engine's packages, and without the close code that nobody was sent.
func plainError(err error) string {
	var refused *engine.HandshakeError
	var dialled *engine.DialError
	var closed *engine.CloseError
	switch {
	case errors.As(err, &refused):
		err = refused
	case errors.As(err, &dialled):
		err = dialled
	case errors.As(err, &closed):
		err = closed.Err
	}
	text := strings.ReplaceAll(strings.TrimPrefix(err.Error(), "gannet: "), ": gannet: ", ": ")
	for _, name := range []string{"codec: ", "deflate: "} {
		text = strings.TrimPrefix(text, name)
	}
	return text
}
