//! The instructions of AMX on a processor without them, for tests.
//!
//! Such a processor raises SIGILL; the handler decodes the instruction where it stopped (by a decoder
//! that is not the assembler which wrote it), does what Intel's manual (volume 2, "TDPBF16PS" and its
//! neighbours) says, and goes on behind it. So tests run the kernels' own machine code, with
//! whatever its registers hold. Where the processor has AMX nothing is installed.

#![allow(
    unsafe_code,
    reason = "a signal handler, which reads and writes what the code it stopped does"
)]

use std::cell::RefCell;
use std::sync::Once;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, Register};
use libc::{c_int, c_void, siginfo_t, ucontext_t};

use crate::kernel::{Instructions, Kernels, Precision};

/// The kernels of AMX; they run, whatever the processor.
pub(crate) fn kernels() -> Kernels {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        if Instructions::detect() < Instructions::AmxBf16 {
            install();
        }
    });
    Kernels::emulated(Precision::Bf16, Instructions::AmxBf16)
}

fn install() {
    // The decoder makes its tables when it is first used: not in a signal handler.
    assert!(Decoder::new(64, &[0x90], DecoderOptions::NONE).decode().mnemonic() == Mnemonic::Nop);
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = on_illegal_instruction;
    // SAFETY: all zeros is a valid `sigaction`, without flags; the handler has the signature that
    // SA_SIGINFO asks for. It only ever runs at an illegal instruction, so it interrupts no lock.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut())
    };
    assert_eq!(result, 0, "a handler of SIGILL");
}

extern "C" fn on_illegal_instruction(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the system passes the context that it restores when this returns.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    let at = registers[libc::REG_RIP as usize] as u64;
    // SAFETY: the processor has fetched these bytes; an instruction has at most 15, and code of a
    // test binary is followed by other sections.
    let code = unsafe { std::slice::from_raw_parts(at as *const u8, 15) };
    let instruction = Decoder::with_ip(64, code, at, DecoderOptions::NONE).decode();
    // SAFETY: memory operands are those of the code that was stopped.
    let done = TILES.with_borrow_mut(|tiles| unsafe { tiles.execute(&instruction, registers) });
    if done {
        registers[libc::REG_RIP as usize] = instruction.next_ip() as i64;
    } else {
        // Not ours: it stops again at the same place, with the usual end.
        // SAFETY: restores the default.
        unsafe { libc::signal(libc::SIGILL, libc::SIG_DFL) };
    }
}

type Registers = [libc::greg_t; 23];

thread_local! {
    static TILES: RefCell<Tiles> = const { RefCell::new(Tiles::RELEASED) };
}

const ROWS: usize = 16;
const ROW_BYTES: usize = 64;
const N_TILES: usize = 8;

/// The tiles of a thread.
struct Tiles {
    /// Rows and bytes of a row, once configured.
    shapes: Option<[(usize, usize); N_TILES]>,
    data: [[[u8; ROW_BYTES]; ROWS]; N_TILES],
}

impl Tiles {
    const RELEASED: Self = Self { shapes: None, data: [[[0; ROW_BYTES]; ROWS]; N_TILES] };

    /// Whether the instruction is one of AMX; what the manual calls #UD or #GP is a panic.
    ///
    /// # Safety
    /// The instruction's memory operand is one that the code may access.
    unsafe fn execute(&mut self, instruction: &Instruction, registers: &Registers) -> bool {
        let tile = |operand: u32| {
            let register = instruction.op_register(operand) as usize;
            register.checked_sub(Register::TMM0 as usize).filter(|&t| t < N_TILES).expect("a tile")
        };
        let at = || Address::of(instruction, registers);
        match instruction.mnemonic() {
            // SAFETY: the caller's promise.
            Mnemonic::Ldtilecfg => unsafe { self.configure(at().base) },
            Mnemonic::Tilerelease => *self = Self::RELEASED,
            Mnemonic::Tilezero => {
                self.shape(tile(0));
                self.data[tile(0)] = [[0; ROW_BYTES]; ROWS];
            }
            // SAFETY: the caller's promise.
            Mnemonic::Tileloadd => unsafe { self.load(tile(0), at()) },
            // SAFETY: the caller's promise.
            Mnemonic::Tilestored => unsafe { self.store(tile(1), at()) },
            Mnemonic::Tdpbf16ps => self.multiply(tile(0), tile(1), tile(2)),
            _ => return false,
        }
        true
    }

    fn shape(&self, tile: usize) -> (usize, usize) {
        self.shapes.expect("tiles are configured")[tile]
    }

    unsafe fn configure(&mut self, base: u64) {
        // SAFETY: the operand of `ldtilecfg` is 64 bytes.
        let bytes = unsafe { &*(base as *const [u8; 64]) };
        assert_eq!(bytes[0], 1, "palette 1");
        assert!(bytes[1..16].iter().all(|&b| b == 0), "start row and reserved bytes");
        assert!(bytes[32..48].iter().chain(&bytes[56..]).all(|&b| b == 0), "eight tiles");
        let mut shapes = [(0, 0); N_TILES];
        for (i, shape) in shapes.iter_mut().enumerate() {
            let row_bytes = usize::from(u16::from_le_bytes([bytes[16 + 2 * i], bytes[17 + 2 * i]]));
            *shape = (usize::from(bytes[48 + i]), row_bytes);
            assert!(shape.0 <= ROWS && shape.1 <= ROW_BYTES && (shape.0 == 0) == (shape.1 == 0));
        }
        *self = Self { shapes: Some(shapes), ..Self::RELEASED };
    }

    unsafe fn load(&mut self, tile: usize, from: Address) {
        let (rows, row_bytes) = self.shape(tile);
        self.data[tile] = [[0; ROW_BYTES]; ROWS];
        for (r, row) in self.data[tile].iter_mut().take(rows).enumerate() {
            // SAFETY: the instruction reads these bytes.
            row[..row_bytes].copy_from_slice(unsafe {
                std::slice::from_raw_parts(from.row(r) as *const u8, row_bytes)
            });
        }
    }

    unsafe fn store(&self, tile: usize, to: Address) {
        let (rows, row_bytes) = self.shape(tile);
        for (r, row) in self.data[tile].iter().take(rows).enumerate() {
            // SAFETY: the instruction writes these bytes.
            unsafe { std::slice::from_raw_parts_mut(to.row(r) as *mut u8, row_bytes) }
                .copy_from_slice(&row[..row_bytes]);
        }
    }

    /// C += A·B: the even and the odd values of the inner dimension are added apart, then together,
    /// then to C.
    fn multiply(&mut self, c: usize, a: usize, b: usize) {
        let ((rows, c_bytes), (a_rows, a_bytes)) = (self.shape(c), self.shape(a));
        assert_eq!((a_rows, self.shape(b)), (rows, (a_bytes / 4, c_bytes)), "shapes of tiles");
        assert!(c != a && c != b && a != b, "three tiles");
        for r in 0..rows {
            for j in 0..c_bytes / 4 {
                let mut sums = [0.0f32; 2];
                for k in 0..a_bytes / 4 {
                    for (half, sum) in sums.iter_mut().enumerate() {
                        let product = self.bf16(a, r, 2 * k + half) * self.bf16(b, k, 2 * j + half);
                        *sum = flushed(*sum + flushed(product));
                    }
                }
                let bytes = self.data[c][r][4 * j..].first_chunk_mut::<4>().expect("a value");
                let sum = flushed(f32::from_le_bytes(*bytes)) + flushed(sums[0] + sums[1]);
                *bytes = flushed(sum).to_le_bytes();
            }
        }
    }

    fn bf16(&self, tile: usize, row: usize, i: usize) -> f32 {
        let [low, high] = [self.data[tile][row][2 * i], self.data[tile][row][2 * i + 1]];
        flushed(f32::from_le_bytes([0, 0, low, high]))
    }
}

/// Numbers below the normal ones count as 0, going in and coming out.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { 0.0f32.copysign(x) } else { x }
}

/// A memory operand: where it starts, and the bytes from row to row.
struct Address {
    base: u64,
    stride: u64,
}

impl Address {
    fn of(instruction: &Instruction, registers: &Registers) -> Self {
        let base = value(instruction.memory_base(), registers);
        let index = value(instruction.memory_index(), registers);
        Self {
            base: base.wrapping_add(instruction.memory_displacement64()),
            stride: index.wrapping_mul(u64::from(instruction.memory_index_scale())),
        }
    }

    const fn row(&self, r: usize) -> u64 {
        self.base.wrapping_add(self.stride.wrapping_mul(r as u64))
    }
}

fn value(register: Register, registers: &Registers) -> u64 {
    let index = match register {
        Register::None => return 0,
        Register::RAX => libc::REG_RAX,
        Register::RBX => libc::REG_RBX,
        Register::RCX => libc::REG_RCX,
        Register::RDX => libc::REG_RDX,
        Register::RSI => libc::REG_RSI,
        Register::RDI => libc::REG_RDI,
        Register::RBP => libc::REG_RBP,
        Register::RSP => libc::REG_RSP,
        Register::R8 => libc::REG_R8,
        Register::R9 => libc::REG_R9,
        Register::R10 => libc::REG_R10,
        Register::R11 => libc::REG_R11,
        Register::R12 => libc::REG_R12,
        Register::R13 => libc::REG_R13,
        Register::R14 => libc::REG_R14,
        Register::R15 => libc::REG_R15,
        // The decoder has resolved a displacement from RIP.
        Register::RIP => return 0,
        other => panic!("{other:?} is no register of an address"),
    };
    registers[index as usize] as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::layers::{Activation, Mlp};
    use crate::ops::{Bce, RowLoss, SquaredError};
    use crate::{
        Batch, Graph, GraphBuilder, Optimiser, OptimiserConfig, Params, Result, SHARD_ROWS, Step,
    };

    #[test]
    fn detection_would_find_the_tiles_right() {
        let _ = kernels();
        // SAFETY: the processor or the emulator executes them.
        assert!(unsafe { super::super::amx::multiplies_rightly() });
    }

    /// Two towers on a bottom of odd widths.
    fn graph() -> Result<Arc<Graph<f32>>> {
        let mut b = GraphBuilder::new();
        let x = b.values("x", 45)?;
        let x = b.read(x)?;
        let bottom = Mlp::new(&[70, 33], Activation::Relu).last(Activation::Relu).dropout(0.2);
        let h = bottom.build(&mut b, "bottom", x)?;
        for task in ["click", "stay"] {
            let z = Mlp::new(&[17, 1], Activation::Tanh).build(&mut b, task, h)?;
            let label = b.values(&format!("label.{task}"), 1)?;
            let loss = match task {
                "click" => b.push("loss.click", RowLoss::new(Bce, z, label, None))?,
                _ => b.push("loss.stay", RowLoss::new(SquaredError, z, label, None))?,
            };
            b.loss(task, loss)?;
        }
        Ok(Arc::new(b.finish()))
    }

    /// A whole shard and a part of one.
    fn batch(graph: &Graph<f32>) -> Batch<f32> {
        let mut batch = Batch::for_graph(graph);
        batch.rows = SHARD_ROWS + 39;
        for (slot, spec) in graph.value_slots().iter().enumerate() {
            let value = |i: usize| ((i * 31 + slot * 7) as f32 * 0.37).sin();
            let label = spec.name == "label.click";
            let of = |i: usize| if label { f32::from(value(i) > 0.0) } else { value(i) };
            batch.values[slot] = (0..batch.rows * spec.n_cols).map(of).collect();
        }
        batch
    }

    /// Three steps; every loss and every value that they leave behind.
    fn train(kernels: Kernels, threads: usize) -> Result<Vec<f64>> {
        let graph = graph()?;
        let mut params = Params::init(graph.layout(), 5);
        let mut optimiser = Optimiser::new(OptimiserConfig::default(), graph.layout())?;
        let mut step = Step::new(Arc::clone(&graph))?.with_kernels(kernels);
        let batch = batch(&graph);
        let mut found = Vec::new();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        for _ in 0..3 {
            pool.install(|| -> Result<()> {
                let report = step.run(&mut params, &mut optimiser, &batch, &[1.0, 0.5], 9)?;
                found.extend(report.losses.iter().copied());
                found.push(report.gradient_norm);
                Ok(())
            })?;
        }
        for path in graph.layout().paths() {
            found.extend(params.get(path)?.iter().map(|&v| f64::from(v)));
        }
        Ok(found)
    }

    #[test]
    fn tiles_train_like_the_portable_kernels_and_alike_on_any_number_of_threads() -> Result<()> {
        let one = train(kernels(), 1)?;
        assert_eq!(one, train(kernels(), 3)?);
        let portable = Kernels::new(Precision::Bf16).at_most(Instructions::Portable);
        let plain = train(portable, 1)?;
        let f32 = train(Kernels::default(), 1)?;
        let norms = |all: &[f64]| [0, 3, 6].map(|i| [all[i], all[i + 1], all[i + 2]]);
        for (i, (one, plain)) in norms(&one).iter().zip(norms(&plain)).enumerate() {
            for (one, plain) in one.iter().zip(plain) {
                assert!((one - plain).abs() < 1e-3 * plain.abs(), "step {i}: {one} and {plain}");
            }
        }
        assert_ne!(norms(&one), norms(&f32), "bf16 rounds");
        Ok(())
    }
}
