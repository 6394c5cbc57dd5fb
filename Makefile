# Heartbeat. `make` prints the targets; `make up` and `make test` do all the set-up they need.

SHELL       := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/heartbeat
LDFLAGS := -X main.version=$(VERSION)
# Limit of one test binary; the whole-system tests start real servers.
TIMEOUT ?= 40m
# A program built with -race otherwise sleeps for a second at its exit.
export GORACE ?= atexit_sleep_ms=50
# Runs targets at the same time, because most tests wait more than they compute. Each target's output comes whole, at its end.
AT_ONCE := $(MAKE) --no-print-directory -j $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: help
help: ## Print this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: up
up: build ## Run the whole system on this machine (ARGS="--duration 1m" for options)
	./$(BIN) up $(ARGS)

.PHONY: build
build: console ## Build bin/heartbeat
	go build -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/heartbeat

.PHONY: console
console: ## Build the web console where Node is installed
	@scripts/build-console

.PHONY: test
test: build ## Run the tests against the embedded broker and a real PostgreSQL (9 min)
	scripts/require go kcat psql java mvn nginx
	scripts/fetch-kafka
	scripts/fetch-kafka-clients
	scripts/fetch-schemathesis
	scripts/fetch-parquet-readers
	@$(MAKE) --no-print-directory test-timed
	@echo 'testing the packages, the whole system and the console at the same time; the output of each comes at its end'
	@$(AT_ONCE) test-packages test-system test-console

# These tests measure how soon an action takes effect and reaches other screens: they run before all others.
.PHONY: test-timed
test-timed:
	go test -race -vet=off -tags synctests -count=1 -timeout $(TIMEOUT) ./internal/app

# The console's tests measure how soon something is on the screen: the others give way to them.
.PHONY: test-packages
test-packages:
	nice -n 10 go test -race -vet=off -tags synctests -count=1 -p 4 -timeout $(TIMEOUT) $$(go list ./... | grep -vE '/(e2e|internal/app|internal/bench|internal/testkit/apachekafka)$$')
	cd deploy && nice -n 10 go test -count=1 ./...

.PHONY: test-system
test-system:
	nice -n 5 go test -race -vet=off -count=1 -parallel 4 -timeout $(TIMEOUT) ./e2e -args -suite test

.PHONY: test-console
test-console:
	scripts/test-console

.PHONY: test-unit
test-unit: ## Run the tests that start no server (2 min)
	go test -tags synctests $$(scripts/unit-packages)

.PHONY: test-long
test-long: ## Run the long tests: fault scenarios on the embedded broker, the benchmark, 10^4 races and 10^5 steps of alarms
	scripts/require go java mvn
	scripts/fetch-fhir-validator
	@$(AT_ONCE) test-long-packages test-long-system

# The fault scenarios measure how long nothing is stored: the others give way to them.
.PHONY: test-long-packages
test-long-packages:
	nice -n 10 go test -race -count=1 -timeout $(TIMEOUT) ./internal/bench
	nice -n 10 go test -race -count=1 -timeout $(TIMEOUT) ./internal/postgres/ingest -run TestAlarmsAreThoseOfTheReference -rapid.checks 200
	HEARTBEAT_TEST_ALARM_RACES=10000 nice -n 10 go test -race -count=1 -timeout $(TIMEOUT) ./internal/postgres/alarmstore -run TestAcknowledgeAndClearAtTheSameMoment

.PHONY: test-long-system
test-long-system:
	go test -race -count=1 -parallel 6 -timeout $(TIMEOUT) ./e2e -args -suite long

.PHONY: test-kafka
test-kafka: ## Run the whole-system tests against a real Apache Kafka and PostgreSQL 18
	scripts/require go java mvn kcat
	scripts/fetch-kafka
	scripts/fetch-kafka-clients
	@$(AT_ONCE) test-kafka-packages test-kafka-system

.PHONY: test-kafka-packages
test-kafka-packages:
	nice -n 10 go test -race -count=1 -timeout $(TIMEOUT) ./internal/testkit/apachekafka

.PHONY: test-kafka-system
test-kafka-system:
	HEARTBEAT_TEST_BROKER=apache HEARTBEAT_TEST_POSTGRES=18 go test -race -count=1 -parallel 5 -timeout $(TIMEOUT) ./e2e -args -suite kafka

.PHONY: test-containers
test-containers: ## Run every role in a real container, as deploy/compose.yaml has it (root)
	scripts/test-containers $(ARGS)

# Where a Grafana is installed, for the test that needs one.
HOMEPATH ?= /usr/share/grafana

.PHONY: test-grafana
test-grafana: ## Run panels and alert rules in an installed Grafana (HOMEPATH=/usr/share/grafana)
	scripts/require go prometheus
	HEARTBEAT_TEST_GRAFANA=$(HOMEPATH) go test -tags grafana -count=1 -v -timeout $(TIMEOUT) ./grafana

# The scenarios of `make soak` (a pattern for go test -run), their counts (`go test ./e2e -args -help`), and how many run at once.
RUN      ?= .
SOAK     ?= -for 3m -kills 25
PARALLEL ?= 4

.PHONY: soak
soak: ## Run fault scenarios in rounds against Apache Kafka and add the results to docs/reliability.md (RUN=Zombie SOAK="-for 10m")
	scripts/require go java mvn kcat psql
	scripts/fetch-kafka
	HEARTBEAT_TEST_BROKER=apache go test -count 1 -timeout 0 -v -parallel $(PARALLEL) -run '$(RUN)' ./e2e -args -suite soak -report ../docs/reliability.md $(SOAK) | \
		grep --line-buffered -v '^=== '

.PHONY: mutants
mutants: ## Put thirteen defects into copies of the product; the fault suite must find each (15 min)
	go test -race -tags mutants -count=1 -timeout 0 -v ./e2e -args -suite mutants

.PHONY: fuzz
fuzz: ## Fuzz every parser for FUZZTIME each (30s), two at once
	scripts/require go
	FUZZTIME='$(or $(FUZZTIME),30s)' scripts/fuzz

.PHONY: check
check: lint test test-long test-kafka ## The gate: lint and every test

.PHONY: lint
lint: ## Check format, vet, staticcheck, module files and scripts
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "not formatted, run make fmt: $$out"; exit 1; }
	go vet ./...
	go vet -tags 'crashpoints containers grafana mutants synctests' ./...
	cd deploy && go vet -tags containers ./...
	@scripts/require shellcheck
	shellcheck $$(git ls-files scripts .ci | xargs grep -lE '^#!.*\<(ba)?sh$$')
	go tool staticcheck ./...
	go mod tidy -diff
	go mod verify >/dev/null

.PHONY: fmt
fmt: ## Format the code
	gofmt -w $$(git ls-files '*.go')

.PHONY: performance
performance: build ## Measure the whole pipeline against the bare database (ARGS="--full": a quarter of an hour)
	./$(BIN) bench $(ARGS)

.PHONY: performance-kafka
performance-kafka: build ## The same on an Apache Kafka of its own
	scripts/require go java mvn
	scripts/with-kafka sh -c './$(BIN) bench --brokers $$KAFKA_BOOTSTRAP_SERVERS $(ARGS)'

.PHONY: bench
bench: ## Compare the micro-benchmarks with the previous commit, alternating
	scripts/bench-compare $(ARGS)

.PHONY: clean
clean: ## Remove what was built and fetched into this folder
	rm -rf bin .cache web/node_modules
