package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
	"github.com/oci2bwrap/oci2bwrap/layout"
	"github.com/oci2bwrap/oci2bwrap/runner"
)

// bundleSpaces are what a bundle says of namespaces that this program has to be
// started in: those to join by their path, all but the caller's own, where there
// is nothing to join, the mappings of a user namespace to be made, and those to
// join before that.
type bundleSpaces struct {
	joins  []bwrap.Join
	ids    *runner.IDMap
	before []bwrap.Join
	mapped []bwrap.Bind // mounts with ids of their own, which real root makes before it enters any
}

// spacesOf reads them. That config.json is right is seen later.
func spacesOf(a imageArgs, limits layout.Limits) (b bundleSpaces) {
	ref, err := layout.ParseRef(a.ref)
	if err != nil {
		return b
	}
	var config struct {
		Mounts []specs.Mount `json:"mounts"`
		Linux  struct {
			Namespaces []specs.LinuxNamespace `json:"namespaces"`
			UIDs       []specs.LinuxIDMapping `json:"uidMappings"`
			GIDs       []specs.LinuxIDMapping `json:"gidMappings"`
		} `json:"linux"`
	}
	if raw := layout.BundleConfig(ref, limits); raw == nil || json.Unmarshal(raw, &config) != nil {
		return b
	}
	for i, ns := range config.Linux.Namespaces {
		kind := string(ns.Type)
		join := bwrap.Join{Kind: kind, Path: ns.Path, Field: fmt.Sprintf("linux.namespaces[%d].path", i)}
		if ns.Path != "" && slices.Contains(runner.EnterKinds, kind) && !runner.SameNamespace(ns.Path, kind) {
			b.joins = append(b.joins, join)
		}
		if ns.Path != "" && slices.Contains(runner.BeforeKinds, kind) {
			b.before = append(b.before, join)
		}
		if ns.Path == "" && ns.Type == specs.UserNamespace {
			b.ids = &runner.IDMap{UIDs: kernelMappings(config.Linux.UIDs), GIDs: kernelMappings(config.Linux.GIDs)}
		}
	}
	dir, err := filepath.Abs(ref.Path)
	if err != nil {
		return b
	}
	absoluteSources(config.Mounts, dir)
	b.mapped = convert.IDMapped(&specs.Spec{
		Mounts: config.Mounts, Linux: &specs.Linux{Namespaces: config.Linux.Namespaces, UIDMappings: config.Linux.UIDs, GIDMappings: config.Linux.GIDs},
	})
	return b
}

// notEntered tells of a bundle's namespaces that only run, and plan of that
// bundle alone, are started in. That its mappings are not entered is a gap.
func (f *containerFlags) notEntered(a imageArgs, instead string) []convert.Note {
	limits, err := f.limits()
	if err != nil {
		return nil
	}
	var notes []convert.Note
	for _, j := range spacesOf(a, limits).joins {
		notes = append(notes, convert.Note{Field: j.Field, Text: fmt.Sprintf("%s: the %s namespace is not entered here, as it is by run: %s", a.ref, j.Kind, instead)})
	}
	return notes
}

func kernelMappings(mappings []specs.LinuxIDMapping) []syscall.SysProcIDMap {
	out := make([]syscall.SysProcIDMap, len(mappings))
	for i, m := range mappings {
		out[i] = syscall.SysProcIDMap{ContainerID: int(m.ContainerID), HostID: int(m.HostID), Size: int(m.Size)}
	}
	return out
}

// joinedPaths are the paths of the namespaces that this program has been
// started in for the bundle, or is in: of users that is so for real root, while
// anybody else's sandbox needs one of its own.
func joinedPaths(by standing, inside *runner.Inside, spec *specs.Spec) map[string]bool {
	paths := map[string]bool{}
	for _, ns := range spec.Linux.Namespaces {
		if kind := string(ns.Type); ns.Path != "" &&
			(inside != nil && inside.Joined(kind) || (kind == "time" || kind == "user" && inside == nil && by.root && !by.confined) && runner.SameNamespace(ns.Path, kind)) {
			paths[ns.Path] = true
		}
	}
	return paths
}
