package seccomp

import specs "github.com/opencontainers/runtime-spec/specs-go"

// instruction is a struct sock_filter. The conditional ones skip yes or no
// instructions.
type instruction struct {
	code    uint16
	yes, no uint8
	k       uint32
}

// Codes of classic BPF (linux/bpf_common.h), as far as a filter uses them.
const (
	loadWord         = 0x20 // BPF_LD | BPF_W | BPF_ABS
	and              = 0x54 // BPF_ALU | BPF_AND | BPF_K
	jump             = 0x05 // BPF_JMP | BPF_JA
	jumpEqual        = 0x15 // BPF_JMP | BPF_JEQ | BPF_K
	jumpGreater      = 0x25 // BPF_JMP | BPF_JGT | BPF_K
	jumpGreaterEqual = 0x35 // BPF_JMP | BPF_JGE | BPF_K
	ret              = 0x06 // BPF_RET | BPF_K
)

// Offsets in struct seccomp_data, of a little-endian machine.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16 // six of 64 bits
)

// label is a place in the program: the number of instructions from there to
// its end.
type label int

// assembler writes a program from its end to its beginning. All jumps lead
// forward, so that the target of each is known when it is written.
type assembler struct {
	reversed []instruction
	rets     map[uint32]label
	near     map[label]label // the latest copy of a place that was out of reach
}

func (a *assembler) emit(i instruction) label {
	a.reversed = append(a.reversed, i)
	return label(len(a.reversed))
}

// ret gives a place that ends the program with the value.
func (a *assembler) ret(value uint32) label {
	if a.rets == nil {
		a.rets, a.near = map[uint32]label{}, map[label]label{}
	}
	l, ok := a.rets[value]
	if !ok {
		l = a.emit(instruction{code: ret, k: value})
		a.rets[value] = l
	}
	return l
}

// load reads the word at the offset and goes on.
func (a *assembler) load(offset uint32, next label) label {
	a.reach(next)
	return a.emit(instruction{code: loadWord, k: offset})
}

// distance is how many instructions the next one emitted has to skip.
func (a *assembler) distance(to label) int { return len(a.reversed) - int(to) }

// branch compares the loaded word with k and goes on at one of two places.
func (a *assembler) branch(code uint16, k uint32, yes, no label) label {
	if yes == no {
		return a.reach(yes)
	}
	// What brings one of them near may move the other away by one.
	yes = a.reachable(yes, 254)
	no = a.reachable(no, 255)
	return a.emit(instruction{code: code, yes: uint8(a.distance(yes)), no: uint8(a.distance(no)), k: k})
}

// reach makes sure that what is emitted next can fall through to the place.
func (a *assembler) reach(to label) label {
	if a.distance(to) == 0 {
		return to
	}
	return a.copy(to)
}

// reachable gives a place with the same effect, at most so many instructions
// away: a conditional jump has eight bits.
func (a *assembler) reachable(to label, most int) label {
	if a.distance(to) <= most {
		return to
	}
	if near, ok := a.near[to]; ok && a.distance(near) <= most {
		return near
	}
	near := a.copy(to)
	a.near[to] = near
	return near
}

func (a *assembler) copy(to label) label {
	if target := a.reversed[to-1]; target.code == ret {
		return a.emit(target)
	}
	return a.emit(instruction{code: jump, k: uint32(a.distance(to))})
}

// condition adds the comparison of an argument. On a 32-bit architecture the
// upper half of both sides is no part of it.
func (a *assembler) condition(c condition, wide bool, yes, no label) label {
	switch c.op {
	case specs.OpNotEqual:
		c.op, yes, no = specs.OpEqualTo, no, yes
	case specs.OpLessThan:
		c.op, yes, no = specs.OpGreaterEqual, no, yes
	case specs.OpLessEqual:
		c.op, yes, no = specs.OpGreaterThan, no, yes
	}
	code := uint16(jumpEqual)
	switch c.op {
	case specs.OpGreaterThan:
		code = jumpGreater
	case specs.OpGreaterEqual:
		code = jumpGreaterEqual
	}
	offset := offsetArgs + 8*uint32(c.index)
	low := a.half(offset, uint32(c.mask), a.branch(code, uint32(c.value), yes, no))
	if !wide {
		return low
	}
	high := a.branch(jumpEqual, uint32(c.value>>32), low, no)
	if code != jumpEqual {
		high = a.branch(jumpGreater, uint32(c.value>>32), yes, high)
	}
	return a.half(offset+4, uint32(c.mask>>32), high)
}

// half loads half of an argument, masks it and goes on.
func (a *assembler) half(offset, mask uint32, next label) label {
	if mask != 0xffffffff {
		a.reach(next)
		next = a.emit(instruction{code: and, k: mask})
	}
	return a.load(offset, next)
}
