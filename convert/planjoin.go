package convert

import (
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// join has the sandbox enter the namespaces that the Spec names by a path, as
// far as the runner's thread can do so before it starts bubblewrap. Of the
// others a new one is made.
func (p *planner) join(plan *bwrap.Plan) {
	n := &plan.Namespaces
	own := map[specs.LinuxNamespaceType]*bool{
		specs.NetworkNamespace: &n.Net, specs.IPCNamespace: &n.IPC, specs.UTSNamespace: &n.UTS, specs.CgroupNamespace: &n.Cgroup,
	}
	for i, ns := range p.spec.Linux.Namespaces {
		if ns.Path == "" {
			continue
		}
		field := fmt.Sprintf("linux.namespaces[%d].path", i)
		flag := own[ns.Type]
		switch {
		case flag == nil:
			p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks,
				Reason: fmt.Sprintf("a sandbox can't join a %s namespace: it is made in one of its own", ns.Type)})
			continue
		case p.host.ordinary():
			p.gaps = append(p.gaps, Gap{Field: field, Effect: Lacks,
				Reason: "only root may join a namespace: a new one is made", Remedy: "run oci2bwrap as root"})
			continue
		}
		*flag = false
		n.Join = append(n.Join, bwrap.Join{Kind: string(ns.Type), Path: ns.Path, Field: field})
		if ns.Type != specs.UTSNamespace {
			continue
		}
		for _, name := range []struct {
			field, value string
		}{{"hostname", n.Hostname}, {"domainname", n.Domainname}} {
			if name.value != "" {
				p.gaps = append(p.gaps, Gap{Field: name.field, Effect: Lacks, Reason: "the uts namespace is joined, and keeps its own name"})
			}
		}
		n.Hostname, n.Domainname = "", ""
	}
}
