//! The C compiler's work: static libraries and an include folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{Library, libraries, system_libraries};
use crate::{Error, Origin, Os, Source, Target, config, probe};

/// What a build left behind.
#[derive(Debug)]
pub struct Artifacts {
    /// The folder that holds `include_dir` and `lib_dir`.
    pub root: PathBuf,
    /// Public headers, with `event2/event-config.h` for the target.
    pub include_dir: PathBuf,
    /// The static libraries.
    pub lib_dir: PathBuf,
    /// Their names, in the order a linker wants.
    pub libs: Vec<String>,
    /// Libraries of the system to link after them.
    pub system_libs: Vec<String>,
    /// What was compiled.
    pub source: Source,
    /// What whoever builds should read.
    pub warnings: Vec<String>,
    /// Files and folders to watch for a rebuild.
    pub watch: Vec<PathBuf>,
}

/// How to build libevent.
#[derive(Clone, Debug, Default)]
pub struct Build {
    source_dir: Option<PathBuf>,
    openssl_include: Option<Vec<PathBuf>>,
    out_dir: Option<PathBuf>,
    target: Option<String>,
    lto: bool,
}

impl Build {
    /// A build of the core, extra and pthreads parts, for the target and into the folder that cargo names to a build script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the source from `dir` and from nowhere else.
    pub fn source_dir(&mut self, dir: impl Into<PathBuf>) -> &mut Self {
        self.source_dir = Some(dir.into());
        self
    }

    /// Builds the OpenSSL part too, with OpenSSL's headers in these folders (none: where the compiler looks anyway).
    pub fn openssl(&mut self, include_dirs: impl IntoIterator<Item = PathBuf>) -> &mut Self {
        self.openssl_include = Some(include_dirs.into_iter().collect());
        self
    }

    /// Builds in `dir` instead of `$OUT_DIR/libevent`.
    pub fn out_dir(&mut self, dir: impl Into<PathBuf>) -> &mut Self {
        self.out_dir = Some(dir.into());
        self
    }

    /// Builds for `triple` instead of `$TARGET`.
    pub fn target(&mut self, triple: impl Into<String>) -> &mut Self {
        self.target = Some(triple.into());
        self
    }

    /// Leaves optimising across libevent's files to the linker, if the compiler is clang.
    ///
    /// Off unless asked for: the objects are then LLVM bitcode, which only an lld at least as new as that clang can link. The
    /// one that rustc brings for x86-64 Linux can; the linker of a C program that takes a Rust `staticlib` may not.
    pub fn lto(&mut self, on: bool) -> &mut Self {
        self.lto = on;
        self
    }

    /// Finds the source and compiles it.
    ///
    /// # Errors
    ///
    /// When no source is found, the target is unknown, a file cannot be written, or the C compiler fails.
    pub fn build(&self) -> Result<Artifacts, Error> {
        let triple = match &self.target {
            Some(triple) => triple.clone(),
            None => env::var("TARGET")
                .map_err(|_| Error::new("TARGET is not set: call this from a build script"))?,
        };
        let root = match &self.out_dir {
            Some(dir) => dir.clone(),
            None => env::var_os("OUT_DIR")
                .map(|dir| Path::new(&dir).join("libevent"))
                .ok_or_else(|| Error::new("OUT_DIR is not set: call this from a build script"))?,
        };
        let target = Target::from_triple(&triple)?;
        let source = Source::find(self.source_dir.as_deref(), &root)?;
        let (include_dir, lib_dir) = (root.join("include"), root.join("lib"));
        for dir in [&include_dir.join("event2"), &lib_dir] {
            fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, &e))?;
        }

        let mut compiler = cc::Build::new();
        compiler
            .target(&triple)
            .out_dir(&lib_dir)
            .cargo_metadata(false)
            .extra_warnings(false);
        let libc = probe::libc(&compiler, &target, &root)?;
        install_headers(&source, &include_dir)?;
        let openssl = self.openssl_include.is_some();
        write(
            &include_dir.join("event2/event-config.h"),
            &config::event_config(&target, libc, &source, openssl),
        )?;
        write(
            &root.join("private/evconfig-private.h"),
            config::private_config(),
        )?;

        self.configure(&mut compiler, &source, &target, &root);
        let mut warnings = warnings(&source);
        if self.lto {
            if compiler
                .try_get_compiler()
                .is_ok_and(|tool| tool.is_like_clang())
            {
                compiler.flag("-flto");
            } else {
                warnings.push("LIBEVENT_LTO is ignored: only clang's objects can be optimised by rustc's linker (set CC=clang)".to_owned());
            }
        }
        let parts = libraries(&source, &target, openssl);
        for part in &parts {
            compile(&compiler, &source, part)?;
        }
        Ok(Artifacts {
            libs: parts.iter().map(|part| part.name.to_owned()).collect(),
            system_libs: system_libraries(&target, source.version_number)
                .into_iter()
                .map(str::to_owned)
                .collect(),
            warnings,
            watch: watch(&source),
            root,
            include_dir,
            lib_dir,
            source,
        })
    }

    fn configure(&self, compiler: &mut cc::Build, source: &Source, target: &Target, root: &Path) {
        // The generated headers first: a folder in which somebody ran configure has others of the same name.
        compiler
            .include(root.join("private"))
            .include(root.join("include"))
            .include(&source.dir)
            .include(source.dir.join("compat"))
            .includes(self.openssl_include.iter().flatten())
            .define("HAVE_CONFIG_H", None);
        if target.os == Os::Windows {
            compiler.include(source.dir.join("WIN32-Code"));
            compiler
                .define("_CRT_SECURE_NO_WARNINGS", None)
                .define("_CRT_NONSTDC_NO_DEPRECATE", None);
        } else {
            // On the command line, because some files include system headers before evconfig-private.h: without it accept4
            // and pipe2 would be implicit functions.
            compiler
                .define("_GNU_SOURCE", "1")
                .define("_FILE_OFFSET_BITS", "64");
        }
        if source.has("sha1.c") {
            let little = env::var("CARGO_CFG_TARGET_ENDIAN")
                .map_or(cfg!(target_endian = "little"), |e| e == "little");
            compiler.define(
                if little {
                    "LITTLE_ENDIAN"
                } else {
                    "BIG_ENDIAN"
                },
                "1",
            );
        }
        if !target.msvc {
            // As upstream: struct sockaddr and friends are cast freely.
            compiler.flag("-fno-strict-aliasing");
            // No warnings of somebody else's code, but one error. Not with `warnings(false)`: gcc's -w would drop the error too.
            compiler
                .flag("-Wno-all")
                .flag("-Werror=implicit-function-declaration");
        }
    }
}

fn compile(compiler: &cc::Build, source: &Source, part: &Library) -> Result<(), Error> {
    compiler
        .clone()
        .files(part.files.iter().map(|file| source.dir.join(file)))
        .try_compile(part.name)
        .map_err(|e| {
            Error::new(format!(
                "cannot compile {} of libevent {} in {}: {e}",
                part.name,
                source.version,
                source.dir.display()
            ))
        })
}

fn install_headers(source: &Source, include_dir: &Path) -> Result<(), Error> {
    for sub in ["", "event2"] {
        let from = source.dir.join("include").join(sub);
        for entry in fs::read_dir(&from).map_err(|e| Error::io("list", &from, &e))? {
            let path = entry.map_err(|e| Error::io("list", &from, &e))?.path();
            // A configured tree has an event-config.h of its own, for another build.
            let Some(name) = path.file_name().filter(|name| *name != "event-config.h") else {
                continue;
            };
            if path.extension().is_some_and(|extension| extension == "h") {
                fs::copy(&path, include_dir.join(sub).join(name))
                    .map_err(|e| Error::io("copy", &path, &e))?;
            }
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| Error::io("create", dir, &e))?;
    }
    fs::write(path, text).map_err(|e| Error::io("write", path, &e))
}

fn watch(source: &Source) -> Vec<PathBuf> {
    // This crate's folder, not its `libevent/`: a path that does not exist would mean a rebuild each time.
    let mut paths = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR"))];
    if source.origin == Origin::Given {
        paths.push(source.dir.clone());
    }
    paths
}

fn warnings(source: &Source) -> Vec<String> {
    if source.version_number >= 0x0201_0d00 {
        return Vec::new();
    }
    vec![
        format!(
            "compiling libevent {}, which lacks the security fixes of 2.1.13: evhttp request smuggling, evdns out-of-bounds write, \
             evtag decoding, evbuffer dangling pointer (CVE-2026-63379, 63381, 63382, 63383, 63384, 63385, 63387, 63388)",
            source.version
        ),
        format!(
            "run {} once, or install the system's libevent, or set LIBEVENT_SOURCE_DIR",
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("fetch.sh")
                .display()
        ),
    ]
}
