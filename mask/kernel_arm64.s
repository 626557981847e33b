//go:build !purego

#include "textflag.h"

// The shape is that of the amd64 kernels, where it was measured: in place, no
// two stores overlap in part and the last 0 to 15 bytes take no branch; from
// one place to another, the tail is an overlapping vector loaded first.

// func xor(p *byte, n int, key, next uint32)
//
// R0 p, moving   R1 n   R2 key   R3 next   R4 key twice   V31 key in all lanes
TEXT ·xor(SB), NOSPLIT, $0-24
	MOVD  p+0(FP), R0
	MOVD  n+8(FP), R1
	MOVWU key+16(FP), R2
	MOVWU next+20(FP), R3
	CMP   $4, R1
	BLT   few
	CMP   $16, R1
	BLT   tail
	VDUP  R2, V31.S4
	LSR   $6, R1, R5
	CBZ   R5, blocks

loop64:
	VLD1   (R0), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR   V31.B16, V0.B16, V0.B16
	VEOR   V31.B16, V1.B16, V1.B16
	VEOR   V31.B16, V2.B16, V2.B16
	VEOR   V31.B16, V3.B16, V3.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	SUBS   $1, R5, R5
	BNE    loop64

blocks:
	TBZ    $5, R1, block
	VLD1   (R0), [V0.B16, V1.B16]
	VEOR   V31.B16, V0.B16, V0.B16
	VEOR   V31.B16, V1.B16, V1.B16
	VST1.P [V0.B16, V1.B16], 32(R0)

block:
	TBZ    $4, R1, tail
	VLD1   (R0), [V0.B16]
	VEOR   V31.B16, V0.B16, V0.B16
	VST1.P [V0.B16], 16(R0)

	// For a bit of n that is not set, R6 becomes a place in our own argument
	// slots, whose values are in registers by now.
tail:
	ORR  R2<<32, R2, R4
	MOVD $n+8(FP), R5
	TST  $8, R1
	CSEL NE, R0, R5, R6
	MOVD (R6), R7
	EOR  R4, R7, R7
	MOVD R7, (R6)
	AND  $8, R1, R7
	ADD  R7, R0, R0

	MOVD  $key+16(FP), R5
	TST   $4, R1
	CSEL  NE, R0, R5, R6
	MOVWU (R6), R7
	EOR   R2, R7, R7
	MOVW  R7, (R6)
	AND   $4, R1, R7
	ADD   R7, R0, R0

	MOVD  $next+20(FP), R5
	TST   $2, R1
	CSEL  NE, R0, R5, R6
	MOVHU (R6), R7
	EOR   R2, R7, R7
	MOVH  R7, (R6)
	AND   $2, R1, R7
	ADD   R7, R0, R0

	// The last byte of all is the one before next's first.
	LSR   $24, R3, R3
	ADD   $2, R5, R5
	TST   $1, R1
	CSEL  NE, R0, R5, R6
	MOVBU (R6), R7
	EOR   R3, R7, R7
	MOVB  R7, (R6)
	RET

few:
	CBZ   R1, done
	TBZ   $1, R1, one
	MOVHU (R0), R5
	EOR   R2, R5, R5
	MOVH  R5, (R0)
	TBZ   $0, R1, done
	LSR   $24, R3, R2
	ADD   $2, R0, R0

one:
	MOVBU (R0), R5
	EOR   R2, R5, R5
	MOVB  R5, (R0)

done:
	RET

// func xorCopy(dst, src *byte, n int, key, next uint32)
//
// R0 dst   R1 src   R2 n   R3 key   R4 next   V31 key in all lanes
TEXT ·xorCopy(SB), NOSPLIT, $0-32
	MOVD  dst+0(FP), R0
	MOVD  src+8(FP), R1
	MOVD  n+16(FP), R2
	MOVWU key+24(FP), R3
	MOVWU next+28(FP), R4
	CMP   $16, R2
	BLT   below16

	// The last 16 bytes, loaded before a store can reach them if dst is src.
	ADD  R2, R1, R5
	SUB  $16, R5, R5
	VDUP R4, V30.S4
	VLD1 (R5), [V29.B16]
	VEOR V30.B16, V29.B16, V29.B16
	ADD  R2, R0, R6
	SUB  $16, R6, R6
	VDUP R3, V31.S4
	LSR  $6, R2, R5
	CBZ  R5, copy32

copy64:
	VLD1.P 64(R1), [V0.B16, V1.B16, V2.B16, V3.B16]
	VEOR   V31.B16, V0.B16, V0.B16
	VEOR   V31.B16, V1.B16, V1.B16
	VEOR   V31.B16, V2.B16, V2.B16
	VEOR   V31.B16, V3.B16, V3.B16
	VST1.P [V0.B16, V1.B16, V2.B16, V3.B16], 64(R0)
	SUBS   $1, R5, R5
	BNE    copy64

copy32:
	TBZ    $5, R2, copy16
	VLD1.P 32(R1), [V0.B16, V1.B16]
	VEOR   V31.B16, V0.B16, V0.B16
	VEOR   V31.B16, V1.B16, V1.B16
	VST1.P [V0.B16, V1.B16], 32(R0)

copy16:
	TBZ  $4, R2, copyEnd
	VLD1 (R1), [V0.B16]
	VEOR V31.B16, V0.B16, V0.B16
	VST1 [V0.B16], (R0)

copyEnd:
	VST1 [V29.B16], (R6)
	RET

below16:
	TBZ  $3, R2, below8
	ADD  R2, R1, R5
	ADD  R2, R0, R6
	MOVD (R1), R7
	MOVD -8(R5), R8
	ORR  R3<<32, R3, R3
	ORR  R4<<32, R4, R4
	EOR  R3, R7, R7
	EOR  R4, R8, R8
	MOVD R7, (R0)
	MOVD R8, -8(R6)
	RET

below8:
	TBZ   $2, R2, below4
	ADD   R2, R1, R5
	ADD   R2, R0, R6
	MOVWU (R1), R7
	MOVWU -4(R5), R8
	EOR   R3, R7, R7
	EOR   R4, R8, R8
	MOVW  R7, (R0)
	MOVW  R8, -4(R6)
	RET

below4:
	CBZ   R2, copyDone
	TBZ   $1, R2, copyOne
	MOVHU (R1), R7
	EOR   R3, R7, R7
	MOVH  R7, (R0)
	TBZ   $0, R2, copyDone
	LSR   $24, R4, R3
	ADD   $2, R0, R0
	ADD   $2, R1, R1

copyOne:
	MOVBU (R1), R7
	EOR   R3, R7, R7
	MOVB  R7, (R0)

copyDone:
	RET
