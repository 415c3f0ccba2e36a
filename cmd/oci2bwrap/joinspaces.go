package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// joinsOf are the namespaces that a bundle names by their path and this
// program has to be started in. All but the caller's own: there is nothing to
// join. That config.json is right is seen later.
func joinsOf(a imageArgs) []bwrap.Join {
	ref, err := layout.ParseRef(a.ref)
	if err != nil || ref.Transport != "" && ref.Transport != "bundle" {
		return nil
	}
	file, err := os.Open(filepath.Join(ref.Path, "config.json"))
	if err != nil {
		return nil
	}
	defer file.Close()
	var config struct {
		Version string `json:"ociVersion"`
		Linux   struct {
			Namespaces []specs.LinuxNamespace `json:"namespaces"`
		} `json:"linux"`
	}
	if json.NewDecoder(file).Decode(&config) != nil || config.Version == "" {
		return nil
	}
	var joins []bwrap.Join
	for i, ns := range config.Linux.Namespaces {
		if kind := string(ns.Type); ns.Path != "" && slices.Contains(runner.EnterKinds, kind) && !runner.SameNamespace(ns.Path, kind) {
			joins = append(joins, bwrap.Join{Kind: kind, Path: ns.Path, Field: fmt.Sprintf("linux.namespaces[%d].path", i)})
		}
	}
	return joins
}

// joinedPaths are the paths of the namespaces that this program has been
// started in for the bundle.
func joinedPaths(inside *runner.Inside, spec *specs.Spec) map[string]bool {
	paths := map[string]bool{}
	for _, ns := range spec.Linux.Namespaces {
		if kind := string(ns.Type); ns.Path != "" && slices.Contains(runner.EnterKinds, kind) &&
			(inside != nil && inside.Joined(kind) || kind == "time" && runner.SameNamespace(ns.Path, kind)) {
			paths[ns.Path] = true
		}
	}
	return paths
}
