//! Bundles the components of `plugins/dist` into the binary.

use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

fn main() {
    let dist = Path::new(&env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../plugins/dist");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files: Vec<_> = fs::read_dir(&dist).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    files.sort();
    if files.is_empty() {
        println!("cargo::warning=no components in plugins/dist, so none are bundled: run `make plugins`");
    }
    let mut source =
        String::from("/// Names and bytes of the components in this binary.\nstatic BUNDLED: &[(&str, &[u8])] = &[\n");
    for file in files {
        println!("cargo::rerun-if-changed={}", file.display());
        if let (Some(name), Ok(path)) = (file.file_stem().and_then(|stem| stem.to_str()), file.canonicalize()) {
            let _ = writeln!(source, "    ({name:?}, include_bytes!({path:?})),");
        }
    }
    source.push_str("];\n");
    if let Err(error) = fs::write(Path::new(&env::var_os("OUT_DIR").unwrap_or_default()).join("bundled.rs"), source) {
        println!("cargo::error=cannot write the list of components: {error}");
    }
}
