#include "textflag.h"

// func prefetch(p unsafe.Pointer)
TEXT ·prefetch(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	RET

// func prefetch2(p unsafe.Pointer)
TEXT ·prefetch2(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	RET

// func prefetch4(p unsafe.Pointer)
TEXT ·prefetch4(SB), NOSPLIT|NOFRAME, $0-8
	MOVQ p+0(FP), AX
	PREFETCHT0 (AX)
	PREFETCHT0 64(AX)
	PREFETCHT0 128(AX)
	PREFETCHT0 192(AX)
	RET

// func prefetchAll(lines *uintptr, n int)
TEXT ·prefetchAll(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ lines+0(FP), AX
	MOVQ n+8(FP), CX
	TESTQ CX, CX
	JEQ  done
	LEAQ (AX)(CX*8), CX

next:
	MOVQ (AX), DX
	PREFETCHT0 (DX)
	ADDQ $8, AX
	CMPQ AX, CX
	JNE  next

done:
	RET

// func prefetchBriefs(briefs *uintptr, n int)
TEXT ·prefetchBriefs(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ briefs+0(FP), AX
	MOVQ n+8(FP), CX
	TESTQ CX, CX
	JEQ  done
	LEAQ (AX)(CX*8), CX

next:
	MOVQ (AX), DX
	PREFETCHT0 (DX)
	PREFETCHT0 64(DX)
	PREFETCHT0 128(DX)
	ADDQ $8, AX
	CMPQ AX, CX
	JNE  next

done:
	RET
