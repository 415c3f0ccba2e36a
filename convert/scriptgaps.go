package convert

import (
	"fmt"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// maxScriptPaths is how many store paths a script binds: bubblewrap's time
// grows with their square, and its arguments are counted.
const maxScriptPaths = 1000

// ScriptGaps are what of a plan a shell script around bubblewrap can't have,
// beside what Plan says for a host without a stage: the init is not there to
// set up the process.
func ScriptGaps(p *bwrap.Plan) []Gap {
	var gaps []Gap
	lack := func(is bool, field, reason string) {
		if is {
			gaps = append(gaps, Gap{Field: field, Effect: Lacks, Reason: "in a script: " + reason, Remedy: "oci2bwrap run has it"})
		}
	}
	weak := func(is bool, field, reason string) {
		if is {
			gaps = append(gaps, Gap{Field: field, Effect: Weakens, Reason: "in a script: " + reason, Remedy: "oci2bwrap run has it"})
		}
	}
	proc := p.Process
	lack(proc.Terminal, "process.terminal", "bubblewrap has no terminal of the sandbox's own")
	lack(len(proc.Groups) > 0, "process.user.additionalGids", "bubblewrap sets no supplementary groups")
	lack(proc.OOMScoreAdj != nil, "process.oomScoreAdj", "bubblewrap has no option for it")
	lack(len(proc.StartHooks) > 0, "hooks.startContainer", "nothing is run before the command")
	lack(len(p.Sysctl) > 0, "linux.sysctl", "bubblewrap sets none")
	lack(p.Namespaces.Domainname != "", "domainname", "bubblewrap sets none")
	lack(proc.StopSignal != "SIGTERM", "annotations[org.opencontainers.image.stopSignal]", "signals end bubblewrap, and the sandbox with it")
	lack(p.Namespaces.Time, "linux.timeOffsets", "bubblewrap makes no time namespace")
	for _, j := range p.Namespaces.Join {
		instead := "a new one is made"
		if j.Kind == "time" { // bubblewrap makes none
			instead = "that of the script's caller stays"
		}
		lack(true, j.Field, fmt.Sprintf("bubblewrap joins no %s namespace: %s", j.Kind, instead))
	}
	for _, l := range proc.Rlimits {
		weak(true, "process.rlimits["+l.Type+"]", "bubblewrap sets no limits")
	}
	weak(!p.Namespaces.User && (proc.UID != 0 || proc.GID != 0), "process.user.uid",
		fmt.Sprintf("bubblewrap is root, and can be %d:%d only where it makes a user namespace: write the script as the user who runs it", proc.UID, proc.GID))
	for _, s := range p.Steps {
		if c, ok := s.Op.(bwrap.Closure); ok {
			weak(len(c.Paths) > maxScriptPaths, "mounts["+c.Dst+"]", fmt.Sprintf("%d store paths are too many for bubblewrap's options, and all of the store is shown", len(c.Paths)))
		}
	}
	return gaps
}

// ForScript is the plan with what ScriptGaps has named replaced: too many
// store paths by the whole store, a namespace that is joined by a new one.
func ForScript(p *bwrap.Plan) *bwrap.Plan {
	out := *p
	out.Steps = nil
	n := &out.Namespaces
	for _, j := range n.Join {
		*map[string]*bool{"network": &n.Net, "ipc": &n.IPC, "uts": &n.UTS, "cgroup": &n.Cgroup, "pid": &n.PID, "user": &n.User, "time": &n.Time}[j.Kind] = true
		n.Mapped = n.Mapped && j.Kind != "user"
	}
	n.Join = nil
	for _, s := range p.Steps {
		if c, ok := s.Op.(bwrap.Closure); ok && len(c.Paths) > maxScriptPaths {
			s.Op = bwrap.Bind{Src: StoreDir, Dst: c.Dst, ReadOnly: true}
		}
		out.Steps = append(out.Steps, s)
	}
	return &out
}
