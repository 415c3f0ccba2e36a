#include "textflag.h"

// func getrlimit(resource uintptr, limit *[2]uint64) int
TEXT ·getrlimit(SB), NOSPLIT, $0-24
	MOVQ $97, AX // SYS_getrlimit
	MOVQ resource+0(FP), DI
	MOVQ limit+8(FP), SI
	SYSCALL
	MOVQ AX, ret+16(FP)
	RET
