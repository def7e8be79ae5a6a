//! Prints the bindings that the build script generated: regenerate.sh stores them.

fn main() {
    print!("{}", include_str!(concat!(env!("OUT_DIR"), "/bindings.rs")));
}
