package convert

import (
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestCapabilities(t *testing.T) {
	def := strings.Join(defaultCapabilities(), " ")
	without := func(names ...string) string {
		return strings.Join(slices.DeleteFunc(defaultCapabilities(), func(n string) bool { return slices.Contains(names, n) }), " ")
	}
	for _, tt := range []struct {
		add, drop          []string
		user               string
		bounding, eff, amb string
		err                string
	}{
		{nil, nil, "", def, def, "", ""},
		{nil, nil, "33", def, "", "", ""},
		{nil, []string{"kill", "CAP_CHOWN"}, "", without("CAP_KILL", "CAP_CHOWN"), without("CAP_KILL", "CAP_CHOWN"), "", ""},
		{nil, []string{"ALL"}, "", "", "", "", ""},
		{[]string{"net_raw"}, []string{"all"}, "", "CAP_NET_RAW", "CAP_NET_RAW", "", ""},
		{[]string{"cap_net_raw", "NET_RAW"}, []string{"ALL"}, "33", "CAP_NET_RAW", "CAP_NET_RAW", "CAP_NET_RAW", ""},
		{[]string{"ALL"}, []string{"kill"}, "", "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_NET_BIND_SERVICE CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT CAP_SYS_TIME", "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_NET_BIND_SERVICE CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT CAP_SYS_TIME", "", ""},
		{[]string{"ALL"}, []string{"ALL"}, "", "", "", "", "--cap-add: ALL is also dropped by --cap-drop"},
		{[]string{"kill"}, []string{"KILL"}, "", "", "", "", "--cap-add: CAP_KILL is also dropped by --cap-drop"},
		{[]string{"sys_admn"}, nil, "", "", "", "", `--cap-add: unknown capability "sys_admn"`},
		{nil, []string{""}, "", "", "", "", `--cap-drop: unknown capability ""`},
	} {
		host := Host{Capabilities: append(defaultCapabilities(), "CAP_SYS_TIME")}
		s, err := specOf(t, host, Options{CapAdd: tt.add, CapDrop: tt.drop, User: tt.user})
		if tt.err != "" {
			if err == nil || err.Error() != tt.err {
				t.Errorf("add %q drop %q: %v, want %s", tt.add, tt.drop, err, tt.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("add %q drop %q: %v", tt.add, tt.drop, err)
			continue
		}
		c := s.Process.Capabilities
		for _, set := range []struct {
			name string
			got  []string
			want string
		}{{"bounding", c.Bounding, tt.bounding}, {"effective", c.Effective, tt.eff}, {"permitted", c.Permitted, tt.eff}, {"ambient", c.Ambient, tt.amb}, {"inheritable", c.Inheritable, tt.amb}} {
			if got := strings.Join(set.got, " "); got != set.want {
				t.Errorf("add %q drop %q user %q: %s is %s, want %s", tt.add, tt.drop, tt.user, set.name, got, set.want)
			}
		}
	}
	if got := near("CAP_SYS_ADMN", []string{"CAP_KILL", "CAP_SYS_ADMIN"}); !slices.Equal(got, []string{"CAP_SYS_ADMIN"}) {
		t.Errorf("near: %q", got)
	}
}

// TestAmbient: the kernel refuses ambient capabilities that are not permitted
// and inheritable.
func TestAmbient(t *testing.T) {
	spec := &specs.Spec{Linux: &specs.Linux{}, Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{
		Permitted: []string{"CAP_KILL", "CAP_CHOWN"}, Inheritable: []string{"CAP_KILL", "CAP_FOWNER"}, Ambient: []string{"CAP_KILL", "CAP_FOWNER", "CAP_CHOWN"},
	}}}
	if got := process(spec, "/").Capabilities.Ambient; !slices.Equal(got, []string{"CAP_KILL"}) {
		t.Errorf("ambient %q", got)
	}
	if len(spec.Process.Capabilities.Ambient) != 3 {
		t.Error("the Spec was changed")
	}
}

// TestNoEffect: an ordinary user is told which capabilities say nothing
// inside of a user namespace.
func TestNoEffect(t *testing.T) {
	o := Options{Command: []string{"x"}, CapAdd: []string{"sys_time", "net_admin"}}
	for _, tt := range []struct {
		host  Host
		notes int
	}{{Host{UID: 1000}, 1}, {Host{Confined: true}, 1}, {Host{}, 0}} {
		c := &conversion{host: tt.host, o: o, res: &Result{}}
		c.res.Spec, _ = specOf(t, Host{}, Options{})
		c.res.Origin = map[string]string{}
		c.capabilities(user{})
		if len(c.res.Notes) != tt.notes {
			t.Errorf("%+v: %v", tt.host, c.res.Notes)
		}
	}
}

func TestMaskOptions(t *testing.T) {
	s, err := specOf(t, Host{}, Options{Unmask: []string{"/proc/acpi", "/proc/s*"}, Mask: []string{"/proc/version/", "/proc/kcore"}})
	if err != nil {
		t.Fatal(err)
	}
	l := s.Linux
	if slices.Contains(l.MaskedPaths, "/proc/acpi") || slices.Contains(l.ReadonlyPaths, "/proc/sys") || !slices.Contains(l.ReadonlyPaths, "/proc/irq") ||
		len(l.MaskedPaths) != len(maskedPaths())-3+1 || l.MaskedPaths[len(l.MaskedPaths)-1] != "/proc/version" {
		t.Errorf("%q %q", l.MaskedPaths, l.ReadonlyPaths)
	}
	if s, err := specOf(t, Host{}, Options{Unmask: []string{"ALL"}}); err != nil || len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) != 0 {
		t.Errorf("ALL: %v", err)
	}
	for _, o := range []Options{{Unmask: []string{"proc"}}, {Unmask: []string{"/[a"}}, {Mask: []string{"x"}}, {Mask: []string{"/.."}}} {
		if _, err := specOf(t, Host{}, o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
