# make run: serve on :8080, page at /.   make test: all modules.
# make race: race detector and debug build.   make sim: the simulator in the debug build, all seeds.
#   make purego: no assembly, gnet's poll_opt poller.   make 386: the engine on 386.
# make foreign: mask, codec, deflate and the handshake on emulated arm64 and s390x, and on 386.
# make bench: benchmarks.   make fuzz: each fuzz target for FUZZTIME.   make lint: vet, staticcheck, gofmt.
# make mutants: planted bugs, each of which a test must notice.   make drawn: 200 ordinary changes, of which most must be.
# make bench-gate: is the echo slower than the figures in bench/results/gate.txt? GATE=-update renews them.
# make bench-peers: Gannet beside all peers, some hours; CELLS=echo-128,idle ROUNDS=3 narrow it. bench/results/peers.jsonl and peers.html.
# make turns: the engine's own time a message, an old commit against this tree.
# make curve: measure and chart compression, docs/deflate-curve.*, two minutes.
# make scale: 100,000 connections on this machine, what each takes and how long an echo does; three minutes.
#   make scale-growth: 1,000, 10,000 and 100,000, and broadcasts to all; writes docs/scale.md and its chart; five minutes.
# make gen: regenerate assembly.   make autobahn: the quick set (SET=all for every case); make autobahn-client: against our client.   make ci: what CI runs.
SHELL   := bash -o pipefail
TIME    ?= 15m
# Tests that mostly wait run eight at a time. -short leaves out those whose result the other passes cannot change: see once in engine/once_test.go.
TESTS    = go test -parallel 8 -timeout $(TIME)
FUZZTIME ?= 20s
SET     ?= quick
CELLS   ?= echo-128,echo-128x16,echo-16k,echo-1m,tls-1k,tls-16k,elsewhere-128,broadcast-1k,broadcast-10k,connect,idle,idle-used,idle-tls
ROUNDS  ?= 9

.PHONY: run test race sim purego 386 foreign bench bench-gate bench-peers turns curve scale scale-growth fuzz mutants drawn lint gen autobahn autobahn-client ci
run:      ; go run ./cmd/gannet serve
test:     ; @.ci/modules | while read -r work m; do echo "go -C $$m test ./..."; GOWORK=$$work go -C $$m test -parallel 8 -timeout $(TIME) ./... || exit 1; done
race:     ; $(TESTS) -short -race -tags gannetdebug ./... ./bench/load/... ./cmd/gannet/... ./engine/reconnect/...
sim:      ; $(TESTS) -tags gannetdebug -run '^TestSim' ./engine
purego:   ; GOWORK=off $(TESTS) -short -tags purego,poll_opt ./... && go test -tags purego,poll_opt ./bench/load/... ./cmd/gannet/... ./engine/reconnect/...
386:      ; GOARCH=386 CGO_ENABLED=0 $(TESTS) -short ./engine
foreign:  ; .ci/foreign arm64 aarch64 && .ci/foreign s390x s390x && .ci/foreign 386
bench:    ; go test -run '^$$' -bench . -benchmem ./...
bench-gate: ; @GOWORK=off go build -C bench/gate -o ../../bin/bench/gate . && cd bench/gate && GOWORK=off ../../bin/bench/gate $(GATE)
bench-peers: ; go run ./bench/compare -servers all -cells $(CELLS) -rounds $(ROUNDS) -append bench/results/peers.jsonl && GOWORK=off go -C bench/pages run .
mutants:  ; go run ./bench/mutants
drawn:    ; go run ./bench/mutants -draw
turns:    ; @bench/turns
curve:    ; GOWORK=off go -C bench/curve run .
scale:    ; GOWORK=off go -C bench/scale run .
scale-growth: ; GOWORK=off go -C bench/scale run . -growth
fuzz:     ; @.ci/fuzz $(FUZZTIME)
lint:     ; @.ci/lint
gen:      ; go generate ./...
autobahn: ; @bench/interop/autobahn.sh $(SET)
autobahn-client: ; @bench/interop/autobahn.sh $(SET) client
ci:       ; @.ci/run
