#include "textflag.h"

// func getrlimit(resource uintptr, limit *[2]uint64) int
TEXT ·getrlimit(SB), NOSPLIT, $0-24
	MOVD $163, R8 // SYS_getrlimit
	MOVD resource+0(FP), R0
	MOVD limit+8(FP), R1
	SVC
	MOVD R0, ret+16(FP)
	RET
