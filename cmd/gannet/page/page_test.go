package page

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

func request(method string) *http.Response {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
	return w.Result()
}

func TestGetServesThePage(t *testing.T) {
	res := request(http.MethodGet)
	var body bytes.Buffer
	if _, err := body.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || !bytes.Equal(body.Bytes(), html) {
		t.Fatalf("status %d, %d bytes; want 200 and the %d bytes of index.html", res.StatusCode, body.Len(), len(html))
	}
	if got := res.Header.Get("Content-Type"); got != "text/html; charset=utf-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestHeadSendsNoBody(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodHead, "/", nil))
	if w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") == "" {
		t.Fatalf("HEAD: status %d, %d body bytes, Content-Length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		res := request(method)
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: status %d, Allow %q", method, res.StatusCode, res.Header.Get("Allow"))
		}
	}
}

// The policy must keep everything inline out but the two blocks it names; a browser
// run in bench/interop shows that it lets those two in.
func TestPolicyAllowsNoOtherInline(t *testing.T) {
	policy := request(http.MethodGet).Header.Get("Content-Security-Policy")
	for _, forbidden := range []string{"unsafe", "*", "http:", "https:"} {
		if strings.Contains(policy, forbidden) {
			t.Errorf("policy contains %q: %s", forbidden, policy)
		}
	}
	if n := strings.Count(policy, "'sha256-"); n != 2 {
		t.Errorf("policy names %d hashes, want 2: %s", n, policy)
	}
}

// One element of each kind, no attribute handlers, nothing fetched from elsewhere:
// what the policy's hashes and the offline promise rest on.
func TestPageIsSelfContained(t *testing.T) {
	for _, element := range []string{"<script", "<style"} {
		if n := bytes.Count(html, []byte(element)); n != 1 {
			t.Errorf("%d of %s, want 1", n, element)
		}
	}
	banned := regexp.MustCompile(`(?i)\son[a-z]+=|\sstyle=|\ssrc=|@import|url\(|(href|action)="(https?:)?//`)
	if found := banned.Find(html); found != nil {
		t.Errorf("index.html contains %q", found)
	}
	if !bytes.Contains(html, []byte("{location.host}"+SocketPath+"`")) {
		t.Errorf("the page does not connect to %s", SocketPath)
	}
}
