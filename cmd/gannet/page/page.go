// Package page is the small hand-made page that gannet serves at /, where a person
// connects with a browser, types, and sees the echo, readyState and bufferedAmount.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // index.html
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
)

//go:embed index.html
var html []byte

// SocketPath is the request target the page connects to unless told otherwise.
const SocketPath = "/ws"

// Handler serves the page to GET and HEAD, whatever the path: routing is the
// caller's. Any other method gets 405. It keeps no state and is safe for concurrent
// use.
func Handler() http.Handler {
	policy := contentSecurityPolicy(html)
	length := strconv.Itoa(len(html))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "the page answers GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Length", length)
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if r.Method == http.MethodGet {
			_, _ = w.Write(html) // the only failure is a client that left
		}
	})
}

// contentSecurityPolicy allows exactly the page's own script and style, by hash, so
// that markup smuggled into a message or into /stats could not run. Any WebSocket
// may be dialled, because the URL box is there to be edited.
func contentSecurityPolicy(doc []byte) string {
	return fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self' ws: wss:; "+
		"img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
		inlineHash(doc, "script"), inlineHash(doc, "style"))
}

// inlineHash is the CSP source of the page's one element of that name: the SHA-256
// of the exact bytes between its tags. A page without it is our own mistake.
func inlineHash(doc []byte, element string) string {
	_, rest, opened := bytes.Cut(doc, []byte("<"+element+">"))
	body, _, closed := bytes.Cut(rest, []byte("</"+element+">"))
	if !opened || !closed {
		panic("page: index.html has no inline " + element)
	}
	sum := sha256.Sum256(body)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
