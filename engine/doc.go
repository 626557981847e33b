// Package engine is a WebSocket engine: a server and a client whose connections live on event
// loops, are decoded in place, and behave as the browser's WebSocket object does.
//
// A [Server] takes connections, a [Client] begins them, and both call a [Handler]. Each loop is one goroutine around one poller; the
// callbacks of a connection never overlap, run on its loop (or, with
// Options.Workers, on a bounded pool, in order) and must not block. Every method of
// [Conn] may be called from any goroutine unless its comment says otherwise.
//
// # The files, in reading order
//
//	the face       server.go client.go options.go options_tls.go client_options.go dial_options.go handler.go mux.go route.go conn.go conn_message.go lent_on.go conn_json.go prepared.go upgrade.go upgrade_request.go
//	               stats.go stats_tls.go errors.go errors_misuse.go errors_dial.go errors_dial_reasons.go format.go status.go
//	one byte in    loop.go conn_read.go conn_turn.go (internal/incoming) conn_calls.go
//	one message    conn_send.go conn_writer.go conn_compress.go (internal/outgoing) conn_lock.go conn_handed.go conn_todo.go conn_interest.go
//	               conn_pong.go
//	a broadcast    server_broadcast.go loop_broadcasts.go
//	a dial         dial_plan.go client_start.go client_names.go conn_dial.go client_carry.go client_race.go client_proxy.go client_tls.go client_dials.go
//	               conn_answer.go conn_answer_body.go
//	a life         conn_opening.go conn_refusing.go conn_home.go conn_life.go conn_close.go conn_hearing.go conn_flags.go
//	its clocks     conn_clocks.go conn_clocks_due.go conn_progress.go conn_resting.go
//	its memory     conn_inbound.go conn_extras.go conn_deflation.go conn_limits.go conn_handler.go server_budget.go conn_peeraddr.go
//	a loop's work  loop_work.go loop_mail.go loop_graves.go loop_pace.go loop_fifo.go loop_table.go loop_exit.go loop_lost.go loop_date.go loop_secure.go
//	workers        worker.go worker_inbox.go worker_letters.go
//	a server       server_listen.go server_accept.go server_tls.go server_wrap.go server_listening.go server_systemd.go server_socketfile.go server_admission.go server_proxy.go server_forwarded.go
//	               entrance.go entrance_log.go server_http.go server_limbo.go mux_match.go server_fallback.go server_shutdown.go server_memory.go handler_hooks.go handler_embedding.go
//	certificates   certificates.go certificates_clients.go certificates_files.go
//	its watch-dog  server_watchdog.go loop_watched.go server_blame.go
package engine
