package main

import (
	"slices"

	"github.com/spf13/cobra"
)

// podmanCommands are commands of podman's and docker's that are none here, and
// what serves instead.
var podmanCommands = [...]struct {
	names []string
	hint  string
}{
	{[]string{"pull", "push", "search", "login"}, fetchers},
	{[]string{"build"}, "buildah build -t NAME . && buildah push NAME oci:DIR:TAG makes an image directory"},
	{[]string{"ps", "stop", "kill", "logs", "attach", "wait", "rm", "start", "top"},
		"a sandbox is the process oci2bwrap run, of the shell or a service manager: ps, kill and a redirection serve; oci2bwrap exec PID goes into it"},
	{[]string{"images", "rmi", "load", "save", "tag"}, "an image is a path on this machine; oci2bwrap cache shows what has been unpacked of them"},
}

// noCommand refuses what is no command, with what to do instead.
func noCommand(cmd *cobra.Command, args []string) error {
	err := cobra.NoArgs(cmd, args)
	if err == nil {
		return nil
	}
	for _, p := range podmanCommands {
		if slices.Contains(p.names, args[0]) {
			return &hinted{err, p.hint}
		}
	}
	return &hinted{err, "oci2bwrap --help lists the commands"}
}
