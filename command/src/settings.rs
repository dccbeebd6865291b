//! The configuration file of a user: values for options that are not given.

use crate::error::Error;
use iomap_vocabulary::Exit;
use serde::Deserialize;
use std::io::ErrorKind;
use std::num::NonZeroU32;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;

/// The values in the configuration file. A file that is missing has none.
#[derive(Debug, Default)]
pub struct Settings {
    file: PathBuf,
    text: String,
    values: Values,
}

/// The keys of the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Values {
    url: Option<Spanned<String>>,
    kernels: Vec<String>,
    jobs: Option<NonZeroU32>,
    cache: Option<Spanned<PathBuf>>,
}

impl Settings {
    /// Reads `$XDG_CONFIG_HOME/iomap/config.toml`, or the file below `~/.config`. A command calls this only if it uses
    /// a value: a mistake in the file does not keep the other commands from working.
    ///
    /// # Errors
    /// The file cannot be read or understood. The message has the line and the column.
    pub fn read() -> Result<Self, Error> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
        let Some(base) = base else { return Ok(Self::default()) };
        let file = base.join("iomap/config.toml");
        match std::fs::read_to_string(&file) {
            Ok(text) => Self::parse(file, text),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(Self::default()),
            Err(error) => Err(Error::file(&file, error)),
        }
    }

    fn parse(file: PathBuf, text: String) -> Result<Self, Error> {
        let parsed = toml::from_str(&text);
        let mut settings = Self { file, text, values: Values::default() };
        match parsed {
            Ok(values) => settings.values = values,
            Err(error) => return Err(settings.wrong(error.span().unwrap_or_default(), error.message())),
        }
        match &settings.values.cache {
            Some(cache) if !cache.as_ref().is_absolute() => {
                Err(settings.wrong(cache.span(), "the path of the cache has to begin with /"))
            }
            _ => Ok(settings),
        }
    }

    /// The error about a part of the file.
    fn wrong(&self, span: Range<usize>, why: &str) -> Error {
        let before = &self.text[..span.start.min(self.text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Error::new(Exit::Usage, format!("{}:{line}:{column}: {why}", self.file.display()))
    }

    /// The address at which the book is published, if `check` accepts it.
    ///
    /// # Errors
    /// `check` does not accept it.
    pub fn url(&self, check: impl Fn(&str) -> Result<String, &'static str>) -> Result<Option<String>, Error> {
        let url = self.values.url.as_ref();
        url.map(|url| check(url.as_ref()).map_err(|why| self.wrong(url.span(), why))).transpose()
    }

    /// The kernels that the lab boots.
    pub fn kernels(&self) -> &[String] {
        &self.values.kernels
    }

    /// The number of guests at the same time.
    pub fn jobs(&self) -> Option<u32> {
        self.values.jobs.map(NonZeroU32::get)
    }

    /// The directory for files that stay from run to run.
    pub fn cache(&self) -> Option<PathBuf> {
        self.values.cache.as_ref().map(|cache| cache.as_ref().clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse("config.toml".into(), text.into()).map_err(|error| error.to_string())
    }

    #[test]
    fn values() {
        let settings =
            parse("kernels = ['6.1', '/boot/vmlinuz']\njobs = 2\ncache = '/var/cache'\n").expect("it is right");
        assert_eq!((settings.kernels().len(), settings.jobs()), (2, Some(2)));
        assert_eq!(settings.cache(), Some("/var/cache".into()));
        assert_eq!(settings.url(|_| Err("none")).expect("there is none"), None);
        assert!(parse("").is_ok());
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, expected) in [
            (
                "jobs = 1\nkernel = ['6.1']",
                "config.toml:2:1: unknown field `kernel`, expected one of `url`, `kernels`, ",
            ),
            ("jobs = 0", "config.toml:1:8: invalid value: integer `0`"),
            ("kernels = '6.1'", "config.toml:1:11: invalid type: string"),
            ("\n jobs = ", "config.toml:2:9: "),
            ("jobs = 1\njobs = 2", "config.toml:2:1: duplicate key"),
            ("cache = 'here'", "config.toml:1:9: the path of the cache has to begin with /"),
        ] {
            let why = parse(text).expect_err(text);
            assert!(why.starts_with(expected), "{text}: {why}");
        }
        let settings = parse("# a comment\nurl = 'example.org'").expect("it is right for other commands");
        let why = settings.url(|_| Err("no address")).expect_err("it is wrong here").to_string();
        assert_eq!(why, "config.toml:2:7: no address");
    }
}
