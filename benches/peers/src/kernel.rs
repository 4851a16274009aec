//! Kernels: folders with one program per language.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A kernel: the same program in several languages.
pub(crate) struct Kernel {
    /// The name of its folder.
    pub(crate) name: String,
    folder: PathBuf,
}

impl Kernel {
    /// The first of these files that the kernel has.
    pub(crate) fn source(&self, names: &[&str]) -> Option<PathBuf> {
        names
            .iter()
            .map(|name| self.folder.join(name))
            .find(|path| path.exists())
    }
}

/// All kernels, by name.
pub(crate) fn all() -> Result<Vec<Kernel>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("kernels");
    let mut kernels = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            kernels.push(Kernel {
                name: entry.file_name().to_string_lossy().into_owned(),
                folder: entry.path(),
            });
        }
    }
    kernels.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(kernels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_is_there_in_jue_lua_and_c() {
        for kernel in all().unwrap() {
            for file in ["kernel.jue", "kernel.lua", "kernel.c"] {
                assert!(
                    kernel.source(&[file]).is_some(),
                    "{} lacks {file}",
                    kernel.name
                );
            }
        }
    }
}
