//! What cannot be read from the triple is asked of the C preprocessor: the version of glibc.

use crate::config::Libc;
use crate::{Error, Target};

/// Asks `compiler` for the C library of `target`.
pub(crate) fn libc(
    compiler: &cc::Build,
    target: &Target,
    out_dir: &std::path::Path,
) -> Result<Libc, Error> {
    if target.musl {
        return Ok(Libc::Musl);
    }
    if !target.glibc {
        return Ok(Libc::Other);
    }
    let probe = out_dir.join("probe.c");
    std::fs::write(
        &probe,
        "#include <features.h>\nlibevent_glibc __GLIBC__ __GLIBC_MINOR__ end\n",
    )
    .map_err(|e| Error::io("write", &probe, &e))?;
    let expanded = compiler.clone().file(&probe).try_expand().map_err(|e| {
        Error::new(format!(
            "the C compiler cannot preprocess {}: {e}",
            probe.display()
        ))
    })?;
    parse_glibc(&String::from_utf8_lossy(&expanded)).ok_or_else(|| {
        Error::new("the C compiler does not tell the version of glibc (__GLIBC__, __GLIBC_MINOR__)")
    })
}

/// Line markers (`# 2 "probe.c"`) may stand between the tokens.
fn parse_glibc(expanded: &str) -> Option<Libc> {
    let tokens = expanded
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    let mut after = tokens
        .skip_while(|token| *token != "libevent_glibc")
        .skip(1);
    Some(Libc::Glibc(
        after.next()?.parse().ok()?,
        after.next()?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_markers_between_the_tokens_are_dropped() {
        let text =
            "# 1 \"probe.c\"\nlibevent_glibc\n# 2 \"probe.c\" 3 4\n2\n# 2 \"probe.c\"\n 36 end\n";
        assert_eq!(parse_glibc(text), Some(Libc::Glibc(2, 36)));
        assert_eq!(
            parse_glibc("libevent_glibc __GLIBC__ __GLIBC_MINOR__ end"),
            None
        );
    }
}
