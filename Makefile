# Heartbeat. `make` prints this help; `make up` and `make test` do all the set-up they need.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/heartbeat
LDFLAGS := -X main.version=$(VERSION)
# How long one test binary may take; the whole-system tests start real servers.
TIMEOUT ?= 20m

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Run the whole system on this machine (ARGS="--duration 1m" for options)
	./$(BIN) up $(ARGS)

.PHONY: build
build: console ## Build bin/heartbeat
	go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/heartbeat

.PHONY: console
console: ## Build the web console where Node is installed
	@scripts/build-console

.PHONY: test
test: build ## Run every test against the embedded broker and a real PostgreSQL
	scripts/require go kcat psql java mvn
	scripts/fetch-kafka
	go test -race -tags synctests -count=1 -timeout $(TIMEOUT) $$(go list ./... | grep -v '/e2e$$')
	go test -race -count=1 -parallel 5 -timeout $(TIMEOUT) -skip '^TestApache' ./e2e
	cd deploy && go vet -tags containers ./... && go test -count=1 ./...
	scripts/test-console

# Those to whom the broker matters; faults of the database are the same on any.
ON_KAFKA ?= Killed|Crash|EveryNamed|Foreign|Aborted|Kcat|ConsoleTools|Schema|Live|Share|Broker|Apache|Topic|PartitionsAdded|Replay

.PHONY: test-kafka
test-kafka: ## Run the whole-system tests against a real Apache Kafka and PostgreSQL 18
	scripts/require go java mvn kcat
	scripts/fetch-kafka
	HEARTBEAT_TEST_BROKER=apache HEARTBEAT_TEST_POSTGRES=18 go test -race -count=1 -parallel 5 -timeout $(TIMEOUT) -run '$(ON_KAFKA)' ./e2e

.PHONY: test-containers
test-containers: ## Run every role in a real container, as deploy/compose.yaml has it (root)
	scripts/test-containers $(ARGS)

# Where a Grafana is installed, for the test that needs one.
HOMEPATH ?= /usr/share/grafana

.PHONY: test-grafana
test-grafana: ## Run panels and alert rules in an installed Grafana (HOMEPATH=/usr/share/grafana)
	scripts/require go prometheus
	HEARTBEAT_TEST_GRAFANA=$(HOMEPATH) go test -tags grafana -count=1 -v -timeout $(TIMEOUT) -run 'TestGrafana' ./grafana

# How long `make soak` stays at each scenario (-for), or how many rounds it does of each (-rounds); the other counts are of
# one round. This is most of an hour; -rounds 25 of the tests' own counts is a night's work.
SOAK ?= -for 3m -kills 8 -poison 300000
# The scenarios that come in rounds.
FAULTS ?= Killed(Consumer|Producer)|Crash|Cut|Zombie|Claim|Members|Database(Stopped|Away|Disk)|ByTheDatabase|Slow|Locked|WaitedOut|Unforeseen|Recreated|PartitionsAdded|RetentionPasses|Poison|ForeignSchema|Migration|Stray|Broker(Killed|Partitioned)|Leader|Replay

.PHONY: soak
soak: ## Run the fault suite for long against Apache Kafka and write docs/reliability.md
	scripts/require go java mvn kcat psql
	scripts/fetch-kafka
	HEARTBEAT_TEST_BROKER=apache go test -race -count 1 -timeout 0 -v -parallel 3 -run '$(FAULTS)' ./e2e -args -report ../docs/reliability.md $(SOAK) | \
		grep --line-buffered -v '^=== '

.PHONY: mutants
mutants: ## Put ten defects into copies of the product; the fault suite must find each (10 min)
	go test -race -tags mutants -count=1 -timeout 0 -v -run TestMutantsAreFound ./e2e

.PHONY: check
check: lint test test-kafka ## The gate: format, vet, staticcheck, tidy, every test

.PHONY: lint
lint: ## Check format, vet, staticcheck, module files and scripts
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted, run make fmt: $$out"; exit 1; }
	go vet -tags grafana ./...
	go tool staticcheck ./...
	go mod tidy -diff
	go mod verify >/dev/null

.PHONY: fmt
fmt: ## Format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: performance
performance: build ## Measure the whole pipeline against the bare database (ARGS="--full" takes its time)
	./$(BIN) bench $(ARGS)

.PHONY: performance-kafka
performance-kafka: build ## The same on an Apache Kafka that goes with the run
	scripts/require go java mvn
	scripts/with-kafka sh -c './$(BIN) bench --brokers $$KAFKA_BOOTSTRAP_SERVERS $(ARGS)'

.PHONY: bench
bench: ## Compare the micro-benchmarks with the commit before, in turns
	scripts/bench-compare $(ARGS)

.PHONY: clean
clean: ## Remove what was built and fetched into this folder
	rm -rf bin .cache web/node_modules
