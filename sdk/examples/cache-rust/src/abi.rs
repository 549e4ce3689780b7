// SPDX-License-Identifier: Apache-2.0
//! What this plugin needs of tenon/abi/base.h and tenon/abi/cache_tier.h.
#![allow(dead_code)]
use std::ffi::{c_char, c_void};

pub const MAGIC: u32 = 0x314e_4e54;
pub const ABI_MAJOR: u16 = 1;
pub const ABI_MINOR: u16 = 0;

pub type Status = i32;
pub const OK: Status = 0;
pub const NOT_FOUND: Status = -1;
pub const INVALID: Status = -2;
pub const UNSUPPORTED: Status = -3;
pub const UNAVAILABLE: Status = -4;
pub const INTERNAL: Status = -9;

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Str {
    pub p: *const c_char,
    pub n: usize,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Bytes {
    pub p: *const c_void,
    pub n: usize,
}

#[repr(C)]
pub struct Err {
    pub size: u32,
    pub code: i32,
    pub flags: u32,
    pub len: u32,
    pub msg: [u8; 496],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Sink {
    pub ctx: *mut c_void,
    pub put: unsafe extern "C" fn(*mut c_void, Bytes) -> Status,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Done {
    pub ctx: *mut c_void,
    pub call: Option<unsafe extern "C" fn(*mut c_void, Status, *const Err)>,
}

#[repr(C)]
pub struct Iface {
    pub this: *mut c_void,
    pub vt: *const c_void,
}

#[repr(C)]
pub struct Host {
    pub size: u32,
    pub flags: u32,
    pub this: *mut c_void,
    pub query: unsafe extern "C" fn(*mut c_void, Str, *mut Iface) -> Status,
}

#[repr(C)]
pub struct Plugin {
    pub vt: *const PluginVt,
}

#[repr(C)]
pub struct PluginVt {
    pub size: u32,
    pub flags: u32,
    pub configure: extern "C" fn(*mut Plugin, Str, u32, *mut Err) -> Status,
    pub start: extern "C" fn(*mut Plugin, *mut Err) -> Status,
    pub drain: extern "C" fn(*mut Plugin, i64, Done) -> Status,
    pub stop: extern "C" fn(*mut Plugin),
    pub destroy: extern "C" fn(*mut Plugin),
    pub query: extern "C" fn(*mut Plugin, Str, *mut Iface) -> Status,
}

#[repr(C)]
pub struct Entry {
    pub magic: u32,
    pub size: u32,
    pub abi_major: u16,
    pub abi_minor: u16,
    pub flags: u32,
    pub id: Str,
    pub version: Str,
    pub build: Str,
    pub create: extern "C" fn(*const Host, *mut *mut Plugin, *mut Err) -> Status,
}

#[repr(C)]
pub struct CacheTierStats {
    pub size: u32,
    pub reserved: u32,
    pub entries: u64,
    pub bytes: u64,
    pub bytes_max: u64,
    pub hits: u64,
    pub misses: u64,
    pub puts: u64,
    pub erased: u64,
    pub evicted: u64,
    pub expired: u64,
}

pub type OnInvalidate = extern "C" fn(
    *mut c_void,
    *mut c_void,
    Option<unsafe extern "C" fn(*mut c_void, Bytes)>,
    *mut Err,
) -> Status;

#[repr(C)]
pub struct CacheTier {
    pub size: u32,
    pub flags: u32,
    pub get: extern "C" fn(*mut c_void, Bytes, i64, Sink, *mut i64, *mut Err) -> Status,
    pub put: extern "C" fn(*mut c_void, Bytes, Bytes, i64, i64, *mut Err) -> Status,
    pub erase: extern "C" fn(*mut c_void, Bytes, *mut Err) -> Status,
    pub clear: extern "C" fn(*mut c_void, Bytes, *mut Err) -> Status,
    pub stats: extern "C" fn(*mut c_void, *mut CacheTierStats) -> Status,
    pub on_invalidate: Option<OnInvalidate>,
}

// Tables and entry are constant; their pointers lead to constants.
unsafe impl Sync for Entry {}
