// SPDX-License-Identifier: Apache-2.0
// The image stays mapped for good: the host never unloads a plugin.
fn main() {
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete,-z,now,-z,relro");
}
