//! Lists the files of the screens, which `make ui` puts into `ui/dist`, so that `ui.rs` compiles them in.
//! Without them the list is empty.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// One file in the forms in which it is there.
#[derive(Default)]
struct Forms {
    plain: Option<PathBuf>,
    gzip: Option<PathBuf>,
    brotli: Option<PathBuf>,
}

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=BARTIZAN_UI_DIST");
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let dist = env::var_os("BARTIZAN_UI_DIST").map_or_else(|| manifest.join("../../ui/dist"), PathBuf::from);
    // The page is written last and names all others; a folder would be looked through each time.
    println!("cargo::rerun-if-changed={}", dist.join("index.html").display());
    let mut files = BTreeMap::new();
    if dist.join("index.html").is_file() {
        collect(&dist, "", &mut files)?;
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("ui_files.rs");
    fs::write(out, table(&files)?)
}

fn collect(folder: &Path, below: &str, files: &mut BTreeMap<String, Forms>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{below}{name}");
        if path.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
            continue;
        }
        let path = fs::canonicalize(path)?;
        if let Some(name) = name.strip_suffix(".br") {
            files.entry(name.to_owned()).or_default().brotli = Some(path);
        } else if let Some(name) = name.strip_suffix(".gz") {
            files.entry(name.to_owned()).or_default().gzip = Some(path);
        } else {
            files.entry(name).or_default().plain = Some(path);
        }
    }
    Ok(())
}

fn table(files: &BTreeMap<String, Forms>) -> io::Result<String> {
    let mut text = String::from("&[\n");
    for (name, Forms { plain, gzip, brotli }) in files {
        let mut hasher = DefaultHasher::new();
        if let Some(path) = plain {
            fs::read(path)?.hash(&mut hasher);
        }
        // What is there compressed is kept only so, except for the page, which is filled in when it is sent.
        let plain = plain.as_ref().filter(|_| gzip.is_none() || name == "index.html");
        let include = |path: Option<&PathBuf>| {
            path.map_or_else(|| "None".to_owned(), |path| format!("Some(include_bytes!({path:?}))"))
        };
        let _ = writeln!(
            text,
            "File {{ name: {name:?}, etag: \"\\\"{:016x}\\\"\", plain: {}, gzip: {}, brotli: {} }},",
            hasher.finish(),
            include(plain),
            include(gzip.as_ref()),
            include(brotli.as_ref()),
        );
    }
    text.push(']');
    Ok(text)
}
