package convert

import (
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// startHooks are those that the in-sandbox init runs. The others run outside,
// around the sandbox.
func startHooks(spec *specs.Spec) []bwrap.Hook {
	if spec.Hooks == nil {
		return nil
	}
	var hooks []bwrap.Hook
	for _, h := range spec.Hooks.StartContainer {
		hook := bwrap.Hook{Path: h.Path, Args: h.Args, Env: h.Env}
		if h.Timeout != nil {
			hook.Timeout = *h.Timeout
		}
		hooks = append(hooks, hook)
	}
	return hooks
}
