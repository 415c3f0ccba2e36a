// Package seccomp compiles linux.seccomp of a runtime Spec to the classic BPF
// that seccomp(2) takes. It follows what runc makes of the same Spec through
// libseccomp, in what the specification leaves open:
//
//   - a name that is no system call of an architecture is passed over;
//   - the architecture of the machine is always one of the filter's, and a
//     call of one that is not listed kills the thread;
//   - of rules for one call an unconditional one wins over those with
//     arguments, and of two the first; a rule whose action is the default one
//     says nothing;
//   - conditions of a rule are all to hold, unless two of them look at the same
//     argument: then each is a rule of its own;
//   - a call with a number above every one that the profile names gives
//     ENOSYS, and not the error of the default action: a program that tries
//     what is newer than the profile falls back to what is older.
//
// Where the arguments of a call meet the conditions of several rules, the first
// of them decides; libseccomp has an order of its own there.
package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// MaxInstructions is the kernel's BPF_MAXINSNS.
const MaxInstructions = 4096

// InstructionSize is that of a struct sock_filter, in bytes.
const InstructionSize = 8

// Compile gives the program for s as an array of struct sock_filter of a
// little-endian machine, and the flags for seccomp(2). native is the machine's
// architecture. All faults of s are returned at once, joined.
//
// SCMP_ACT_NOTIFY is compiled as it is: without a listener the kernel fails
// such a call with ENOSYS.
func Compile(s *specs.LinuxSeccomp, native specs.Arch) (program []byte, flags uint32, err error) {
	arches, err := family(native, s.Architectures)
	p, perr := newProfile(s)
	flags, ferr := filterFlags(s.Flags)
	if err := errors.Join(err, perr, ferr); err != nil {
		return nil, 0, err
	}
	var a assembler
	bad := a.ret(retKillThread) // libseccomp's answer to a foreign architecture
	entry := bad
	for _, abis := range arches {
		entry = a.branch(jumpEqual, abis.audit, a.calls(p, abis, bad), entry)
	}
	a.load(offsetArch, entry)
	if len(a.reversed) > MaxInstructions {
		return nil, 0, fmt.Errorf("linux.seccomp: the filter needs %d instructions, the kernel takes %d", len(a.reversed), MaxInstructions)
	}
	return a.bytes(), flags, nil
}

// calls adds the code for the system calls of an audit architecture and gives
// its beginning.
func (a *assembler) calls(p *profile, abis auditArch, bad label) label {
	low, top := a.abi(p, abis.low, bad)
	entry := low
	if abis.audit == auditX8664 {
		// x32 calls come with the architecture of x86_64 and a bit in their
		// number; -1 has that bit as well, and is what a tracer leaves where
		// it has skipped a call.
		high := bad
		if abis.x32 != nil {
			high, _ = a.abi(p, abis.x32, bad)
		}
		high = a.branch(jumpEqual, 0xffffffff, top, high)
		entry = a.branch(jumpGreaterEqual, x32Bit, high, low)
	}
	return a.load(offsetNumber, entry)
}

// abi adds the code for the calls of one ABI, whose number is loaded: its
// beginning, and what becomes of a number above all others.
func (a *assembler) abi(p *profile, abi *abi, bad label) (entry, top label) {
	calls, last := p.resolve(abi)
	def := a.ret(p.def)
	top = def
	if p.newerIsENOSYS() {
		top = a.ret(retErrno | errnoENOSYS)
	}
	known := map[string]label{}
	rules := ranges{{0, def}}
	next := uint32(0)
	for _, c := range calls {
		if c.number > next {
			rules = rules.add(next, def)
		}
		key := c.key()
		l, ok := known[key]
		if !ok {
			l = a.outcome(c.rules, def, abi.wide)
			if key != "" {
				known[key] = l
			}
		}
		rules = rules.add(c.number, l)
		next = c.number + 1
	}
	if next <= last {
		rules = rules.add(next, def)
	}
	rules = rules.add(last+1, top)
	return a.search(rules), top
}

// span is what becomes of the numbers from start up to the next span.
type span struct {
	start   uint32
	outcome label
}

type ranges []span

func (r ranges) add(start uint32, outcome label) ranges {
	switch last := &r[len(r)-1]; {
	case last.start == start:
		last.outcome = outcome
		if len(r) > 1 && r[len(r)-2].outcome == outcome {
			return r[:len(r)-1]
		}
	case last.outcome != outcome:
		return append(r, span{start, outcome})
	}
	return r
}

// search adds a balanced tree of comparisons.
func (a *assembler) search(r ranges) label {
	if len(r) == 1 {
		return r[0].outcome
	}
	mid := len(r) / 2
	above := a.search(r[mid:])
	return a.branch(jumpGreaterEqual, r[mid].start, above, a.search(r[:mid]))
}

// outcome adds the code for the rules of a call, the first first.
func (a *assembler) outcome(rules []rule, def label, wide bool) label {
	entry := def
	for i := len(rules) - 1; i >= 0; i-- {
		yes, no := a.ret(rules[i].ret), entry
		for j := len(rules[i].conditions) - 1; j >= 0; j-- {
			yes = a.condition(rules[i].conditions[j], wide, yes, no)
		}
		entry = yes
	}
	return entry
}

func (a *assembler) bytes() []byte {
	out := make([]byte, 0, InstructionSize*len(a.reversed))
	for i := len(a.reversed) - 1; i >= 0; i-- {
		in := a.reversed[i]
		out = binary.LittleEndian.AppendUint16(out, in.code)
		out = append(out, in.yes, in.no)
		out = binary.LittleEndian.AppendUint32(out, in.k)
	}
	return out
}
