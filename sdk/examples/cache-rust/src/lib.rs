// SPDX-License-Identifier: Apache-2.0
//! A cache tier: a map under a mutex.
mod abi;

use abi::*;
use std::alloc::{alloc, Layout};
use std::collections::HashMap;
use std::ffi::c_void;
use std::mem::size_of;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

const ENTRIES_MAX: usize = 10_000;

#[derive(Default)]
struct Entries {
    map: HashMap<Vec<u8>, (Vec<u8>, i64)>,
    draining: bool,
    hits: u64,
    misses: u64,
    puts: u64,
    erased: u64,
}

#[repr(C)]
struct Cache {
    plugin: Plugin, // first: the host's pointer is this object
    entries: Mutex<Entries>,
}

/// No panic crosses: each function that the host can call runs its body in here.
fn guard(err: *mut Err, body: impl FnOnce() -> Status) -> Status {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| fail(err, INTERNAL, "panic in the plugin"))
}

fn fail(err: *mut Err, code: Status, message: &str) -> Status {
    // The caller owns err and said in `size` how much of it there is.
    if let Some(size) = unsafe { err.as_ref() }.map(|e| e.size as usize) {
        let head = size_of::<Err>() - 496; // msg is the last member
        if size >= head {
            let len = message.len().min(size - head).min(size_of::<Err>() - head);
            unsafe {
                (*err).code = code;
                (*err).flags = 0;
                (*err).len = len as u32;
                ptr::copy_nonoverlapping(message.as_ptr(), (*err).msg.as_mut_ptr(), len);
            }
        }
    }
    code
}

/// A copy, unless memory is short: collections of std would abort the process then.
fn copied(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len()).ok()?;
    copy.extend_from_slice(bytes);
    Some(copy)
}

fn out_of_memory(err: *mut Err) -> Status {
    fail(err, UNAVAILABLE, "out of memory")
}

fn draining(err: *mut Err) -> Status {
    fail(err, UNAVAILABLE, "the tier is draining")
}

fn slice<'a>(p: *const c_void, n: usize) -> &'a [u8] {
    if n == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(p.cast(), n) }
}

fn locked<'a>(this: *mut c_void) -> MutexGuard<'a, Entries> {
    let cache = unsafe { &*this.cast::<Cache>() };
    cache.entries.lock().unwrap_or_else(PoisonError::into_inner)
}

extern "C" fn get(this: *mut c_void, key: Bytes, now: i64, out: Sink, expires: *mut i64, err: *mut Err) -> Status {
    guard(err, || {
        let mut guarded = locked(this);
        let entries = &mut *guarded;
        if entries.draining {
            return draining(err);
        }
        let (value, at) = match entries.map.get(slice(key.p, key.n)).filter(|(_, at)| now < *at) {
            Some(entry) => entry,
            None => {
                entries.misses += 1;
                return NOT_FOUND;
            }
        };
        entries.hits += 1;
        if !expires.is_null() {
            unsafe { *expires = *at };
        }
        let chunk = Bytes { p: value.as_ptr().cast(), n: value.len() };
        unsafe { (out.put)(out.ctx, chunk) } // under the lock, as the contract allows
    })
}

extern "C" fn put(this: *mut c_void, key: Bytes, value: Bytes, now: i64, ttl: i64, err: *mut Err) -> Status {
    guard(err, || {
        if key.n == 0 || key.n > 1024 || ttl <= 0 {
            return fail(err, INVALID, "a key of 1 .. 1024 bytes and a positive ttl are wanted");
        }
        let (owned_key, owned_value) = match (copied(slice(key.p, key.n)), copied(slice(value.p, value.n))) {
            (Some(k), Some(v)) => (k, v),
            _ => return out_of_memory(err),
        };
        let mut entries = locked(this);
        if entries.draining {
            return draining(err);
        }
        if entries.map.try_reserve(1).is_err() {
            return out_of_memory(err);
        }
        if entries.map.len() >= ENTRIES_MAX {
            if let Some(some) = entries.map.keys().next().and_then(|some| copied(some)) {
                entries.map.remove(&some);
            }
        }
        entries.map.insert(owned_key, (owned_value, now.saturating_add(ttl)));
        entries.puts += 1;
        OK
    })
}

extern "C" fn erase(this: *mut c_void, key: Bytes, err: *mut Err) -> Status {
    guard(err, || {
        let mut entries = locked(this);
        if entries.draining {
            return draining(err);
        }
        if entries.map.remove(slice(key.p, key.n)).is_none() {
            return NOT_FOUND;
        }
        entries.erased += 1;
        OK
    })
}

extern "C" fn clear(this: *mut c_void, prefix: Bytes, err: *mut Err) -> Status {
    guard(err, || {
        let mut entries = locked(this);
        if entries.draining {
            return draining(err);
        }
        entries.map.retain(|key, _| !key.starts_with(slice(prefix.p, prefix.n)));
        OK
    })
}

extern "C" fn stats(this: *mut c_void, out: *mut CacheTierStats) -> Status {
    guard(ptr::null_mut(), || {
        let entries = locked(this);
        let size = unsafe { (*out).size };
        let made = CacheTierStats {
            size,
            reserved: 0,
            entries: entries.map.len() as u64,
            bytes: entries.map.iter().map(|(k, (v, _))| (k.len() + v.len()) as u64).sum(),
            bytes_max: 0,
            hits: entries.hits,
            misses: entries.misses,
            puts: entries.puts,
            erased: entries.erased,
            evicted: 0,
            expired: 0,
        };
        let room = size_of::<CacheTierStats>().min(size as usize);
        unsafe { ptr::copy_nonoverlapping((&made as *const CacheTierStats).cast::<u8>(), out.cast(), room) };
        OK
    })
}

static TIER: CacheTier = CacheTier {
    size: size_of::<CacheTier>() as u32,
    flags: 0,
    get,
    put,
    erase,
    clear,
    stats,
    on_invalidate: None,
};

extern "C" fn configure(_: *mut Plugin, _: Str, _: u32, _: *mut Err) -> Status {
    OK
}

extern "C" fn start(plugin: *mut Plugin, _: *mut Err) -> Status {
    locked(plugin.cast()).draining = false;
    OK
}

extern "C" fn drain(plugin: *mut Plugin, _: i64, _: Done) -> Status {
    locked(plugin.cast()).draining = true;
    OK
}

extern "C" fn stop(_: *mut Plugin) {}

extern "C" fn destroy(plugin: *mut Plugin) {
    guard(ptr::null_mut(), || {
        drop(unsafe { Box::from_raw(plugin.cast::<Cache>()) });
        OK
    });
}

extern "C" fn query(plugin: *mut Plugin, id: Str, out: *mut Iface) -> Status {
    if slice(id.p.cast(), id.n) != b"tenon.cache_tier/1" {
        return UNSUPPORTED;
    }
    unsafe { *out = Iface { this: plugin.cast(), vt: (&TIER as *const CacheTier).cast() } };
    OK
}

static PLUGIN: PluginVt =
    PluginVt { size: size_of::<PluginVt>() as u32, flags: 0, configure, start, drain, stop, destroy, query };

extern "C" fn create(_: *const Host, out: *mut *mut Plugin, err: *mut Err) -> Status {
    guard(err, || {
        let cache = unsafe { alloc(Layout::new::<Cache>()) }.cast::<Cache>();
        if cache.is_null() {
            return out_of_memory(err);
        }
        unsafe {
            cache.write(Cache { plugin: Plugin { vt: &PLUGIN }, entries: Mutex::default() });
            *out = cache.cast();
        }
        OK
    })
}

const fn text(s: &'static str) -> Str {
    Str { p: s.as_ptr().cast(), n: s.len() }
}

static ENTRY: Entry = Entry {
    magic: MAGIC,
    size: size_of::<Entry>() as u32,
    abi_major: ABI_MAJOR,
    abi_minor: ABI_MINOR,
    flags: 0,
    id: text("org.example.rust-cache"),
    version: text("1.0.0"),
    build: text("rustc"),
    create,
};

#[no_mangle]
pub extern "C" fn tenon_plugin_entry_v1() -> *const Entry {
    &ENTRY
}
