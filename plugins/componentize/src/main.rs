//! Turns core WebAssembly modules into components: `componentize OUT_DIR MODULE...`
//!
//! The module carries its world in a custom section that `wit-bindgen` wrote, so no
//! other input is needed. It grants nothing and checks only that the result is valid.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let Some(out) = args.next() else {
        eprintln!("usage: componentize OUT_DIR MODULE...");
        return ExitCode::from(2);
    };
    for module in args {
        if let Err(problem) = componentize(&module, &out) {
            eprintln!("componentize: {}: {problem}", module.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn componentize(module: &Path, out: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let component =
        wit_component::ComponentEncoder::default().module(&std::fs::read(module)?)?.validate(true).encode()?;
    let name = module.file_name().ok_or("not a file name")?;
    std::fs::create_dir_all(out)?;
    std::fs::write(out.join(name), component)?;
    Ok(())
}
