# Bahi. `make` lists the targets; everything needs only Go, git and a C compiler.

.PHONY: help build test race races lint generate bench curve demo fuzz cuts kills reloads ci

help: ## list the targets
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 12

build: ## build ./bahi
	go build -o bahi ./cmd/bahi

test: ## the tests, as the README says
	go test ./...

race: ## the tests of the concurrent rooms under the race detector
	go test -race -short ./domain ./eventstore ./vault ./projections ./ledger ./intake ./access ./notices ./centre ./web

lint: ## gofmt, vet, staticcheck
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	go tool staticcheck ./...

generate: ## regenerate the protobuf code from eventstore/wire/*.proto
	go run ./internal/protogen

races: ## 10,000 readings on two nodes against freezes
	BAHI_RACES=10000 go test -count=1 -v -run TestReadingsRaceWithFreezesOnTwoNodes ./ledger

cuts: ## a centre's link cut 5,000 times under load, with restarts of both sides
	BAHI_CUTS=5000 go test -count=1 -v -timeout 1h -run TestCuts ./centre

kills: ## processes that rebuild a view killed 200 times a view
	BAHI_KILLS=200 go test -count=1 -v -timeout 1h -run TestRebuildKilled ./cmd/bahi

reloads: ## an operator's NATS server that takes up 200 configurations and starts again ten times under a service
	BAHI_RELOADS=200 go test -count=1 -v -timeout 1h -run TestReloads ./cmd/bahi

bench: ## the project's own figures beside raw JetStream and Pebble
	go run ./cmd/bahi bench

CURVE ?= 100000 1000000 10000000

curve: ## what an event costs in ledgers of 10^5, 10^6 and 10^7; CURVE=50000000 for another
	@go build -o bahi ./cmd/bahi
	@for n in $(CURVE); do ./bahi bench --json --rounds 1 --events $$n --only append_bundles,rebuild_counts,rebuild_people,verify || exit 1; done

demo: ## the story of Muzaffarpur, in under a minute
	go run ./cmd/bahi demo

fuzz: ## every fuzz target for half a minute each
	@for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p 2>/dev/null | grep '^Fuzz'); do \
		go test -run '^$$' -fuzz "^$$f$$" -fuzztime 30s $$p || exit 1; done; done

ci: ## what a submission must pass
	bash .ci/run
