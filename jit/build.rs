//! Says whether calls at the end of functions become jumps, which the fast interpreter relies on for
//! speed: in optimised builds they do.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-check-cfg=cfg(pw_threaded)");
    let optimised = std::env::var("OPT_LEVEL").is_ok_and(|level| level != "0");
    let interpreted = std::env::var_os("CARGO_CFG_MIRI").is_some();
    if optimised && !interpreted {
        println!("cargo::rustc-cfg=pw_threaded");
    }
}
