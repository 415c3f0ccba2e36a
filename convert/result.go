package convert

import specs "github.com/opencontainers/runtime-spec/specs-go"

// Result is a converted image config: the Spec, and what the Spec has no
// field for.
type Result struct {
	Spec *specs.Spec

	// Files holds the content of the bind mounts whose Source is no file of
	// the host, keyed by that Source: a path relative to the bundle.
	Files map[string][]byte

	// Origin says where a part of the Spec comes from, keyed by a mount's
	// Destination or by a field ("process.args", "process.cwd", "env:PATH"):
	// "config.Volumes", "-v", "default".
	Origin map[string]string

	// StopSignal is the flag's or the image's, as it is written there; empty
	// where neither says one. The annotation may differ: a label wins over it.
	StopSignal string

	// Pasta holds pasta's options for NetworkPasta, without those that name
	// the namespace; nil for another network.
	Pasta []string

	// Chown are host files and directories that are to belong to the command's
	// user, with all in them, before it starts: of -v SRC:DST:U.
	Chown []string

	Notes []Note
}
