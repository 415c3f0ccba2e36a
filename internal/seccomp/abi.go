package seccomp

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// abi is a numbering of system calls.
type abi struct {
	table string // "name number …", in any order
	x32   bool   // table is that of x86_64, to be read as x32's
	wide  bool   // arguments have 64 bits
	mux   bool   // sockets and System V IPC have a call each for all of them
}

// auditArch is what the kernel gives as architecture, with the ABIs that it
// may mean.
type auditArch struct {
	audit    uint32
	low, x32 *abi
}

// Values of linux/audit.h.
const (
	auditX8664   = 0xc000003e
	auditX86     = 0x40000003
	auditARM     = 0x40000028
	auditAArch64 = 0xc00000b7
)

// x32Bit marks the number of an x32 call.
const x32Bit = 0x40000000

// families are the architectures whose programs one kernel runs, the
// machine's own first.
var families = [...][]specs.Arch{
	{specs.ArchX86_64, specs.ArchX86, specs.ArchX32},
	{specs.ArchAARCH64, specs.ArchARM},
	{specs.ArchX86},
	{specs.ArchARM},
}

// otherArches are those of runtime-spec whose programs none of these run.
var otherArches = [...]specs.Arch{
	specs.ArchMIPS, specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
	specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X, specs.ArchPARISC, specs.ArchPARISC64,
	specs.ArchRISCV64, specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB,
}

// Native gives the architecture for a GOARCH; "" where there is no table for
// it.
func Native(goarch string) specs.Arch {
	switch goarch {
	case "amd64":
		return specs.ArchX86_64
	case "arm64":
		return specs.ArchAARCH64
	case "386":
		return specs.ArchX86
	case "arm":
		return specs.ArchARM
	}
	return ""
}

// family gives the architectures that the machine runs and the filter is for.
// The others of arches never come to be asked for.
func family(native specs.Arch, arches []specs.Arch) ([]auditArch, error) {
	i := slices.IndexFunc(families[:], func(f []specs.Arch) bool { return f[0] == native })
	if i < 0 {
		return nil, fmt.Errorf("linux.seccomp: there is no table of system calls for this machine's architecture %q", native)
	}
	wanted := map[specs.Arch]bool{native: true}
	for i, a := range arches {
		known := slices.ContainsFunc(families[:], func(f []specs.Arch) bool { return slices.Contains(f, a) })
		if !known && !slices.Contains(otherArches[:], a) {
			return nil, fmt.Errorf("linux.seccomp.architectures[%d]: unknown architecture %q", i, a)
		}
		wanted[a] = true
	}
	var list []auditArch
	for _, a := range families[i] {
		switch {
		case !wanted[a] || a == specs.ArchX32:
		case a == specs.ArchX86_64:
			arch := auditArch{audit: auditX8664, low: &abi{table: amd64Numbers, wide: true}}
			if wanted[specs.ArchX32] {
				arch.x32 = &abi{table: amd64Numbers, x32: true, wide: true}
			}
			list = append(list, arch)
		case a == specs.ArchX86:
			list = append(list, auditArch{audit: auditX86, low: &abi{table: i386Numbers, mux: true}})
		case a == specs.ArchAARCH64:
			list = append(list, auditArch{audit: auditAArch64, low: &abi{table: arm64Numbers, wide: true}})
		case a == specs.ArchARM:
			list = append(list, auditArch{audit: auditARM, low: &abi{table: armNumbers}})
		}
	}
	return list, nil
}

// numbers yields the names of the system calls and their numbers.
func (a *abi) numbers() iter.Seq2[string, uint32] {
	return func(yield func(string, uint32) bool) {
		name := ""
		for word := range strings.FieldsSeq(a.table) {
			if name == "" {
				name = word
				continue
			}
			n, err := strconv.ParseUint(word, 10, 32)
			number := uint32(n)
			if a.x32 {
				number = x32Number(name, number)
			}
			if err == nil && !yield(name, number) {
				return
			}
			name = ""
		}
	}
}

// x32Number gives the number of a call of x86_64 for x32: the same with a bit
// set, but for those whose arguments have another layout. Calls that x32 does
// not have keep a number that the kernel answers with ENOSYS.
func x32Number(name string, number uint32) uint32 {
	if i := slices.Index(x32Own[:], name); i >= 0 {
		number = x32First + uint32(i)
	}
	return x32Bit | number
}

// x32Own are the calls that x32 has of its own, from number x32First on
// (arch/x86/entry/syscalls/syscall_64.tbl).
const x32First = 512

var x32Own = [...]string{
	"rt_sigaction", "rt_sigreturn", "ioctl", "readv", "writev", "recvfrom", "sendmsg", "recvmsg", "execve", "ptrace",
	"rt_sigpending", "rt_sigtimedwait", "rt_sigqueueinfo", "sigaltstack", "timer_create", "mq_notify", "kexec_load",
	"waitid", "set_robust_list", "get_robust_list", "vmsplice", "move_pages", "preadv", "pwritev",
	"rt_tgsigqueueinfo", "recvmmsg", "sendmmsg", "process_vm_readv", "process_vm_writev", "setsockopt", "getsockopt",
	"io_setup", "io_submit", "execveat", "preadv2", "pwritev2",
}
