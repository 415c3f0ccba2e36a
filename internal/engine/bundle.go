package engine

import (
	"encoding/json"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func (e *Engine) state() string { return filepath.Join(e.Dir, "state") }

// ways gives the manners of calling the engine, the plainest first.
func (e *Engine) ways() []way {
	switch e.Name {
	case "podman":
		return e.podmanWays()
	case "buildah":
		return e.buildahWays()
	}
	return e.bundleWays()
}

const (
	withoutLimits = "resource limits left out of config.json"
	ownCgroup2    = "in a mount namespace with cgroup2 at /sys/fs/cgroup"
	noCgroups     = "no cgroup manager"
)

func (e *Engine) bundleWays() []way {
	disabled := []string{"--cgroup-manager=disabled"}
	private := []string{"/proc/self/exe", cgroupWord}
	ways := []way{
		e.bundleWay("", nil, nil, true),
		e.bundleWay(withoutLimits, nil, nil, false),
	}
	if e.Name == "crun" {
		ways = append(ways,
			e.bundleWay(noCgroups, nil, disabled, true),
			e.bundleWay(ownCgroup2+", "+noCgroups, private, disabled, true),
			e.bundleWay(ownCgroup2+", "+noCgroups+", "+withoutLimits, private, disabled, false),
		)
	}
	return ways
}

func (e *Engine) bundleWay(what string, before, flags []string, limits bool) way {
	return way{
		what:    what,
		prepare: func(r Run) error { return e.writeConfig(r, limits) },
		argv:    func(id string, r Run) []string { return e.bundleArgv(before, flags, id, r) },
		private: before != nil,
	}
}

func (e *Engine) bundleArgv(before, flags []string, id string, r Run) []string {
	argv := append(append([]string{}, before...), e.Name, "--root", e.state())
	argv = append(append(argv, flags...), "run", "--bundle", e.Bundle)
	if r.Probe != nil {
		argv = append(argv, "--preserve-fds", "1")
	}
	return append(argv, id)
}

// writeConfig writes config.json for the run.
func (e *Engine) writeConfig(r Run, limits bool) error {
	spec := *e.Spec
	process := *spec.Process
	process.Args = r.Args
	process.Terminal = false
	if !limits {
		process.Rlimits = nil
	}
	spec.Process = &process
	spec.Root = &specs.Root{Path: "rootfs", Readonly: e.Spec.Root != nil && e.Spec.Root.Readonly}
	doc, err := json.Marshal(&spec)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.state(), 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.Bundle, "config.json"), doc, 0o644)
}
