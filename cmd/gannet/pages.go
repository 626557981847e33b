package main

import (
	"encoding/json"
	"net/http"

	"github.com/gannet-ws/gannet/cmd/gannet/page"
)

// pages serves what is not a WebSocket: the page at /, the figures at /stats, and 404 elsewhere. A WebSocket may be opened on
// any path, as load tools do; to ask for the page's own one without an upgrade is 426.
func (s *service) pages() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page.Handler())
	mux.HandleFunc("GET /stats", s.figures)
	mux.HandleFunc("GET "+page.SocketPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "this is a WebSocket endpoint; the page is at /", http.StatusUpgradeRequired)
	})
	return mux
}

func (s *service) figures(w http.ResponseWriter, _ *http.Request) {
	all, err := s.allFigures()
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		http.Error(w, "the figures are not to be had: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(all); err != nil {
		s.log.Debug("writing /stats", "err", err)
	}
}
