//! What an unwinder offers, for a program that never unwinds: `panic = "abort"` ends it where it panics.
//!
//! The standard library names these functions of libgcc_s all the same, for backtraces, and cannot be told not to. With
//! these in their place the linker sees that no frame is ever visited and leaves out the reader of debug information
//! behind it (about 160 KB), and no libgcc_s is loaded at run time (about 100 KB of memory). A panic still prints its
//! message with file and line. See docs/decisions/0006-size.md.
#![allow(unsafe_code, reason = "symbols that the standard library links to by name; none of them touches memory")]
#![allow(non_snake_case, missing_docs)]

use std::ffi::{c_int, c_void};

/// `_URC_END_OF_STACK`: there is no frame to visit.
const END_OF_STACK: c_int = 5;

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_visit: *const c_void, _with: *mut c_void) -> c_int {
    END_OF_STACK
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_RaiseException(_exception: *mut c_void) -> c_int {
    END_OF_STACK
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    std::process::abort()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_DeleteException(_exception: *mut c_void) {}

/// What is asked of a frame, and there is none.
macro_rules! nothing {
    ($($name:ident),*) => {$(
        #[unsafe(no_mangle)]
        extern "C" fn $name(_frame: *mut c_void) -> usize {
            0
        }
    )*};
}

nothing!(
    _Unwind_GetDataRelBase,
    _Unwind_GetIP,
    _Unwind_GetLanguageSpecificData,
    _Unwind_GetRegionStart,
    _Unwind_GetTextRelBase,
    _Unwind_GetCFA,
    _Unwind_FindEnclosingFunction
);

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(_frame: *mut c_void, _before: *mut c_int) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(_frame: *mut c_void, _register: c_int, _value: usize) {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(_frame: *mut c_void, _value: usize) {}

/// ARM has an unwinder of its own kind: registers are read by number, and each function names who unwinds it.
#[cfg(target_arch = "arm")]
mod ehabi {
    use std::ffi::{c_int, c_void};

    /// `_UVRSR_NOT_IMPLEMENTED`, and `_URC_FAILURE`.
    const NOT_IMPLEMENTED: c_int = 1;
    const FAILURE: c_int = 9;

    macro_rules! answer {
        ($($name:ident($($argument:ty),*) = $answer:expr;)*) => {$(
            #[unsafe(no_mangle)]
            extern "C" fn $name($(_: $argument),*) -> c_int {
                $answer
            }
        )*};
    }

    answer!(
        _Unwind_VRS_Get(*mut c_void, c_int, u32, c_int, *mut c_void) = NOT_IMPLEMENTED;
        _Unwind_VRS_Set(*mut c_void, c_int, u32, c_int, *mut c_void) = NOT_IMPLEMENTED;
        __aeabi_unwind_cpp_pr0(c_int, *mut c_void, *mut c_void) = FAILURE;
        __aeabi_unwind_cpp_pr1(c_int, *mut c_void, *mut c_void) = FAILURE;
    );
}
