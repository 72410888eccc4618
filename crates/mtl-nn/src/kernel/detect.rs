//! Which instructions for products the processor has, and the system lets us use.

#![allow(unsafe_code, reason = "registers of the processor, and a system call without a wrapper")]

use super::Instructions;

#[cfg(not(target_arch = "x86_64"))]
pub(super) fn detect() -> Instructions {
    Instructions::Portable
}

#[cfg(target_arch = "x86_64")]
pub(super) fn detect() -> Instructions {
    let avx2 = std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma");
    let avx512 = avx2 && std::is_x86_feature_detected!("avx512f");
    let bf16 = avx512 && std::is_x86_feature_detected!("avx512bf16");
    // Kernels for AMX were written without such a processor: should it find another product than
    // the definition does, those before it are used.
    if bf16 && amx::is_there() && amx::is_permitted() {
        // SAFETY: the processor has them, and the system has just permitted them.
        if unsafe { super::packed::amx_multiplies_rightly() } {
            return Instructions::AmxBf16;
        }
    }
    match (avx512, bf16) {
        (true, true) => Instructions::Avx512Bf16,
        (true, false) => Instructions::Avx512,
        _ if avx2 => Instructions::Avx2,
        _ => Instructions::Portable,
    }
}

#[cfg(target_arch = "x86_64")]
mod amx {
    use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};

    /// Tile configuration and tile data: the components of XCR0.
    const TILE_STATE: u64 = 1 << 17 | 1 << 18;

    /// The processor multiplies tiles of bf16 as large as the kernels take them, and the system
    /// keeps tiles when it switches threads.
    pub(super) fn is_there() -> bool {
        const OSXSAVE: u32 = 1 << 27;
        const AMX_BF16_AND_TILE: u32 = 1 << 22 | 1 << 24;
        let has = __cpuid(0).eax >= 0x1D
            && __cpuid(1).ecx & OSXSAVE != 0
            && __cpuid_count(7, 0).edx & AMX_BF16_AND_TILE == AMX_BF16_AND_TILE;
        if !has {
            return false;
        }
        // Palette 1: 8 tiles of 16 rows of 64 bytes.
        let (tiles, rows) = (__cpuid_count(0x1D, 1).ebx, __cpuid_count(0x1D, 1).ecx);
        let (row_bytes, n_tiles, n_rows) = (tiles & 0xFFFF, tiles >> 16, rows & 0xFFFF);
        // SAFETY: OSXSAVE says that XGETBV is enabled.
        let kept = unsafe { enabled_state() };
        (row_bytes, n_rows) == (64, 16) && n_tiles >= 8 && kept & TILE_STATE == TILE_STATE
    }

    /// # Safety
    /// The system has enabled XGETBV.
    #[target_feature(enable = "xsave")]
    unsafe fn enabled_state() -> u64 {
        // SAFETY: the caller's promise; register 0 is always there.
        unsafe { _xgetbv(0) }
    }

    /// Asks for the use of tile data: Linux keeps its 8 KiB a thread only for a process that wants
    /// it. The answer holds for all threads, and for those that start later.
    #[cfg(target_os = "linux")]
    pub(super) fn is_permitted() -> bool {
        const ARCH_PRCTL: i64 = 158;
        const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
        const TILE_DATA: u64 = 18;
        let result: i64;
        // SAFETY: `arch_prctl` with this code reads and writes no memory of ours; a system call
        // overwrites RCX and R11. A kernel that does not know it answers with an error.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") ARCH_PRCTL => result,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") TILE_DATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        result == 0
    }

    /// Other systems have other ways, which nobody has tried here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_permitted() -> bool {
        false
    }
}
