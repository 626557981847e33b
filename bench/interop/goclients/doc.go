// Package goclients talks to a running gannet serve with Go WebSocket clients that
// nobody here wrote: coder/websocket, which minds the protocol, and gobwas/ws, with
// which every frame, a legal one or not, can be written bit by bit.
//
// It is a module of its own, so that neither client enters the engine's go.mod.
package goclients
