package seccomp

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// data is a struct seccomp_data.
type data struct {
	nr, arch uint32
	args     [6]uint64
}

// run is the kernel's machine for classic BPF, as strict as its checker.
func run(program []byte, d data) (uint32, error) {
	packet := binary.LittleEndian.AppendUint32(nil, d.nr)
	packet = binary.LittleEndian.AppendUint32(packet, d.arch)
	packet = binary.LittleEndian.AppendUint64(packet, 0)
	for _, a := range d.args {
		packet = binary.LittleEndian.AppendUint64(packet, a)
	}
	if len(program)%8 != 0 || len(program)/8 > 4096 {
		return 0, fmt.Errorf("%d bytes", len(program))
	}
	var acc uint32
	for pc := 0; pc < len(program)/8; pc++ {
		in := program[8*pc:]
		code, yes, no, k := binary.LittleEndian.Uint16(in), int(in[2]), int(in[3]), binary.LittleEndian.Uint32(in[4:])
		taken := false
		switch code {
		case 0x20:
			if k%4 != 0 || k > 60 {
				return 0, fmt.Errorf("%d: load from %d", pc, k)
			}
			acc = binary.LittleEndian.Uint32(packet[k:])
			continue
		case 0x54:
			acc &= k
			continue
		case 0x05:
			pc += int(k)
			continue
		case 0x06:
			return k, nil
		case 0x15:
			taken = acc == k
		case 0x25:
			taken = acc > k
		case 0x35:
			taken = acc >= k
		default:
			return 0, fmt.Errorf("%d: code %#x", pc, code)
		}
		if taken {
			pc += yes
		} else {
			pc += no
		}
	}
	return 0, fmt.Errorf("ran off the end")
}

// wanted evaluates the Spec's rules for a call, one after the other.
func wanted(s *specs.LinuxSeccomp, d data) uint32 {
	table, wide, x32 := amd64Numbers, true, false
	switch {
	case d.arch == auditX8664 && d.nr >= x32Bit && d.nr != 0xffffffff:
		x32 = true
		if !slices.Contains(s.Architectures, specs.ArchX32) {
			return 0
		}
	case d.arch == auditX8664:
	case d.arch == auditX86 && slices.Contains(s.Architectures, specs.ArchX86):
		table, wide = i386Numbers, false
	default:
		return 0
	}
	value := func(a specs.LinuxSeccompAction, errno *uint) uint32 {
		v := map[specs.LinuxSeccompAction]uint32{
			specs.ActAllow: 0x7fff0000, specs.ActErrno: 0x50001, specs.ActKillProcess: 1 << 31, specs.ActTrap: 0x30000, specs.ActTrace: 0x7ff00001,
			specs.ActLog: 0x7ffc0000, specs.ActKill: 0, specs.ActKillThread: 0,
		}[a]
		if errno != nil && (a == specs.ActErrno || a == specs.ActTrace) {
			v = v&^0xffff | uint32(*errno)
		}
		return v
	}
	def := value(s.DefaultAction, s.DefaultErrnoRet)
	names, last := byName(table, x32), uint32(0)
	outcome, decided := def, false
	for _, conditional := range []bool{false, true} { // an unconditional rule wins
		for _, call := range s.Syscalls {
			act := value(call.Action, call.ErrnoRet)
			for _, name := range call.Names {
				n, ok := names[name]
				if !ok {
					continue
				}
				last = max(last, n)
				if n == d.nr && act != def && !decided && conditional == (len(call.Args) > 0) && (!conditional || holds(call.Args, d.args, wide)) {
					outcome, decided = act, true
				}
			}
		}
	}
	if d.nr > last && s.DefaultAction != specs.ActAllow && s.DefaultAction != specs.ActLog && s.DefaultAction != specs.ActTrace {
		return 0x50000 | 38
	}
	return outcome
}

// byName is a table as a map, made once.
func byName(table string, x32 bool) map[string]uint32 {
	key := fmt.Sprint(len(table), x32)
	if m, ok := tables.Load(key); ok {
		return m.(map[string]uint32)
	}
	m := map[string]uint32{}
	for name, n := range (&abi{table: table, x32: x32}).numbers() {
		m[name] = n
	}
	tables.Store(key, m)
	return m
}

var tables sync.Map

// holds says whether all conditions do, or one where an argument comes twice.
func holds(conditions []specs.LinuxSeccompArg, args [6]uint64, wide bool) bool {
	count, twice, yes := map[uint]int{}, false, 0
	for _, c := range conditions {
		count[c.Index]++
		twice = twice || count[c.Index] > 1
		a, v, w := args[c.Index], c.Value, c.ValueTwo
		if !wide {
			a, v, w = a&0xffffffff, v&0xffffffff, w&0xffffffff
		}
		var ok bool
		switch c.Op {
		case specs.OpNotEqual:
			ok = a != v
		case specs.OpEqualTo:
			ok = a == v
		case specs.OpLessThan:
			ok = a < v
		case specs.OpLessEqual:
			ok = a <= v
		case specs.OpGreaterThan:
			ok = a > v
		case specs.OpGreaterEqual:
			ok = a >= v
		case specs.OpMaskedEqual:
			ok = a&v == w&v
		}
		if ok {
			yes++
		}
	}
	return twice && yes > 0 || yes == len(conditions)
}

var testOperators = [...]specs.LinuxSeccompOperator{specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual}

var testActions = [...]specs.LinuxSeccompAction{specs.ActErrno, specs.ActAllow, specs.ActKillProcess, specs.ActKill, specs.ActTrap, specs.ActTrace, specs.ActLog, specs.ActKillThread}

// interesting gives 64-bit values that differ in one half, or a bit.
func interesting(r *rand.Rand) uint64 {
	base := [...]uint64{0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 1 << 32, 1<<32 + 1, 1 << 63, 1<<64 - 1, 0x7e020000}[r.IntN(10)]
	if r.IntN(3) == 0 {
		return bits.RotateLeft64(base, r.IntN(64))
	}
	return base
}

// madeUp is a filter made of a seed.
func madeUp(r *rand.Rand, names []string) *specs.LinuxSeccomp {
	errno := func() *uint {
		if r.IntN(2) == 0 {
			return nil
		}
		n := uint(r.IntN(maxErrno + 1))
		return &n
	}
	s := &specs.LinuxSeccomp{DefaultAction: testActions[r.IntN(8)], DefaultErrnoRet: errno()}
	for _, a := range []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchAARCH64} {
		if r.IntN(2) == 0 {
			s.Architectures = append(s.Architectures, a)
		}
	}
	for range r.IntN(30) {
		c := specs.LinuxSyscall{Action: testActions[r.IntN(8)], ErrnoRet: errno()}
		for range 1 + r.IntN(12) {
			c.Names = append(c.Names, names[r.IntN(len(names))])
		}
		plain := r.IntN(2) == 0
		for range max(1, r.IntN(5)) {
			if plain {
				break
			}
			c.Args = append(c.Args, specs.LinuxSeccompArg{Index: uint(r.IntN(6)), Op: testOperators[r.IntN(7)], Value: interesting(r), ValueTwo: interesting(r)})
		}
		s.Syscalls = append(s.Syscalls, c)
	}
	return s
}

// TestRandomFilters compares what the program does with what the rules say.
func TestRandomFilters(t *testing.T) {
	for seed := range uint64(300) {
		checkSeed(t, seed, 400)
	}
}

func FuzzFilters(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { checkSeed(t, seed, 400) })
}

func checkSeed(t *testing.T, seed uint64, calls int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 7))
	var names []string
	for name := range (&abi{table: amd64Numbers}).numbers() {
		// Multiplexed calls have a test of their own.
		if name != "semop" && name != "semtimedop" && !slices.Contains(socketcalls[:], name) && !slices.Contains(ipcs[:], name) {
			names = append(names, name)
		}
	}
	s := madeUp(r, append(names, "no_such_call"))
	program, _, err := Compile(s, specs.ArchX86_64)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	var numbers []uint32
	for _, abi := range []*abi{{table: amd64Numbers}, {table: i386Numbers}, {table: amd64Numbers, x32: true}} {
		for _, n := range abi.numbers() {
			numbers = append(numbers, n)
		}
	}
	numbers = append(numbers, 0xffffffff, x32Bit, x32Bit-1, x32Bit|999, 999, 1<<31)
	for range calls {
		d := data{arch: []uint32{auditX8664, auditX8664, auditX86, auditARM}[r.IntN(4)], nr: numbers[r.IntN(len(numbers))]}
		for i := range d.args {
			d.args[i] = interesting(r)
			if r.IntN(2) == 0 && len(s.Syscalls) > 0 {
				if args := s.Syscalls[r.IntN(len(s.Syscalls))].Args; len(args) > 0 {
					d.args[i] = args[r.IntN(len(args))].Value + uint64(r.IntN(3)) - 1
				}
			}
		}
		got, err := run(program, d)
		if want := wanted(s, d); err != nil || got != want {
			t.Fatalf("seed %d: %+v: got %#x (%v), want %#x\n%+v", seed, d, got, err, want, s)
		}
	}
}
