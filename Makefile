# demo, build, test and bench need nothing but what they say when it is missing.

GO ?= go
FIXTURES ?= $(CURDIR)/.cache/fixtures
FUZZTIME ?= 1m

export CGO_ENABLED = 0
# Tests that need the Debian image or a newer bwrap look for them here.
export OCI2BWRAP_FIXTURES = $(FIXTURES)

.PHONY: build demo test fixtures bench fuzz soak clean

build:
	$(GO) build -o bin/oci2bwrap ./cmd/oci2bwrap

# Builds a small image from source and runs it. Needs Go and bubblewrap.
demo:
	@sh fixtures/demo/demo.sh

# Everything, as root and as an ordinary user, with both versions of bwrap. The
# tests skip what the machine lacks and say so; with CI=true that is a failure.
test: fixtures
	$(GO) vet ./...
	$(GO) test -count=1 -timeout 25m ./...

# The inputs of the tests that are not in the repository. Only root can make them.
fixtures:
	@mkdir -p $(FIXTURES)
	@for name in debian newer-bwrap services; do \
	  if [ "$$(id -u)" != 0 ]; then echo "fixtures/$$name.sh needs root: tests without it"; continue; fi; \
	  sh fixtures/$$name.sh $(FIXTURES)/$$name >$(FIXTURES)/$$name.log 2>&1 && continue; \
	  tail -n 20 $(FIXTURES)/$$name.log >&2; \
	  echo "fixtures/$$name.sh failed (packages: .ci/packages): tests without it" >&2; \
	  [ "$$CI" != true ] || exit 1; \
	done

# Start-up times beside bwrap, crun and runc, cold unpacking beside tar, umoci and
# skopeo, and starts from a Nix store, into docs/performance.md. Needs root.
bench: build
	@sh fixtures/bench/all.sh bin/oci2bwrap $(FIXTURES) docs/performance.md

# Every fuzz target for FUZZTIME.
fuzz:
	@for package in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
	    echo "== $$package $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10s $$package || exit 1; \
	  done; \
	done

# What takes too long for each change: 200 kills, 200 sandboxes at once and 2,000
# in a row, as root and as an ordinary user, then the fuzz targets.
soak: fixtures
	OCI2BWRAP_SOAK=1 OCI2BWRAP_E2E_RUN='^(TestKills|TestLoad)$$' $(GO) test -count=1 -timeout 3h -v \
	  -run '^(TestKills|TestLoad|TestAsOrdinaryUser)$$' ./internal/e2e
	$(MAKE) fuzz

clean:
	rm -rf bin .cache
