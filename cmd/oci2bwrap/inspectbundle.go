package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/oci2bwrap/oci2bwrap/convert/bwrap"
)

type rowWriter func(label, text string)

// inspectBundle writes what a runtime bundle's config.json says, in the order
// of the runtime-spec. What has no words of its own is written as it is there.
func inspectBundle(row rowWriter, raw json.RawMessage) {
	var s specs.Spec
	if err := json.Unmarshal(raw, &s); err != nil {
		row("problem", "config.json: "+err.Error())
		return
	}
	var doc, process, linux map[string]json.RawMessage
	_ = json.Unmarshal(raw, &doc) // an object, as the Spec is
	_ = json.Unmarshal(doc["process"], &process)
	_ = json.Unmarshal(doc["linux"], &linux)

	row("version", s.Version)
	if s.Root != nil {
		row("root", s.Root.Path+map[bool]string{true: "  read-only", false: "  writable"}[s.Root.Readonly])
	}
	if s.Process != nil {
		inspectProcess(row, s.Process)
		inspectOthers(row, process, "terminal", "consoleSize", "user", "args", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges")
	}
	for _, m := range s.Mounts {
		inspectMount(row, m)
	}
	row("hostname", s.Hostname)
	row("domain", s.Domainname)
	if s.Linux != nil {
		inspectLinux(row, s.Linux)
		inspectOthers(row, linux, "uidMappings", "gidMappings", "sysctl", "namespaces", "devices", "seccomp", "maskedPaths", "readonlyPaths")
	}
	if s.Hooks != nil {
		inspectHooks(row, s.Hooks)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Annotations)) {
		row("annotation", name+"="+s.Annotations[name])
	}
	inspectOthers(row, doc, "ociVersion", "root", "process", "mounts", "hostname", "domainname", "linux", "hooks", "annotations")
}

// inspectOthers writes the fields of an object that are set and not shown.
func inspectOthers(row rowWriter, object map[string]json.RawMessage, shown ...string) {
	for _, name := range slices.Sorted(maps.Keys(object)) {
		var text bytes.Buffer
		if slices.Contains(shown, name) || json.Compact(&text, object[name]) != nil {
			continue
		}
		if !slices.Contains([]string{"null", "{}", "[]", `""`, "false"}, text.String()) {
			row(name, text.String())
		}
	}
}

func inspectProcess(row rowWriter, p *specs.Process) {
	row("args", words(p.Args))
	row("cwd", p.Cwd)
	ids := fmt.Sprintf("%d:%d", p.User.UID, p.User.GID)
	if groups := p.User.AdditionalGids; len(groups) > 0 {
		ids += ", groups " + strings.Trim(fmt.Sprint(groups), "[]")
	}
	if p.User.Umask != nil {
		ids += fmt.Sprintf(", umask %04o", *p.User.Umask)
	}
	row("user", ids)
	for _, e := range p.Env {
		row("env", e)
	}
	if p.Terminal {
		text := "its own"
		if p.ConsoleSize != nil {
			text += fmt.Sprintf(", %d columns by %d rows", p.ConsoleSize.Width, p.ConsoleSize.Height)
		}
		row("terminal", text)
	}
	row("privileges", map[bool]string{true: "no new ones", false: "new ones from set-id programs"}[p.NoNewPrivileges])
	if p.Capabilities != nil {
		inspectCaps(row, p.Capabilities)
	}
	for _, l := range p.Rlimits {
		row("limit", fmt.Sprintf("%s=%s:%s", strings.ToLower(strings.TrimPrefix(l.Type, "RLIMIT_")), planLimit(l.Soft), planLimit(l.Hard)))
	}
}

// inspectCaps writes sets that are alike, as they mostly are, once.
func inspectCaps(row rowWriter, c *specs.LinuxCapabilities) {
	var lists []string
	named := map[string]string{}
	for _, set := range []struct {
		name string
		caps []string
	}{{"bounding", c.Bounding}, {"effective", c.Effective}, {"permitted", c.Permitted}, {"inheritable", c.Inheritable}, {"ambient", c.Ambient}} {
		list := capWords(set.caps)
		if named[list] == "" {
			lists = append(lists, list)
		}
		named[list] += " " + set.name
	}
	for _, list := range lists {
		row("caps", list+" ("+strings.TrimSpace(named[list])+")")
	}
}

func inspectMount(row rowWriter, m specs.Mount) {
	text := m.Destination
	if m.Type != "" {
		text += "  " + m.Type
	}
	if m.Source != "" && m.Source != m.Type {
		text += "  from " + bwrap.Quote(m.Source)
	}
	if len(m.Options) > 0 {
		text += "  " + strings.Join(m.Options, ",")
	}
	if maps := idWords(m.UIDMappings); maps != "" {
		text += "  uids " + maps
	}
	if maps := idWords(m.GIDMappings); maps != "" {
		text += "  gids " + maps
	}
	row("mount", text)
}

// idWords are mappings as plan writes them, inside=outside.
func idWords(list []specs.LinuxIDMapping) string {
	words := make([]string, len(list))
	for i, m := range list {
		words[i] = idRange(m.ContainerID, m.Size) + "=" + idRange(m.HostID, m.Size)
	}
	return strings.Join(words, " ")
}

func inspectLinux(row rowWriter, l *specs.Linux) {
	var own []string
	for _, n := range l.Namespaces {
		if n.Path == "" {
			own = append(own, string(n.Type))
		}
	}
	row("namespaces", strings.Join(own, " "))
	for _, n := range l.Namespaces {
		if n.Path != "" {
			row("joined", string(n.Type)+" "+bwrap.Quote(n.Path))
		}
	}
	row("uids", idWords(l.UIDMappings))
	row("gids", idWords(l.GIDMappings))
	for _, name := range slices.Sorted(maps.Keys(l.Sysctl)) {
		row("sysctl", name+" = "+l.Sysctl[name])
	}
	for _, d := range l.Devices {
		row("device", fmt.Sprintf("%s  %s %d:%d", d.Path, d.Type, d.Major, d.Minor))
	}
	if c := l.Seccomp; c != nil {
		row("seccomp", fmt.Sprintf("%s, other rules: %d", c.DefaultAction, len(c.Syscalls)))
	}
	row("masked", strings.Join(l.MaskedPaths, " "))
	row("read-only", strings.Join(l.ReadonlyPaths, " "))
}

func inspectHooks(row rowWriter, h *specs.Hooks) {
	for _, at := range []struct {
		name  string
		hooks []specs.Hook
	}{
		//lint:ignore SA1019 bundles still have them
		{"prestart", h.Prestart},
		{"createRuntime", h.CreateRuntime}, {"createContainer", h.CreateContainer},
		{"startContainer", h.StartContainer}, {"poststart", h.Poststart}, {"poststop", h.Poststop},
	} {
		for _, hook := range at.hooks {
			text := at.name + "  " + bwrap.Quote(hook.Path)
			if len(hook.Args) > 1 {
				text += " " + words(hook.Args[1:])
			}
			row("hook", text)
		}
	}
}
