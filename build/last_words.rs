//! What the program says when it dies of a fault: two lines on stderr, which procd puts into the log.
//!
//! Packages made by `cross/` are built without the messages of panics (they cost 4 % of the program): a panic is an
//! instruction the processor refuses. So what is left to say is where: the address of that instruction, and what on the
//! stack looks like the address of a caller. `cross/where` turns them into functions, files and lines. See
//! docs/decisions/0006-size.md.
#![allow(unsafe_code, reason = "a handler of signals, and it reads registers and stack as the kernel hands them over")]

use std::ffi::{c_int, c_void};
use std::ptr;

/// Signals that mean the program is broken.
const FAULTS: [c_int; 6] = [libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGFPE, libc::SIGSEGV, libc::SIGBUS];
/// Callers told of; the line stays below what a log takes (512 bytes with the rest of it).
const CALLERS: usize = 20;
/// Words of the stack that are looked through, at the most: of another thread than the first nobody says where it ends,
/// and the smallest stack is larger than this.
const WORDS: usize = if cfg!(target_pointer_width = "64") { 64 } else { 128 };
const WORDS_OF_FIRST_THREAD: usize = 4096;

/// Where the kernel leaves the program counter and the stack pointer in what it hands to a handler (`struct ucontext`).
#[cfg(target_arch = "x86_64")]
const SAVED: Option<(usize, usize)> = Some((168, 160));
#[cfg(target_arch = "aarch64")]
const SAVED: Option<(usize, usize)> = Some((440, 432));
#[cfg(target_arch = "arm")]
const SAVED: Option<(usize, usize)> = Some((92, 84));
#[cfg(target_arch = "riscv64")]
const SAVED: Option<(usize, usize)> = Some((176, 192));
// Registers are 64 bits wide here, of which the lower half counts.
#[cfg(all(target_arch = "mips", target_endian = "big"))]
const SAVED: Option<(usize, usize)> = Some((36, 276));
#[cfg(all(target_arch = "mips", target_endian = "little"))]
const SAVED: Option<(usize, usize)> = Some((32, 272));
#[cfg(not(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "arm",
    target_arch = "riscv64",
    target_arch = "mips"
)))]
const SAVED: Option<(usize, usize)> = None;

unsafe extern "C" {
    /// The linker's names of the image: its first byte, where code begins, where it ends.
    static __executable_start: u8;
    static _start: u8;
    static etext: u8;
    /// The environment lies above everything on the stack of the first thread.
    static environ: *const usize;
}

/// From here on a fault is told before the program dies of it.
pub(crate) fn on_fault() {
    // Sound: `handler` is what the kernel calls with these flags, and the rest of the structure is plain numbers. On the
    // stack that the standard library has put aside for an overflow of the usual one.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESETHAND;
        for fault in FAULTS {
            libc::sigaction(fault, &raw const action, ptr::null_mut());
        }
    }
}

/// The signal is back to killing by then (`SA_RESETHAND`) and waits until this returns.
extern "C" fn handler(signal: c_int, _info: *mut libc::siginfo_t, context: *mut c_void) {
    const WHO: &str = concat!("usp-agent ", env!("CARGO_PKG_VERSION"), ": ");
    let mut line = Line { bytes: [0; 512], length: 0 };
    line.text(WHO);
    line.text("signal ");
    line.number(signal.unsigned_abs() as usize, 10);
    // Sound: the kernel hands over a context that holds these two; what is read of the stack is between the stack pointer
    // and where the stack ends. Nothing here takes a lock or memory.
    unsafe {
        if let Some((counter, stack)) = SAVED {
            let saved = |offset| context.byte_add(offset).cast::<usize>().read();
            line.text(" at ");
            line.address(saved(counter));
            line.say();
            // A line of its own: where the stack is what broke, reading it ends the program.
            line.text(WHO);
            line.text("called from");
            // Where code is kept once (cross/shorten/) only $ra knows from where it was called.
            line.callers(saved(stack), if cfg!(target_arch = "mips") { saved(stack + 16) } else { 0 });
        }
        line.say();
        libc::raise(signal);
    }
}

struct Line {
    bytes: [u8; 512],
    length: usize,
}

impl Line {
    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = byte;
                self.length += 1;
            }
        }
    }

    fn say(&mut self) {
        self.text("\n");
        // Sound: of these bytes the length is known. Nobody is left who could do anything about an error.
        unsafe { libc::write(2, self.bytes.as_ptr().cast(), self.length) };
        self.length = 0;
    }

    fn number(&mut self, value: usize, base: usize) {
        if value >= base {
            self.number(value / base, base);
        }
        let digit = value % base;
        self.text("0123456789abcdef".get(digit..=digit).unwrap_or_default());
    }

    /// As the linker counts: in an image that can be moved, from its beginning.
    fn address(&mut self, address: usize) {
        let image = &raw const __executable_start;
        // Sound: the head of an ELF file is in memory, and tells its kind at byte 16 in either byte order.
        let kind = unsafe { image.byte_add(16).read() | image.byte_add(17).read() };
        let moved = if kind == 3 { image as usize } else { 0 };
        self.text("0x");
        self.number(address.wrapping_sub(moved), 16);
    }

    /// What on the stack points into code, from the innermost on, and before it `last` where that does; some of it was
    /// left by calls that are over.
    ///
    /// # Safety
    /// `stack` is the stack pointer of a thread of this program.
    unsafe fn callers(&mut self, stack: usize, last: usize) {
        let code = &raw const _start as usize..&raw const etext as usize;
        if code.contains(&last) {
            self.text(" ");
            self.address(last);
        }
        let end = unsafe { environ } as usize;
        let room = end.checked_sub(stack).filter(|room| *room < 8 << 20);
        let words = room.map_or(WORDS, |room| (room / size_of::<usize>()).min(WORDS_OF_FIRST_THREAD));
        let mut told = 0;
        for at in 0..words {
            let word = unsafe { (stack as *const usize).add(at).read_volatile() };
            if code.contains(&word) && told < CALLERS {
                self.text(" ");
                self.address(word);
                told += 1;
            }
        }
    }
}
