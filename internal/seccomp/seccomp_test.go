package seccomp

import (
	"fmt"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestFaultsAreNamed(t *testing.T) {
	errno := uint(5000)
	s := &specs.LinuxSeccomp{
		DefaultAction: "SCMP_ACT_MAYBE",
		Flags:         []specs.LinuxSeccompFlag{"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_X"},
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read"}, Action: specs.ActErrno, ErrnoRet: &errno},
			{Names: []string{"read"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 6, Op: specs.OpEqualTo}, {Op: "SCMP_CMP_LIKE"}}},
		},
	}
	_, _, err := Compile(s, specs.ArchX86_64)
	want := `linux.seccomp.defaultAction: unknown action "SCMP_ACT_MAYBE"
linux.seccomp.syscalls[0].action: errnoRet: 5000 is above 4095
linux.seccomp.syscalls[1].args[0]: index: 6 is above 5
linux.seccomp.syscalls[1].args[1]: op: unknown operator "SCMP_CMP_LIKE"
linux.seccomp.flags[1]: unknown flag "SECCOMP_FILTER_FLAG_X"`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	for _, arches := range [][]specs.Arch{{"SCMP_ARCH_VAX"}, {specs.ArchX86_64, "x86_64"}} {
		if _, _, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: arches}, specs.ArchX86_64); err == nil {
			t.Errorf("%q is accepted", arches)
		}
	}
	if _, _, err := Compile(&specs.LinuxSeccomp{DefaultAction: specs.ActAllow}, Native("riscv64")); err == nil {
		t.Error("an architecture without a table is accepted")
	}
}

// TestMultiplexed: what is said of a socket call holds for the way around it
// that 32-bit x86 has.
func TestMultiplexed(t *testing.T) {
	arg := func(index uint) []specs.LinuxSeccompArg {
		return []specs.LinuxSeccompArg{{Index: index, Op: specs.OpEqualTo, Value: 16}}
	}
	entry := func(name string, a specs.LinuxSeccompAction, args []specs.LinuxSeccompArg) specs.LinuxSyscall {
		return specs.LinuxSyscall{Names: []string{name}, Action: a, Args: args}
	}
	for _, tt := range []struct {
		def      specs.LinuxSeccompAction
		syscalls []specs.LinuxSyscall
		nr, arg  uint32
		want     uint32
	}{
		{specs.ActAllow, []specs.LinuxSyscall{entry("socket", specs.ActErrno, nil)}, 102, 1, 0x50001},
		{specs.ActAllow, []specs.LinuxSyscall{entry("socket", specs.ActErrno, nil)}, 102, 2, retAllow},
		{specs.ActAllow, []specs.LinuxSyscall{entry("socket", specs.ActErrno, nil)}, 359, 0, 0x50001},
		{specs.ActAllow, []specs.LinuxSyscall{entry("socket", specs.ActErrno, arg(0))}, 102, 1, 0x50001},
		{specs.ActAllow, []specs.LinuxSyscall{entry("sendto", specs.ActErrno, arg(3))}, 102, 11, 0x50001},
		{specs.ActErrno, []specs.LinuxSyscall{entry("sendto", specs.ActAllow, arg(3))}, 102, 11, 0x50001},
		{specs.ActErrno, []specs.LinuxSyscall{entry("socket", specs.ActAllow, arg(0))}, 102, 1, retAllow},
		{specs.ActErrno, []specs.LinuxSyscall{entry("socket", specs.ActAllow, nil), entry("connect", specs.ActAllow, nil)}, 102, 3, retAllow},
		{specs.ActErrno, []specs.LinuxSyscall{entry("socket", specs.ActAllow, nil)}, 102, 3, 0x50001},
		{specs.ActErrno, []specs.LinuxSyscall{entry("socketcall", specs.ActAllow, nil), entry("socket", specs.ActKill, nil)}, 102, 1, retAllow},
		{specs.ActErrno, []specs.LinuxSyscall{entry("semop", specs.ActAllow, nil)}, 117, 1, retAllow},
		{specs.ActErrno, []specs.LinuxSyscall{entry("semop", specs.ActAllow, nil)}, 117, 2, 0x50001},
		{specs.ActErrno, []specs.LinuxSyscall{entry("semop", specs.ActAllow, nil)}, 118, 2, 0x50026},
	} {
		s := &specs.LinuxSeccomp{DefaultAction: tt.def, Architectures: []specs.Arch{specs.ArchX86}, Syscalls: tt.syscalls}
		program, _, err := Compile(s, specs.ArchX86_64)
		if err != nil {
			t.Fatal(err)
		}
		got, err := run(program, data{arch: auditX86, nr: tt.nr, args: [6]uint64{uint64(tt.arg)}})
		if err != nil || got != tt.want {
			t.Errorf("%+v: call %d(%d): got %#x (%v), want %#x", tt.syscalls, tt.nr, tt.arg, got, err, tt.want)
		}
	}
}

// TestArchitectures: a machine's own is always there, arm comes with aarch64,
// and what the machine does not run is passed over.
func TestArchitectures(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{{Names: []string{"openat"}, Action: specs.ActAllow}}}
	for _, tt := range []struct {
		native   specs.Arch
		arches   []specs.Arch
		arch, nr uint32
		want     uint32
	}{
		{specs.ArchX86_64, nil, auditX8664, 257, retAllow},
		{specs.ArchX86_64, nil, auditX86, 295, retKillThread},
		{specs.ArchX86_64, []specs.Arch{specs.ArchX86, specs.ArchMIPS}, auditX86, 295, retAllow},
		{specs.ArchX86_64, []specs.Arch{specs.ArchX86}, auditX8664, 257, retAllow},
		{specs.ArchX86_64, nil, auditX8664, x32Bit | 257, retKillThread},
		{specs.ArchX86_64, nil, auditX8664, 0xffffffff, 0x50026},
		{specs.ArchX86_64, []specs.Arch{specs.ArchX32}, auditX8664, x32Bit | 257, retAllow},
		{specs.ArchAARCH64, nil, auditAArch64, 56, retAllow},
		{specs.ArchAARCH64, nil, auditARM, 322, retKillThread},
		{specs.ArchAARCH64, []specs.Arch{specs.ArchARM}, auditARM, 322, retAllow},
		{specs.ArchAARCH64, []specs.Arch{specs.ArchARM}, auditX8664, 257, retKillThread},
		{specs.ArchARM, nil, auditARM, 322, retAllow},
	} {
		s.Architectures = tt.arches
		program, _, err := Compile(s, tt.native)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := run(program, data{arch: tt.arch, nr: tt.nr}); err != nil || got != tt.want {
			t.Errorf("%s with %q: arch %#x, call %d: got %#x (%v), want %#x", tt.native, tt.arches, tt.arch, tt.nr, got, err, tt.want)
		}
	}
}

// TestLong: a filter whose parts are out of reach of a conditional jump, and
// one that is too long for the kernel.
func TestLong(t *testing.T) {
	s := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno}
	for i := range 200 {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"write"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 2, Op: specs.OpEqualTo, Value: uint64(i)<<32 | 7}}})
	}
	for i := range 100 {
		n := uint(i)
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{fmt.Sprint("x", i), "read"}, Action: specs.ActErrno, ErrnoRet: &n,
			Args: []specs.LinuxSeccompArg{{Index: 0, Op: specs.OpMaskedEqual, Value: 0xff, ValueTwo: uint64(i)}}})
	}
	program, _, err := Compile(s, specs.ArchX86_64)
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(300) {
		for _, d := range []data{{nr: 1, arch: auditX8664, args: [6]uint64{2: i<<32 | 7}}, {nr: 0, arch: auditX8664, args: [6]uint64{0: 1<<40 | i}}, {nr: uint32(i), arch: auditX8664}} {
			if got, err := run(program, d); err != nil || got != wanted(s, d) {
				t.Fatalf("%+v: got %#x (%v), want %#x", d, got, err, wanted(s, d))
			}
		}
	}
	for i := range 2000 {
		s.Syscalls = append(s.Syscalls, specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 1, Op: specs.OpEqualTo, Value: uint64(i)}}})
	}
	if _, _, err := Compile(s, specs.ArchX86_64); err == nil || !strings.Contains(err.Error(), "4096") {
		t.Errorf("a filter that is too long: %v", err)
	}
}
