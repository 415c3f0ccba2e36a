package main

import (
	"fmt"
	"strings"

	"github.com/oci2bwrap/oci2bwrap/convert"
	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

// rights writes what the process may do and how much of it.
func (t planPrinter) rights() {
	p, origin := t.planned.Plan.Process, t.result.Origin
	seccomp := "none"
	if p.Seccomp != nil {
		seccomp = fmt.Sprintf("a filter of %d instructions", len(p.Seccomp.BPF)/8)
	}
	t.line("seccomp", seccomp, origin["linux.seccomp"])
	t.line("caps", capWords(p.Capabilities.Bounding), "bounding set")
	if effective := capWords(p.Capabilities.Effective); effective != capWords(p.Capabilities.Bounding) {
		t.line("", effective, "effective set")
	}
	if len(p.Capabilities.Ambient) > 0 {
		t.line("", capWords(p.Capabilities.Ambient), "ambient set")
	}
	for i, l := range p.Rlimits {
		text := fmt.Sprintf("%s=%s:%s", strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")), planLimit(l.Soft), planLimit(l.Hard))
		t.line(map[bool]string{true: "limits"}[i == 0], text, "process.rlimits")
	}
	if p.OOMScoreAdj != nil {
		t.line("oom", fmt.Sprintf("score adjusted by %d", *p.OOMScoreAdj), "process.oomScoreAdj")
	}
	if c := t.planned.Plan.Cgroup; c != nil {
		t.line("cgroup", "one of its own below "+bwrap.Quote(c.Parent), "linux.resources")
		for _, f := range c.Files {
			t.line("", f.Name+" = "+bwrap.Quote(f.Value), f.Field)
		}
	}
}

func capWords(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.ToLower(strings.ReplaceAll(strings.Join(names, " "), "CAP_", ""))
}

func planLimit(n uint64) string {
	if n == convert.Unlimited {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

// spaces writes the namespaces, and what is set in them.
func (t planPrinter) spaces() {
	plan := t.planned.Plan
	n := plan.Namespaces
	own, shared := namespaceWords(n)
	t.line("own", own, "namespaces")
	if shared != "" {
		t.line("shared", shared, "namespaces")
	}
	for _, j := range n.Join {
		t.line("joined", j.Kind+" "+bwrap.Quote(j.Path), j.Field)
	}
	for _, ids := range t.idMaps() {
		t.line(ids.label, ids.text, "inside = outside")
	}
	if n.UTS {
		t.line("hostname", n.Hostname, "")
	}
	if n.Domainname != "" {
		t.line("domain", n.Domainname, "domainname")
	}
	for i, c := range n.Clocks {
		t.line(map[bool]string{true: "clocks"}[i == 0], fmt.Sprintf("%s %+d.%09d s", c.Name, c.Seconds, c.Nanoseconds), "linux.timeOffsets")
	}
	for i, s := range plan.Sysctl {
		t.line(map[bool]string{true: "sysctl"}[i == 0], s.Path+" = "+bwrap.Quote(s.Value), "linux.sysctl")
	}
	if pasta := t.result.Pasta; len(pasta) > 0 {
		words := make([]string, len(pasta))
		for i, w := range pasta {
			words[i] = bwrap.Quote(w)
		}
		t.line("pasta", strings.Join(words, " "), "connects the network")
	}
}

type idLine struct{ label, text string }

// idMaps gives the maps of the sandbox's user namespace, whoever makes it.
func (t planPrinter) idMaps() []idLine {
	n, p := t.planned.Plan.Namespaces, t.planned.Plan.Process
	uids, gids := n.UIDMap, n.GIDMap
	switch {
	case !n.User:
		return nil
	case n.Mapped:
		m := t.host.Mapped
		if m == nil {
			return nil
		}
		for _, l := range m.UIDs {
			uids = append(uids, bwrap.IDMapping{Inside: l.ContainerID, Outside: l.HostID, Size: l.Size})
		}
		for _, l := range m.GIDs {
			gids = append(gids, bwrap.IDMapping{Inside: l.ContainerID, Outside: l.HostID, Size: l.Size})
		}
	case uids == nil:
		uids = []bwrap.IDMapping{{Inside: uint32(p.UID), Outside: uint32(t.host.UID), Size: 1}}
		gids = []bwrap.IDMapping{{Inside: uint32(p.GID), Outside: uint32(t.host.GID), Size: 1}}
	}
	var lines []idLine
	for _, kind := range []struct {
		label string
		maps  []bwrap.IDMapping
	}{{"uids", uids}, {"gids", gids}} {
		lines = append(lines, idLine{kind.label, idRanges(kind.maps)})
	}
	return lines
}

func idRanges(maps []bwrap.IDMapping) string {
	words := make([]string, len(maps))
	for i, m := range maps {
		words[i] = idRange(m.Inside, m.Size) + "=" + idRange(m.Outside, m.Size)
	}
	return strings.Join(words, " ")
}

func idRange(first, size uint32) string {
	if size <= 1 {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d-%d", first, uint64(first)+uint64(size)-1)
}
