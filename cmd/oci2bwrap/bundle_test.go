package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// TestConfigFlags: a flag is refused for a bundle, or does there what it says.
func TestConfigFlags(t *testing.T) {
	bundles := strings.Fields(`
		platform cache-dir no-cache config rootfs quiet strict allow-gap max-entries max-ratio max-size max-json nix-store
		userns upper init tty interactive rm expose help stop-timeout timeout privileged
		healthcheck health-cmd health-interval health-retries health-start-interval health-start-period health-timeout`)
	for _, f := range podmanFlags {
		bundles = append(bundles, f.name) // refused, or so anyway
	}
	var f containerFlags
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.AddFlags(flags)
	flags.VisitAll(func(flag *pflag.Flag) {
		if slices.Contains(configFlags[:], flag.Name) == slices.Contains(bundles, flag.Name) {
			t.Errorf("--%s: is it for a bundle?", flag.Name)
		}
	})
	for _, name := range configFlags {
		if flags.Lookup(name) == nil {
			t.Errorf("--%s is no flag", name)
		}
	}
}
