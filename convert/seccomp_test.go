package convert

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	ispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// specOf converts an image that has but a command.
func specOf(t *testing.T, host Host, o Options) (*specs.Spec, error) {
	t.Helper()
	o.Command = []string{"/bin/true"}
	res, err := Spec(ispec.Image{RootFS: ispec.RootFS{Type: "layers"}}, Rootfs{}, host, o)
	if err != nil {
		return nil, err
	}
	return res.Spec, nil
}

// allows says whether a rule without conditions allows the call.
func allows(s *specs.LinuxSeccomp, name string) bool {
	return slices.ContainsFunc(s.Syscalls, func(c specs.LinuxSyscall) bool {
		return c.Action == specs.ActAllow && len(c.Args) == 0 && slices.Contains(c.Names, name)
	})
}

func TestSeccompProfile(t *testing.T) {
	for _, tt := range []struct {
		host          Host
		o             Options
		allowed, not_ []string
	}{
		{Host{}, Options{}, []string{"read", "ptrace", "chroot"}, []string{"mount", "unshare", "clone", "bpf", "keyctl", "no_such"}},
		{Host{Kernel: "4.7.10-generic"}, Options{}, []string{"read"}, []string{"ptrace"}},
		{Host{Kernel: "4.8"}, Options{}, []string{"ptrace"}, nil},
		{Host{Kernel: "10.0.1-rc1"}, Options{}, []string{"ptrace"}, nil},
		{Host{Kernel: "4.7"}, Options{CapAdd: []string{"sys_ptrace"}}, []string{"ptrace"}, nil},
		{Host{}, Options{CapAdd: []string{"SYS_ADMIN"}}, []string{"mount", "unshare", "clone"}, []string{"reboot"}},
		{Host{}, Options{CapAdd: []string{"SYS_ADMIN"}, User: "7"}, []string{"mount"}, nil},
		{Host{}, Options{CapDrop: []string{"all"}}, []string{"read"}, []string{"chroot"}},
		{Host{}, Options{Seccomp: Seccomp{Name: "f", Profile: []byte(`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"defaultErrno":"ENOSYS",
			"archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":[]},{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":[]}],
			"syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","comment":"x"},{"names":["write"],"action":"SCMP_ACT_ERRNO","errnoRet":1,"errno":"EPERM"},
			{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"],"minKernel":"4.8"}},
			{"names":["umount"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"],"arches":["s390"]}}]}`)}},
			[]string{"read", "umount"}, []string{"write", "mount"}},
	} {
		s, err := specOf(t, tt.host, tt.o)
		if err != nil {
			t.Fatal(err)
		}
		f := s.Linux.Seccomp
		for _, name := range tt.allowed {
			if !allows(f, name) {
				t.Errorf("%+v %+v: %s is not allowed", tt.host, tt.o, name)
			}
		}
		for _, name := range tt.not_ {
			if allows(f, name) {
				t.Errorf("%+v %+v: %s is allowed", tt.host, tt.o, name)
			}
		}
		if (runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64") && len(f.Architectures) == 0 {
			t.Errorf("no architectures")
		}
		if b, err := filter(f); err != nil || len(b.BPF) == 0 {
			t.Errorf("%+v: %v", tt.o, err)
		}
	}
	if s, err := specOf(t, Host{}, Options{Seccomp: Seccomp{Unconfined: true}}); err != nil || s.Linux.Seccomp != nil {
		t.Errorf("unconfined: %v %v", s.Linux.Seccomp, err)
	}
}

// TestAuditSockets: docker's rule of netlink sockets is whole with the
// capability, and divided without it.
func TestAuditSockets(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want []int // conditions of the rules
	}{{Options{}, []int{2, 2}}, {Options{CapAdd: []string{"audit_write"}}, []int{1}}} {
		s, err := specOf(t, Host{}, tt.o)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		for _, c := range s.Linux.Seccomp.Syscalls {
			if len(c.Args) > 0 && c.Args[0] == netlink[0] && slices.Contains(c.Names, "socket") {
				got = append(got, len(c.Args))
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%+v: rules with %d conditions, want %d", tt.o, got, tt.want)
		}
	}
}

func TestSeccompProfileFaults(t *testing.T) {
	for doc, want := range map[string]string{
		``:   "EOF",
		`{}`: "defaultAction is missing",
		`{"defaultAction":"SCMP_ACT_ALLOW","sycalls":[]}`:                                                                                  `unknown field "sycalls"`,
		`{"defaultAction":"SCMP_ACT_ALLOW"} {}`:                                                                                            "something follows",
		`{"defaultAction":"SCMP_ACT_ALLOW","architectures":["a"],"archMap":[{"architecture":"a"}]}`:                                        "both architectures and archMap",
		`{"defaultAction":"SCMP_ACT_ERRNO","defaultErrno":"ENOSYS"}`:                                                                       `defaultErrno "ENOSYS" without`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"]}]}`:                                                       "syscalls[0]: both name and names",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_KILL"}]}`:                                                       "syscalls[0]: no names",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_ERRNO","errno":"EPERM"}]}`:                        `errno "EPERM" without`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_KILL","includes":{"minKernel":"four"}}]}`:         "invalid kernel version",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_KILL","includes":{"cap":["x"]}}]}`:                `unknown field "cap"`,
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_KILL","args":[{"index":-1}]}]}`:                   "index",
		strings.Repeat(" ", maxSeccompProfile) + `{"defaultAction":"SCMP_ACT_ALLOW"}`:                                                      "more than 4194304 bytes",
		`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_KILL","excludes":{"caps":["CAP_X"],"and":"y"}}]}`: `unknown field "and"`,
	} {
		_, err := specOf(t, Host{}, Options{Seccomp: Seccomp{Name: "f.json", Profile: []byte(doc)}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--security-opt seccomp=f.json: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.100s: %v, want %s", doc, err, want)
		}
	}
	// What the compiler refuses is an error of the plan.
	if _, err := filter(&specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_X"}); err == nil {
		t.Error("an unknown action is accepted")
	}
}

func FuzzParseSeccomp(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64"}],"syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":2,"op":"SCMP_CMP_NE"}],"includes":{"caps":["CAP_KILL"],"minKernel":"4.8"}}]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := parseSeccomp(doc)
		if err != nil {
			return
		}
		s, err := p.resolve(defaultCapabilities(), "6.1.0")
		if err != nil {
			return
		}
		if b, err := filter(s); err == nil && (len(b.BPF) == 0 || len(b.BPF) > 8*4096) {
			t.Errorf("%d bytes of filter", len(b.BPF))
		}
	})
}
